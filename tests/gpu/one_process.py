"""Many runs of the drop-in program in one process: what a GPU's driver, CuPy and kernels take to start is paid once.

    server: python one_process.py SOCKET [emulated]
    client: python one_process.py SOCKET -- flags of a run

The server answers one client after the other, in its folder and with its standard streams, and ends when a client says
nothing. Clients start quickly and import nothing of the package; they exit with the status of the run.
"""

import os
import socket
import subprocess
import sys
import tempfile

#: what a client sends: its folder and its tokens, with this in between
SEPARATOR = b"\0"
MOST = 1 << 20


def serve(path, emulated):
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    if emulated:
        import emulated_cupy

        emulated_cupy.install()
    from nanobragg_py.cli.dropin import main

    home = os.open(".", os.O_RDONLY)
    streams = [os.dup(number) for number in range(3)]
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(16)
        print("listening", flush=True)
        while True:
            connection, _ = listening.accept()
            with connection:
                data, given, _, _ = socket.recv_fds(connection, MOST, 3)
                if not data:
                    return
                folder, *tokens = data.split(SEPARATOR)
                os.chdir(folder)
                for number, descriptor in enumerate(given):
                    os.dup2(descriptor, number)
                    os.close(descriptor)
                try:
                    status = main(["nanoBragg", *map(os.fsdecode, tokens)])
                except BaseException as error:
                    os.write(2, f"{type(error).__name__}: {error}\n".encode())
                    status = 1
                for number, descriptor in enumerate(streams):
                    os.dup2(descriptor, number)
                os.fchdir(home)
                connection.sendall(bytes([status]))


def ask(path, tokens):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        message = SEPARATOR.join(map(os.fsencode, [os.getcwd(), *tokens]))
        socket.send_fds(connection, [message], [0, 1, 2])
        answer = connection.recv(1)
        return answer[0] if answer else 1


def started(emulated=False):
    """(words of a client, to which a run's flags are added; the server's process), when it listens."""
    path = os.path.join(tempfile.mkdtemp(prefix="nb-"), "socket")
    words = [sys.executable, os.path.abspath(__file__), path, *(["emulated"] if emulated else [])]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    if process.stdout.readline() != "listening\n":
        raise RuntimeError(f"the server ended with {process.wait()}")
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), path, "--"], process


def stop(path):
    """Have the server end."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[2] == "--":
        sys.exit(ask(sys.argv[1], sys.argv[3:]))
    serve(sys.argv[1], "emulated" in sys.argv[2:])
