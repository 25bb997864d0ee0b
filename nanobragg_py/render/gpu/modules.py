"""The kernels of one device: loaded from what came with the wheel, or compiled when they are first asked for."""

from typing import Any

from .device import need_compiler
from .prebuilt import Prebuilt
from .variants import options, source


class Modules:
    """Compiled modules of one device, each loaded or compiled when it is first asked for."""

    def __init__(self, cupy: Any, capability: str) -> None:
        self._cupy = cupy
        self._functions: dict[Any, Any] = {}
        self._prebuilt = Prebuilt(capability)
        if not self._prebuilt.any:
            need_compiler(cupy)

    def function(self, file: Any, name: str, macros: Any = (), exact: bool = False) -> Any:
        """The kernel `name` of kernels/loops/`file`.cu; raises CuPy's CompileException."""
        key = file, name, macros
        if key not in self._functions:
            self._functions[key] = self._loaded(file, name, macros, exact) or self._compiled(file, name, macros, exact)
        return self._functions[key]

    def _loaded(self, file, name, macros, exact):
        """The kernel of the wheel; None where there is none, or none that this driver takes."""
        code = self._prebuilt.code(file, macros, exact)
        if code is None:
            return None
        module = self._cupy.cuda.function.Module()
        try:
            module.load(code)
            return module.get_function(name)
        except self._cupy.cuda.driver.CUDADriverError:
            return None

    def _compiled(self, file, name, macros, exact):
        need_compiler(self._cupy)
        module = self._cupy.RawModule(code=source(file), options=options(macros, exact), backend="nvrtc")
        return module.get_function(name)
