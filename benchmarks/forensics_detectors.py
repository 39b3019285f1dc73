"""The detectors that are trained: one without any method, one without each, and what is shipped.

Imported by `forensics.py`. They share their networks, which were shown no method; what differs is
the last layer of the network for whole faces. How much each of both networks counts is not fitted:
each is divided by its spread over untouched faces of training people.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from forensics_face import PENALTY, FaceSchedule, features_of, set_head, train_face
from forensics_faces import Faces
from forensics_looks import DONORS, Looks
from forensics_numbers import Head, fit_head
from forensics_train import evidence_of
from forensics_views import VIEWS

from likeness.nets.forensic import ForensicNet
from likeness.nets.forensic_whole import ForensicWholeNet
from likeness.verify.detector import Detector

EACH = 150
"""Pictures of each method and kind of donor that last layers are fitted on, and of untouched."""


@dataclass(frozen=True, eq=False)
class Taught:
    """Detectors by what they have learned from."""

    blind: Detector
    """Donors alone: it was shown no method."""
    without: Mapping[str, Detector]
    """Donors, and all methods but this one."""
    every: Detector
    """Donors and all methods."""


def teach(
    fine: ForensicNet,
    faces: Faces,
    looks: Looks,
    methods: Sequence[str],
    recognizer: Path,
    work: Path,
    schedule: FaceSchedule,
) -> Taught:
    """Train all detectors, or read what an earlier call trained.

    Args:
        fine: the network for the finest detail, after self-blended pairs.
        faces: real faces of training people.
        looks: what donors and methods made of them.
        methods: each is left out once.
        recognizer: bundle of dlib's recognizer.
        work: where networks are kept.
        schedule: how long the network for whole faces is trained.
    """
    donors = np.flatnonzero(np.isin(looks.methods, DONORS))
    face = train_face(looks, donors, recognizer, work / "face.pt", schedule)
    photos = faces.take(np.flatnonzero(faces.kinds == "photo"))
    spread = float(evidence_of(fine, photos, VIEWS["CRF 18"]).std())
    names, features = _chosen(face, looks, work / "face_features.npz")

    def joined(left: set[str], own: bool = False) -> Detector:
        whole = copy.deepcopy(face)
        if not own:
            kinds = [name for name in np.unique(names) if name not in {"real", *left}]
            real = features[names == "real"]
            parts = [features[names == name] for name in kinds]
            set_head(whole, fit_head([real], parts, PENALTY))
        told = features[names == "real"] @ head_of(whole).weights
        return Detector(fine, whole, (1 / spread, 1 / float(told.std())))

    return Taught(joined(set(), own=True), {name: joined({name}) for name in methods},
                  joined(set()))  # fmt: skip


def head_of(network: ForensicWholeNet) -> Head:
    """Return a network's last layer."""
    weights = network.whole.weight[0].detach().numpy().copy()
    return Head(weights, float(network.whole.bias.detach()))


def _chosen(face: ForensicWholeNet, looks: Looks, kept: Path) -> tuple[np.ndarray, np.ndarray]:
    """Names and features of some pictures of each kind."""
    if not kept.is_file():
        rng, rows = np.random.default_rng(0), []
        for name in np.unique(looks.methods):
            every = np.flatnonzero(looks.methods == name)
            count = EACH * (4 if name == "real" else 1)
            rows.append(rng.choice(every, min(count, len(every)), replace=False))
        chosen = np.sort(np.concatenate(rows))
        found = features_of(face, looks.whole[chosen])
        np.savez(kept, names=looks.methods[chosen], features=found)
    with np.load(kept) as file:
        return file["names"], file["features"]
