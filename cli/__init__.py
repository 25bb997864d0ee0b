"""The programs: nanoBragg, and nanobragg-py with its tools."""
