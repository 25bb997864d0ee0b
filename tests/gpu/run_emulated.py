"""The drop-in program on the emulated device: `python run_emulated.py -backend gpu ...`."""

import os
import sys


def run():
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import emulated_cupy

    emulated_cupy.install()
    from nanobragg_py.cli.dropin import main

    return main(sys.argv)


if __name__ == "__main__":
    sys.exit(run())
