"""The detectors that are trained: one without any method, one without each, and what is shipped.

Imported by `forensics.py`. Some of the training people are kept aside; on them it is settled how
much each of both networks counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from forensics_face import FaceSchedule, look_whole, train_face
from forensics_looks import DONORS, Looks
from forensics_numbers import auc, fit_head
from forensics_pairs import Pairs
from forensics_train import Schedule
from forensics_tune import tune

from likeness.nets.forensic import ForensicNet
from likeness.nets.forensic_face import ForensicFaceNet
from likeness.verify.detector import Detector

ASIDE = 0.15
"""Share of the training people that are kept aside."""


@dataclass(frozen=True)
class Plan:
    """Minutes of training."""

    face: float = 5.0
    """The network for whole faces, on donors alone."""
    face_more: float = 2.0
    """The same, on methods too, for every method that is left out and for all."""
    fine: float = 8.0
    """The network for the finest detail, on donors."""
    fine_more: float = 2.0

    def times(self, factor: float) -> Plan:
        """Return a plan that takes so much longer."""
        return Plan(*(factor * minutes for minutes in astuple(self)))


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
    first: ForensicNet, pairs: Pairs, looks: Looks, methods: Sequence[str], work: Path, plan: Plan
) -> Taught:
    """Train all detectors, or read what an earlier call trained.

    Args:
        first: the network for the finest detail, after self-blended pairs.
        pairs: these pairs.
        looks: what donors and methods made of training people.
        methods: each is left out once.
        work: where networks are kept.
        plan: how long.
    """
    aside = aside_of(looks.people)
    changed = looks.methods != "real"
    donors = np.isin(looks.methods, DONORS)
    one = (looks, aside)
    fine = tune(first, pairs, looks, np.flatnonzero(changed & donors & ~aside),
                work / "fine_donors.pt", Schedule(plan.fine, rate=1.5e-3))  # fmt: skip
    face = train_face(looks, np.flatnonzero(changed & donors & ~aside), work / "face_donors.pt",
                      FaceSchedule(plan.face))  # fmt: skip
    made = {}
    for left in ("", *methods):
        rows = np.flatnonzero(changed & ~aside & (looks.methods != left))
        name = left or "none"
        print(f"without {name}", flush=True)
        more = train_face(looks, rows, work / f"face_without_{name}.pt",
                          FaceSchedule(plan.face_more, rate=1e-3), face)  # fmt: skip
        finer = tune(fine, pairs, looks, rows, work / f"fine_without_{name}.pt",
                     Schedule(plan.fine_more, rate=7e-4))  # fmt: skip
        made[left] = joined(finer, more, *one, {left})
    every = made.pop("")
    seen = set(np.unique(looks.methods)) - {*DONORS, "real"}
    return Taught(joined(fine, face, *one, seen), made, every)


def aside_of(people: np.ndarray) -> np.ndarray:
    """(n,) whose pictures are kept aside."""
    names, index = np.unique(people, return_inverse=True)
    chances = [int(hashlib.sha256(f"aside {name}".encode()).hexdigest()[:8], 16) / 2**32
               for name in names]  # fmt: skip
    return (np.array(chances) < ASIDE)[index]


def joined(
    fine: ForensicNet, face: ForensicFaceNet, looks: Looks, aside: np.ndarray, hidden: set[str]
) -> Detector:
    """Settle what both networks count for, on people kept aside and without some methods."""
    rows = np.flatnonzero(aside & ~np.isin(looks.methods, list(hidden)))
    numbers = np.stack([look_windows(fine, looks, rows), look_whole(face, looks.whole[rows])], -1)
    names = looks.methods[rows]
    real = numbers[names == "real"]
    head = fit_head([real], [numbers[names == name] for name in np.unique(names) if name != "real"])
    shares = (float(head.weights[0]), float(head.weights[1]))
    print(f"shares {shares[0]:.2f} and {shares[1]:.2f}; AUC on people kept aside: " + ", ".join(
        f"{name} " + "/".join(f"{auc(real @ mix, numbers[names == name] @ mix):.2f}"
                              for mix in (np.array([1, 0]), np.array([0, 1]), np.array(shares)))
        for name in np.unique(names) if name != "real"), flush=True)  # fmt: skip
    return Detector(fine, face, shares)


def look_windows(network: ForensicNet, looks: Looks, rows: np.ndarray) -> np.ndarray:
    """(n,) evidence in windows."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), 16):
            some = rows[start : start + 16]
            x = torch.from_numpy(looks.window[some]).permute(0, 3, 1, 2).float() / 255
            oval = torch.from_numpy(looks.oval[some])[:, None].float() / 255
            found.append(network(x.contiguous(), oval)[0])
    return torch.cat(found).numpy()
