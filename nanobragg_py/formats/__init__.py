"""Files of other programs: detector images and crystal orientations, one module a format.

geometry: where beam, spindle and detector are, in the frames that the formats want; every writer starts from it, and
flags makes it from a command line. image: reading of SMV, CBF, npy and bare floats. cbf (with imgcif), nexus, tiff,
npy, png: writing. oriented: a crystal in the laboratory; mosflm, xds and dials_expt read and write it. describe, rings,
predictions, picture, terminal: what `info` and `view` say and draw. completeness: of structure factors.

Everything here needs numpy; what more a format needs is imported when it is used (`extras.need`).
"""
