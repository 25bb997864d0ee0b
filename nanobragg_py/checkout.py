"""What becomes of ``import nanobragg_py`` in the root of a checkout, where Python finds ./nanobragg_py first.

That folder alone is no package: its compiled modules, kernels/ and cli/ are put together by an installation.
"""

import importlib.util
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def step_aside(package: "Any") -> None:
    """Put an installed nanobragg_py, if there is one, in the place of the incomplete `package`.

    An editable install completes the package itself, and nothing is done. Raises ImportError where none is installed.
    """
    if importlib.util.find_spec(f"{package.__name__}.kernels") is not None:
        return
    here = package.__path__[0]
    for folder in sys.path:
        found = os.path.join(folder, package.__name__)
        if os.path.isdir(os.path.join(found, "kernels")) and not os.path.samefile(found, here):
            spec = importlib.util.spec_from_file_location(
                package.__name__, os.path.join(found, "__init__.py"), submodule_search_locations=[found]
            )
            assert spec is not None and spec.loader is not None
            installed = sys.modules[package.__name__] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(installed)
            return
    raise ImportError(
        f"{here} is a part of nanobragg_py's sources and cannot be imported as it is: install the package with "
        f"`pip install {os.path.dirname(here)}`, then this works",
        name=package.__name__,
    )
