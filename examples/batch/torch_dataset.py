"""Images of a batch job as a data set of PyTorch, rendered while they are used: python torch_dataset.py stills.toml"""

import sys

import torch

from nanobragg_py.batch import iter_images, read_job


class Stills(torch.utils.data.IterableDataset):
    """Images of a job as float32 tensors, with the orientation that they show."""

    def __init__(self, name):
        self.job = read_job(name)

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        for image, told in iter_images(self.job, range(first, len(self.job), step), labels=True):
            yield torch.from_numpy(image.astype("float32")), torch.tensor(told["crystal.orientation"])


def main():
    # processes that are forked after an image was rendered with several threads would hang
    loader = torch.utils.data.DataLoader(
        Stills(sys.argv[1]), batch_size=4, num_workers=2, multiprocessing_context="spawn"
    )
    for number, (images, orientations) in enumerate(loader):
        print(f"batch {number}: {tuple(images.shape)} {tuple(orientations.shape)}, mean {images.mean():.2f}")


if __name__ == "__main__":
    main()
