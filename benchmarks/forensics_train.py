"""What the detector learns from: crops of real faces, of self-blended ones, and of made ones.

Imported by `forensics.py`. Every face is worn in a few random ways; features are kept, pictures
are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from forensics_blend import Wear, blend, coded_anyhow, seen, small_map, view
from forensics_faces import Faces

from likeness.nets.forensic import ForensicNet

TIMES = {"photo": 12, "gray": 4, "clip": 6, "actor": 3}
"""Ways in which a face of each kind is worn."""
FAKE_TIMES = 6
GROUP = 8
CELLS = 24
"""Cells of each crop that the map learns from."""


@dataclass(frozen=True, eq=False)
class Learned:
    """Features of crops, and of some of their cells."""

    whole: np.ndarray
    """(n,F)."""
    cells: np.ndarray
    """(m,3C)."""
    changed: np.ndarray
    """(m,) whether each cell was changed."""


def learn(
    network: ForensicNet, faces: Faces, kept: Path, *, blended: bool, seed: int = 7
) -> Learned:
    """Look at the training people's faces, or read what an earlier call found."""
    if not kept.is_file():
        rng, parts = np.random.default_rng(seed), []
        waiting: list[tuple[np.ndarray, np.ndarray]] = []
        for row in faces.where("train"):
            for _ in range(TIMES.get(str(faces.kinds[row]), FAKE_TIMES)):
                waiting.append(_worn(faces, row, blended, rng))
                if len(waiting) == GROUP:
                    parts.append(_looked(network, waiting, rng))
                    waiting = []
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        np.savez(kept, whole=columns[0], cells=columns[1], changed=columns[2])
    with np.load(kept) as file:
        return Learned(file["whole"], file["cells"], file["changed"])


def times_of(faces: Faces) -> np.ndarray:
    """(n,) how often each of the training people's faces is worn."""
    rows = faces.where("train")
    return np.array([TIMES.get(str(kind), FAKE_TIMES) for kind in faces.kinds[rows]])


def _worn(
    faces: Faces, row: int, blended: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return a crop (h,w,3) and the cells that were changed (MAP,MAP)."""
    picture, mask = faces.pictures[row].astype(np.float32) / 255, np.zeros((224, 224), np.float32)
    if blended:
        _, picture, mask, _ = blend(picture, faces.landmarks[row], rng)
    elif rng.random() < 0.5:
        # The ground of a blended face is retouched half of the time: that alone is no forgery.
        picture = blend(picture, faces.landmarks[row], rng)[0]
    place = view(picture.shape[0], rng)
    return Wear(rng)(seen(picture, place)), small_map(seen(mask, place))


def _looked(
    network: ForensicNet, worn: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    crops = coded_anyhow([crop for crop, _ in worn], rng)
    with torch.inference_mode():
        cells = network.cells(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2))
        whole, around = network.features(cells), network.around(cells)
    places = around.permute(0, 2, 3, 1).reshape(len(worn), -1, around.shape[1]).numpy()
    chosen = rng.choice(places.shape[1], CELLS, replace=False)
    changed = np.stack([where.ravel()[chosen] for _, where in worn])
    return whole.numpy(), places[:, chosen].reshape(-1, places.shape[2]), changed.ravel()
