"""The files: one module a format, each with its reading and its writing.

hkl: structure factors, as text and as dump files. smv: detector images. pgm: greyscale pictures. matrix: orientation
matrices. table: columns of numbers. reading and atomic hold what the formats share: whole files in, and files out that
appear whole or not at all.
"""
