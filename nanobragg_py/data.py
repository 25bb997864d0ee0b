"""Images for learning: a batch job as a data set, every image rendered when it is asked for, with what is true of it.

`Images` is a map-style data set, with random access and a length, as PyTorch's DataLoader takes it; `Images.stream`
gives one to iterate over, shuffled anew every epoch and divided among workers. Neither needs PyTorch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .batch import labels
from .batch.images import Maker
from .batch.jobs import Job, read_job
from .errors import FieldError

#: what the labels of an image are
LABELS = ("index", *labels.LABELS)


class Images:
    """The images of a batch job, rendered when they are asked for: ``Images(job)[i]`` is (image, labels).

    job: a `batch.Job`, or the name of a job file. dtype: of the images. labels: False gives the image alone. spots:
    put the spots that should be there under "spots" among the labels (see `batch.labels.spots_of`). transform: called
    with (image, labels), or with the image alone; what it returns is given. threads: of one image.

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
            self._made = os.getpid(), Maker(self.job, self.threads, workers_of_loader()[0])
        return self._made[1]

    def __len__(self) -> int:
        return len(self.job)

    def __getitem__(self, index: int) -> Any:
        return self._told(self.maker.make(self._number(index), spots=self.spots))

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Several images; PyTorch asks for those of a batch in this way. A GPU renders them together."""
        made = self.maker.make_many([self._number(index) for index in indices], self.spots)
        return [self._told(one) for one in made]

    def _number(self, index):
        at = int(index)
        if at < 0:
            at += len(self)
        if not 0 <= at < len(self):
            raise IndexError(f"{self.job.name} has no image {index}; they go from 0 to {len(self) - 1}")
        return at

    def _told(self, made):
        """What is given of an image."""
        panels = made.pixels
        if isinstance(panels, list):  # of several sizes
            image: Any = [each.astype(self.dtype, copy=False) for each in panels]
        else:
            image = panels.astype(self.dtype, copy=False)
        if not self.labels:
            return image if self.transform is None else self.transform(image)
        told = labels.labels_of(made.index, made.experiment.resolved)
        if self.spots:
            told["spots"] = made.spots
        return (image, told) if self.transform is None else self.transform(image, told)

    def __iter__(self) -> Iterator[Any]:
        return self._each(range(len(self)))

    def _each(self, indices):
        return (self._told(made) for made in self.maker.make_many(map(int, indices), self.spots))

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
        worker, workers = workers_of_loader()
        order = self.order(self.epoch)
        self.epoch += 1
        return self.images._each(order[worker::workers])


def workers_of_loader() -> tuple[int, int]:
    """(number of this process's worker, how many there are) of PyTorch's DataLoader; (0, 1) elsewhere."""
    torch = sys.modules.get("torch")
    info = None if torch is None else torch.utils.data.get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)


def _reduced(stream):
    """A TorchStream is made anew where it is unpickled: its class has no name of its own."""
    return _restored, (stream.images, stream.shuffle, stream.seed, stream.epoch)


def _restored(images, shuffle, seed, epoch):
    import torch.utils.data  # noqa: F401, so that it becomes a TorchStream again

    stream = images.stream(shuffle, seed)
    stream.epoch = epoch
    return stream
