"""The GPU backend: CUDA kernels (kernels/*.cu) through CuPy. Imported only when it is asked for."""

from .renderer import Renderer

__all__ = ["Renderer"]
