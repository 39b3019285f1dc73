"""Named vertex lists of the face."""

from __future__ import annotations

import numpy as np
from face_topology import Floats, Ints, graph_distance, rings
from mediapipe.python.solutions import face_mesh_connections as lists

# fmt: off
RIGID = (4, 5, 6, 10, 21, 54, 67, 93, 103, 109, 122, 127, 151, 162, 168, 193, 195, 197, 234, 251,
         284, 297, 323, 332, 338, 351, 356, 389, 417, 454)
# fmt: on
"""Vertices that the head moves and hardly any expression does."""


def regions(mean: Floats, faces: Ints, twin: Ints) -> dict[str, Ints]:
    """All regions; ordered ones first. Right is the person's right, image left."""
    ordered = rings()
    right, left = ordered["right_eye"], ordered["left_eye"]
    inner = ordered["lips_inner"]
    result = dict(ordered)
    for name, ring in (("right", right), ("left", left)):
        result[f"{name}_lid_upper"] = ring[1:8]
        result[f"{name}_lid_lower"] = ring[:8:-1]
        result[f"{name}_eye_corners"] = ring[[0, 8]]
    result["lip_upper_inner"] = inner[1:10]
    result["lip_lower_inner"] = inner[:10:-1]
    result["mouth_corners"] = np.array([61, 291])
    result["lip_middle"] = np.array([13, 14])
    brow = np.unique(np.array(sorted(lists.FACEMESH_RIGHT_EYEBROW)).ravel())
    result["right_brow"], result["left_brow"] = brow, np.sort(twin[brow])

    def near(seeds: list[int], reach: float) -> Ints:
        return np.where(graph_distance(faces, mean, np.array(seeds, np.int64)) < reach)[0]

    eyes = np.concatenate([near([159, 145, 33, 133], 9.0), near([386, 374, 263, 362], 9.0)])
    lips = near([0, 17, 61, 291, 37, 267, 84, 314, 39, 269, 181, 405, 40, 270, 91, 321], 5.0)
    result["lips"] = np.union1d(lips, np.concatenate([inner, ordered["lips_outer"]]))
    result["mouth"] = near([0, 17, 61, 291, 13, 14], 18.0)
    result["eyes"] = np.unique(eyes)
    nose = near([4, 1, 5, 195, 197, 98, 327, 129, 358, 6], 12.0)
    result["nose"] = np.setdiff1d(nose, np.union1d(result["lips"], result["eyes"]))
    taken = np.concatenate([result[k] for k in ("eyes", "lips", "nose")])
    high = mean[:, 1] < mean[[105, 334, 9], 1].min()
    result["forehead"] = np.setdiff1d(np.where(high)[0], taken)
    cheek = near([50, 280, 205, 425, 117, 346], 20.0)
    result["cheeks"] = np.setdiff1d(cheek, taken)
    low = mean[:, 1] > mean[[61, 291], 1].mean() - 4.0
    result["jaw"] = np.setdiff1d(np.where(low)[0], np.union1d(result["lips"], result["cheeks"]))
    result["midline"] = np.where(twin == np.arange(len(twin)))[0]
    result["twin"] = twin
    result["rigid"] = np.array(RIGID)
    return {name: np.asarray(indices, np.int64) for name, indices in result.items()}
