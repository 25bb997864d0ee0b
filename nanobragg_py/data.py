"""Images for learning: a batch job as a data set, every image rendered when it is asked for, with what is true of it.

`Images` is a map-style data set, with random access and a length, as PyTorch's DataLoader takes it; `Images.stream`
gives one to iterate over, shuffled anew every epoch and divided among workers. Neither needs PyTorch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from math import acos, degrees, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from .batch.images import Maker
from .batch.jobs import Job, read_job
from .errors import FieldError
from .orientation import split_UB
from .vectors import cross, dot, length, scale, unit

if TYPE_CHECKING:
    from .experiment.resolved import ResolvedExperiment

#: what `labels` gives of every image
LABELS = ("index", "A", "quaternion", "cell", "wavelength", "fluence")


def quaternion_of(rotation: Iterable[Iterable[float]]) -> np.ndarray:
    """The unit quaternion (w, x, y, z), w >= 0, of a rotation matrix, given as its rows.

    The component of the largest size comes first, so that nothing small is divided by.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (map(float, row) for row in rotation)
    squares = 1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz
    largest = squares.index(max(squares))
    products = (
        (squares[0], zy - yz, xz - zx, yx - xy),
        (zy - yz, squares[1], xy + yx, xz + zx),
        (xz - zx, xy + yx, squares[2], yz + zy),
        (yx - xy, xz + zx, yz + zy, squares[3]),
    )[largest]
    quaternion = np.array(products) / (2.0 * sqrt(squares[largest]))
    return -quaternion if quaternion[0] < 0 else quaternion


def labels_of(index: int, experiment: ResolvedExperiment) -> dict[str, Any]:
    """What is true of an image, at phi = 0 and before mosaic rotation, as arrays of float64.

    index: its number. A: (3, 3), columns a*, b*, c*, 1/Angstrom, laboratory frame. quaternion: (4,), w x y z, of the
    rotation U in A = UB with B as `nanobragg_py.b_matrix` has it. cell: (6,), Angstrom and degrees. wavelength: m, of
    the central beam. fluence: photons/m^2.
    """
    # three vectors, with which numpy takes its time, image after image
    a, b, c = stars = experiment.crystal.a_star, experiment.crystal.b_star, experiment.crystal.c_star
    A = np.array(stars).T
    across = unit(cross(a, b))
    if not dot(across, c) > 0.0:
        split_UB(A)  # which says what is wrong
    first = unit(a)
    volume = dot(a, cross(b, c))
    direct = [scale(cross(*pair), 1.0 / volume) for pair in ((b, c), (c, a), (a, b))]
    sides = [length(v) for v in direct]
    angles = [
        degrees(acos(min(1.0, max(-1.0, dot(direct[i], direct[j]) / sides[i] / sides[j]))))
        for i, j in ((1, 2), (0, 2), (0, 1))
    ]
    return {
        "index": index,
        "A": A,
        "quaternion": quaternion_of(zip(first, cross(across, first), across, strict=True)),
        "cell": np.array([*sides, *angles]),
        "wavelength": np.float64(experiment.beam.wavelength),
        "fluence": np.float64(experiment.beam.fluence),
    }


def spots_of(experiment: ResolvedExperiment) -> dict[str, np.ndarray]:
    """The spots that the crystal puts on the detector, as `nanobragg-py view --predict` marks them.

    hkl: (n, 3) int. position: (n, 2), fast and slow in pixels, 0 at the first pixel's corner. amplitude: (n,),
    electrons, structure factors of the table. n differs from image to image.
    """
    from .inspect.predictions import amplitudes, predict

    hkl, fast, slow = predict(experiment)
    return {
        "hkl": hkl,
        "position": np.stack((fast, slow), axis=-1),
        "amplitude": amplitudes(experiment.structure_factors, hkl),
    }


class Images:
    """The images of a batch job, rendered when they are asked for: ``Images(job)[i]`` is (image, labels).

    job: a `batch.Job`, or the name of a job file. dtype: of the images. labels: False gives the image alone. spots:
    put the predicted spots under "spots" among the labels (see `spots_of`). transform: called with (image, labels), or
    with the image alone; what it returns is given. threads: of one image.

    Image i depends on the job and on i alone, so any order, any number of workers and any process give the same
    images. An object may be pickled and used after a fork; every process reads structure factors once.

    Raises NanoBraggError for a job that cannot be read, IndexError for an image that it does not have.
    """

    def __init__(
        self,
        job: Job | str | os.PathLike[str],
        *,
        dtype: Any = np.float32,
        labels: bool = True,
        spots: bool = False,
        transform: Callable[..., Any] | None = None,
        threads: int = 1,
    ) -> None:
        if spots and not labels:
            raise FieldError("spots is True and labels is False; spots are among the labels")
        self.job: Any = job if isinstance(job, Job) else read_job(job)
        self.dtype: Any = np.dtype(dtype)
        self.labels: bool = labels
        self.spots: bool = spots
        self.transform: Callable[..., Any] | None = transform
        self.threads: int = threads
        self._made: tuple[int, Maker] | None = None

    def __getstate__(self) -> dict[Any, Any]:
        return {**self.__dict__, "_made": None}

    def __repr__(self) -> str:
        return f"<Images of {self.job.name}: {len(self)}>"

    @property
    def maker(self) -> Maker:
        """What makes the images, one for each process."""
        if self._made is None or self._made[0] != os.getpid():
            self._made = os.getpid(), Maker(self.job, self.threads)
        return self._made[1]

    def __len__(self) -> int:
        return len(self.job)

    def __getitem__(self, index: int) -> Any:
        at = int(index)
        if at < 0:
            at += len(self)
        if not 0 <= at < len(self):
            raise IndexError(f"{self.job.name} has no image {index}; they go from 0 to {len(self) - 1}")
        made = self.maker.make(at)
        image = made.pixels.astype(self.dtype, copy=False)
        if not self.labels:
            return image if self.transform is None else self.transform(image)
        resolved = made.experiment.resolved
        told = labels_of(at, resolved)
        if self.spots:
            told["spots"] = spots_of(resolved)
        return (image, told) if self.transform is None else self.transform(image, told)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def stream(self, shuffle: bool = True, seed: int = 0) -> Any:
        """A data set to iterate over: every pass gives every image once.

        shuffle: in an order of its own each pass, which depends on the seed and the number of the pass alone. Workers
        of a DataLoader each take their share of it. Where PyTorch has been imported, it is an IterableDataset of that.
        """
        torch = sys.modules.get("torch")
        if torch is None:
            return Stream(self, shuffle, seed)
        kind = type("TorchStream", (Stream, torch.utils.data.IterableDataset), {"__reduce__": _reduced})
        return kind(self, shuffle, seed)


class Stream:
    """What `Images.stream` gives. epoch: the number of the next pass; settable."""

    def __init__(self, images: Images, shuffle: bool, seed: int) -> None:
        self.images: Images = images
        self.shuffle: bool = shuffle
        self.seed: int = seed
        self.epoch: Any = 0

    def __len__(self) -> int:
        return len(self.images)

    def order(self, epoch: int) -> np.ndarray:
        """The images' numbers in the order of a pass."""
        if not self.shuffle:
            return np.arange(len(self))
        return np.random.Generator(np.random.Philox(key=[self.seed, epoch])).permutation(len(self))

    def __iter__(self) -> Iterator[Any]:
        worker, workers = 0, 1
        torch = sys.modules.get("torch")
        if torch is not None and (info := torch.utils.data.get_worker_info()) is not None:
            worker, workers = info.id, info.num_workers
        order = self.order(self.epoch)
        self.epoch += 1
        return (self.images[index] for index in order[worker::workers])


def _reduced(stream):
    """A TorchStream is made anew where it is unpickled: its class has no name of its own."""
    return _restored, (stream.images, stream.shuffle, stream.seed, stream.epoch)


def _restored(images, shuffle, seed, epoch):
    import torch.utils.data  # noqa: F401, so that it becomes a TorchStream again

    stream = images.stream(shuffle, seed)
    stream.epoch = epoch
    return stream
