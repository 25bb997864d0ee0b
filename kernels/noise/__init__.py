"""Noise: the generators of random numbers and photon counts drawn with them."""
