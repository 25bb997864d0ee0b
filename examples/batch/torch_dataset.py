"""Images of a batch job as a data set of PyTorch, rendered while they are used: python torch_dataset.py stills.toml"""

import sys

from torch.utils.data import DataLoader

from nanobragg_py.data import Images


def main():
    # shuffled anew every pass
    loader = DataLoader(Images(sys.argv[1]), shuffle=True, batch_size=4, num_workers=2)
    for number, (images, labels) in enumerate(loader):
        orientations = labels["quaternion"]
        print(f"batch {number}: {tuple(images.shape)} {tuple(orientations.shape)}, mean {images.mean():.2f}")


if __name__ == "__main__":
    main()
