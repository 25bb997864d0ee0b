from collections.abc import Callable
from typing import Any

from typing_extensions import Buffer as AnyBuffer

from nanobragg_py.kernels.loops.job import Job

Vector = tuple[float, float, float]
Rows = tuple[float, float, float, float, float, float, float, float, float]

class Sequential:
    def __init__(self, job: Job, defects: bool = False) -> None: ...
    job: Job
    executed: bool
    outside: int
    angle: float
    recorder: Any
    stol: float
    h: float
    k: float
    l: float
    h0: float
    k0: float
    l0: float
    F_cell: float
    F_latt: float
    intensity: float
    polar: float
    omega: float
    capture: float
    fast: float
    slow: float
    depth: float
    airpath: float
    interpolated: bool
    outside_at: tuple[float, float, float, float, float, float] | None
    @property
    def cell_vectors(self) -> Rows: ...
    @property
    def position(self) -> Vector: ...
    @property
    def roi(self) -> tuple[int, int, int, int]: ...
    @property
    def diffracted_direction(self) -> Vector: ...
    @property
    def incident_direction(self) -> Vector: ...
    @property
    def wavelength(self) -> float: ...
    @property
    def scattering_vector(self) -> Vector: ...
    @property
    def cos_2theta(self) -> float: ...
    @property
    def cos_normal(self) -> float: ...
    @property
    def volume(self) -> float: ...
    @property
    def weighs_sources(self) -> bool: ...
    @property
    def diffuse(self) -> float: ...
    @property
    def weight(self) -> float: ...
    @property
    def reciprocal_vectors(self) -> Rows: ...
    @property
    def F_latt_axes(self) -> Vector: ...
    @property
    def F_latt_sqr(self) -> float: ...
    @property
    def neighbourhood(self) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]: ...
    def skipped(self, slow: int, fast: int) -> bool: ...
    def catch_up(self, slow: int, fast: int) -> None: ...
    def pixel(self, slow: int, fast: int) -> float: ...

def render_sequential(
    loop: Sequential, image: AnyBuffer, progress: Callable[[int], object] | None = None
) -> tuple[float, float, int, float, tuple[int, int] | None, float, int, float]: ...
