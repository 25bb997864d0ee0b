"""Run by a Python that has dxtbx: prints as JSON what dxtbx makes of images, the pixels of all of them as .npy files.

python dxtbx_read.py FOLDER IMAGE...
"""

import json
import sys

import numpy
from dxtbx.model.experiment_list import ExperimentListFactory

folder, images = sys.argv[1], sys.argv[2:]
sweeps = []
for number, experiment in enumerate(ExperimentListFactory.from_filenames(images)):
    panel, beam, scan = experiment.detector[0], experiment.beam, experiment.scan
    for index in range(len(experiment.imageset)):
        pixels = experiment.imageset.get_raw_data(index)[0].as_numpy_array()
        numpy.save(f"{folder}/{number}_{index}.npy", pixels)
    sweeps.append(
        {
            "images": len(experiment.imageset),
            "origin": panel.get_origin(),
            "fast": panel.get_fast_axis(),
            "slow": panel.get_slow_axis(),
            "pixel": panel.get_pixel_size(),
            "size": panel.get_image_size(),
            "distance": panel.get_distance(),
            "wavelength": beam.get_wavelength(),
            "source": beam.get_sample_to_source_direction(),
            "beam_centre": panel.get_beam_centre(beam.get_s0()),
            "axis": experiment.goniometer.get_rotation_axis() if experiment.goniometer else None,
            "oscillation": scan.get_oscillation() if scan else None,
        }
    )
print(json.dumps(sweeps))
