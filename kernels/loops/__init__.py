"""Loops: from an experiment in arrays to sums over pixels, on the CPU and the GPU."""
