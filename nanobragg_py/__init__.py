"""nanobragg_py: X-ray diffraction images of nanocrystals, a drop-in replacement for nanoBragg."""

__version__ = "0.1.0"
