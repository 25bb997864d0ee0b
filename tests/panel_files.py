"""An experiment list with groups of panels, for tests."""

import json

import numpy as np

import nanobragg_py as nb


def turn(axis, degrees):
    return nb.axis_rotation(axis, np.radians(degrees))


def hierarchical(tmp_path, change=lambda content: None):
    """An experiment list with two tilted groups of two panels; and where those are, worked out here, mm, imgcif."""

    def node(rotation, origin, **more):
        fast, slow, _ = rotation.T
        return {"fast_axis": fast.tolist(), "slow_axis": slow.tolist(), "origin": list(origin), **more}

    flip = np.diag([1.0, -1.0, -1.0])
    root = turn((0.1, 1, 0.2), 12) @ flip, np.array([1.0, 2.0, -120.0])
    groups = [(turn((0, 0, 1), 3 * n + 1), np.array([-60.0 + 62 * n, -50.0, 0.5 * n])) for n in range(2)]
    own = [(turn((1, 0, 0.3), 0.5 * m), np.array([float(m), 26.0 * m, 0.0])) for m in range(2)]
    panels, truth, children = [], [], []
    for n, (R, o) in enumerate(groups):
        below = []
        for m, (r, p) in enumerate(own):
            below.append({"panel": len(panels)})
            panels.append(
                node(r, p, name=f"q{n}m{m}", pixel_size=[0.1, 0.1], image_size=[60, 40], thickness=0.0, mu=0.0)
            )
            turned = root[0] @ R @ r
            truth.append((root[0] @ (R @ p + o) + root[1], turned[:, 0], turned[:, 1]))
        children.append(node(R, o, name=f"q{n}", children=below))
    content = {
        "__id__": "ExperimentList",
        "experiment": [{"beam": 0, "detector": 0, "goniometer": 0}],
        "beam": [{"direction": [0.0, 0.0, 1.0], "wavelength": 1.1}],
        "goniometer": [{"rotation_axis": [1.0, 0.0, 0.0]}],
        "detector": [{"panels": panels, "hierarchy": node(*root, name="root", children=children)}],
    }
    change(content)
    path = tmp_path / "h.expt"
    path.write_text(json.dumps(content))
    return path, truth


def side_by_side():
    """Three panels that differ in size, two of them beside one another in the image that holds all."""
    sizes = {"left": ((0, 0), (12, 16)), "right": ((12, 16), (14, 15)), "below": ((16, 0), (10, 16))}
    pixel = 4e-4
    return [
        nb.Panel(
            name=name,
            origin=(0.05, (fast - 15.5) * pixel, (13 - slow) * pixel),
            fast=(0, 1, 0),
            slow=(0, 0, -1),
            pixel_size=pixel,
            fpixels=fpixels,
            spixels=spixels,
            corner=(slow, fast),
        )
        for name, ((slow, fast), (spixels, fpixels)) in sizes.items()
    ]
