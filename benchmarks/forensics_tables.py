"""Last layers, calibration and the tables on single pictures. Imported by `forensics.py`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from forensics_blend import blend
from forensics_detectors import head_of
from forensics_face import features_of
from forensics_faces import Faces, split_of
from forensics_numbers import auc, equal_error, interval, platt
from forensics_train import evidence_of, look, wholes
from forensics_views import JUDGED, VIEWS, between_eyes

from likeness.nets.forensic import STRIDE, ForensicNet
from likeness.types import Clip, FaceTrack, Window
from likeness.verify.detector import Detector
from likeness.verify.faces import sight
from likeness.verify.learned import Calibration
from likeness.verify.signal import Scene
from likeness.verify.spectrum import SpectrumSignal

LEAST = 45.0
"""Pixels between the outer eye corners from which faces are judged."""
RARE = 5e-3
"""Share of real pictures that may raise an alarm: half of the one in a hundred that is asked."""
PIECE = 3
"""Faces of a clip that count as one piece, about a second apart."""
HELD = ("calibrate", "test")
SIZES = (0, 70, 90, 1000)


class Viewer:
    """What a detector makes of faces in a view, looked at once and kept."""

    def __init__(self, detector: Detector, work: Path) -> None:
        self.detector, self._work = detector, work / "numbers"
        self._work.mkdir(exist_ok=True)

    def __call__(self, name: str, faces: Faces, split: str, view: str) -> np.ndarray:
        """Return numbers (n,) of one split of `name`'s faces in one view."""
        networks, key = self.detector, f"{name}_{split}_{view.replace(' ', '')}"
        some, way = faces.of(split), VIEWS[view]
        first = self._kept(f"fine_{key}", lambda: evidence_of(networks.fine, some, way))
        whole = self._kept(f"whole_{key}", lambda: wholes(some, way))
        found = self._kept(f"face_{key}", lambda: features_of(networks.face, whole))
        return networks.shares[0] * first + networks.shares[1] * head_of(networks.face)(found)

    def _kept(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        kept = self._work / f"{name}.npy"
        if not kept.is_file():
            np.save(kept, make())
        return np.load(kept)


def left_out(
    viewers: Mapping[str, Viewer], faces: Faces, fakes: Mapping[str, Faces], title: str
) -> None:
    """Print how well detectors do on people never seen.

    Args:
        viewers: by the method that is measured with it.
        faces: real ones.
        fakes: by method.
        title: what the detectors have learned from.
    """
    photos = _photos(faces)
    who = _held(photos).people
    print(f"\n{len(who)} photos of {len(set(who))} people never seen against what methods make of "
          f"them; {title} (AUC, 95 % by drawing people)\n")  # fmt: skip
    print(f"| method | faces | {' | '.join(VIEWS)} | equal error |")
    print(f"|{'---|' * (len(VIEWS) + 3)}")
    for method, made in fakes.items():
        whose, cells, error = _held(made).people, [], 0.0
        for name in VIEWS:
            real = _numbers(viewers[method], "photo", photos, name)
            fake = _numbers(viewers[method], method, made, name)
            low, high = interval(auc, (real, fake), (who, whose))
            cells.append(f"{auc(real, fake):.2f} ({low:.2f}-{high:.2f})")
            error = error or equal_error(real, fake)
        print(f"| {method} | {len(whose)} | {' | '.join(cells)} | {error:.2f} |", flush=True)


def by_size(look_at: Viewer, faces: Faces, fakes: Mapping[str, Faces]) -> None:
    """Print the same by how large faces are, all methods together."""
    photos = _photos(faces)
    print("\n| pixels between the eyes' outer corners | real | made | CRF 18 | CRF 28 |")
    print("|---|---|---|---|---|")
    for low, high in itertools.pairwise(SIZES):
        cells, counts = [], (0, 0)
        for name in ("CRF 18", "CRF 28"):
            told = []
            for method, made in fakes.items():
                real = _numbers(look_at, "photo", photos, name)
                fake = _numbers(look_at, method, made, name)
                rows = [_within(_held(one), low, high) for one in (photos, made)]
                if min(one.sum() for one in rows):
                    told.append((auc(real[rows[0]], fake[rows[1]]), *(one.sum() for one in rows)))
            if told:
                weights = [one[2] for one in told]
                cells.append(f"{np.average([one[0] for one in told], weights=weights):.2f}")
                counts = told[0][1], sum(weights)
        print(f"| {low} to {high} | {counts[0]} | {counts[1]} | {' | '.join(cells)} |")


def calibrate(look_at: Viewer, faces: Faces, fakes: Mapping[str, Faces]) -> Calibration:
    """Fit the probability and both of its bounds on people that were in no other set."""
    real = np.concatenate([look_at(kind, some, "calibrate", name)
                           for kind, some in _kinds(faces).items() for name in JUDGED])  # fmt: skip
    fake = np.concatenate([look_at(method, made, "calibrate", name)
                           for method, made in fakes.items() for name in JUDGED])  # fmt: skip
    # Methods were shown photos: set against other kinds of pictures, it would tell the kinds.
    photo = np.concatenate([look_at("photo", _photos(faces), "calibrate", name)
                            for name in JUDGED])  # fmt: skip
    scale, shift = platt(photo, fake)
    steps = np.quantile(real, np.linspace(0, 1, 201))
    count = sum(len(one.of("calibrate")) for one in _kinds(faces).values())
    known = Calibration(scale, shift, 1.0, 0.0, LEAST, tuple(steps.round(4).tolist()), count)
    told = np.array([known.probability(float(value)) for value in fake])
    # The worst of so few people is no bound for others: the tail behind their upper tenth is
    # taken for exponential (Pickands 1975), and the alarm lies where so few get, and none of them.
    start = float(np.quantile(real, 0.9))
    tail = float((real[real > start] - start).mean())
    alarm = known.probability(max(start + tail * np.log(0.1 / RARE), float(real.max())))
    calm = min(alarm, max(0.02, float(np.quantile(told, 0.10))))
    print(f"\nthe number is {scale:.2f} times the log odds, less {-shift:.2f}; real pictures reach "
          f"{real.max():.2f}, the tail starts at {start:.2f} and has {tail:.2f}")  # fmt: skip
    return replace(known, alarm=alarm, calm=calm)


def reliability(
    look_at: Viewer, known: Calibration, faces: Faces, fakes: Mapping[str, Faces]
) -> None:
    """Print false alarms, what is found and what cannot be told, on people never seen."""
    print(f"\nalarm from {known.alarm:.3f}, calm up to {known.calm:.3f}\n")
    print("| view | real | made | false alarms | found | cannot tell, real | cannot tell, made |")
    print("|---|---|---|---|---|---|---|")
    pooled: list[np.ndarray] = []
    for name in VIEWS:
        real, people = _told(look_at, known, _kinds(faces), name)
        fake, others = _told(look_at, known, fakes, name)
        low, high = interval(lambda one, _: float((one >= known.alarm).mean()), (real, fake),
                             (people, others))  # fmt: skip
        print(f"| {name} | {len(real)} | {len(fake)} | {(real >= known.alarm).mean():.1%} "
              f"({low:.1%}-{high:.1%}) | {(fake >= known.alarm).mean():.1%} | "
              f"{_between(real, known):.1%} | {_between(fake, known):.1%} |")  # fmt: skip
        if name in JUDGED:
            photo = _told(look_at, known, {"photo": _photos(faces)}, name)[0]
            pooled.append(_weighted(photo, fake))
    told, truth, weights = np.concatenate(pooled, 1)
    print("\n| probability | said | true | share |\n|---|---|---|---|")
    for low in np.arange(0, 1, 0.1):
        inside = (told >= low) & (told < low + 0.1 + 1e-9 * (low > 0.85))
        if inside.any():
            share = weights[inside].sum()
            print(f"| {low:.1f}-{low + 0.1:.1f} | {(told * weights)[inside].sum() / share:.2f} | "
                  f"{(truth * weights)[inside].sum() / share:.2f} | "
                  f"{share / weights.sum():.2f} |")  # fmt: skip


def coverage(look_at: Viewer, known: Calibration, faces: Faces, fakes: Mapping[str, Faces]) -> None:
    """Print how often it is wrong where it must answer for a part of the pictures only."""
    photos = {"photo": _photos(faces)}
    parts = [
        _weighted(_told(look_at, known, photos, name)[0],
                  _told(look_at, known, fakes, name)[0])
        for name in JUDGED
    ]  # fmt: skip
    told, truth, weights = np.concatenate(parts, 1)
    order = np.argsort(-np.abs(told - 0.5))
    wrong = ((told >= 0.5) != (truth > 0))[order] * weights[order]
    share = np.cumsum(weights[order]) / weights.sum()
    print("\n| share of pictures answered | wrong |\n|---|---|")
    for part in (1.0, 0.8, 0.6, 0.4, 0.2, 0.1):
        last = int(np.searchsorted(share, part - 1e-9)) + 1
        print(f"| {part:.0%} | {wrong[:last].sum() / weights[order][:last].sum():.1%} |")


def pieces(look_at: Viewer, known: Calibration, faces: Faces) -> None:
    """Print what it says of real clips in pieces: the mean of a few neighboring faces."""
    shown = _kinds(faces)["clip"]
    print(f"\n| real clip | pieces of {PIECE} faces | " + " | ".join(VIEWS) + " |")
    print(f"|{'---|' * (len(VIEWS) + 2)}")
    for split in HELD:
        cells, count = [], len(shown.of(split)) // PIECE
        if not count:
            continue
        for name in VIEWS:
            numbers = look_at("clip", shown, split, name)[: count * PIECE]
            means = numbers.reshape(count, PIECE).mean(1)
            told = np.array([known.probability(float(mean)) for mean in means])
            cells.append(f"{(told >= known.alarm).sum()} alarms, {told.max():.2f}")
        print(f"| {shown.of(split).people[0]}, {split} | {count} | {' | '.join(cells)} |")


def localization(network: ForensicNet, faces: Faces) -> None:
    """Print, per region that was blended, how well the map tells changed places from others."""
    rng, told = np.random.default_rng(3), dict[str, list[float]]()
    shown = _photos(faces).of("test")
    for picture, points in zip(
        shown.pictures * 2, np.tile(shown.landmarks, (2, 1, 1)), strict=True
    ):
        _, changed, mask, region = blend(picture.astype(np.float32) / 255, points, rng)
        where = look(network, VIEWS["CRF 18"](changed), points)[1]
        place = sight(points, mask.shape)
        blocks = place.of(mask).reshape(where.shape[0], STRIDE, where.shape[1], STRIDE)
        truth = blocks.mean((1, 3)) > 0.25
        if 4 < truth.sum() < truth.size - 4:
            told.setdefault(region, []).append(auc(where[~truth], where[truth]))
    print("\n| region | faces | AUC of places of the map |\n|---|---|---|")
    for region, values in sorted(told.items()):
        print(f"| {region} | {len(values)} | {np.mean(values):.2f} |")


def spectrum_alone(faces: Faces, fakes: Mapping[str, Faces]) -> None:
    """Print the only untrained signal that applies to single pictures, on the same pictures."""
    print("\n| method | spectrum alone, CRF 18 | CRF 28 |\n|---|---|---|")
    real = {name: _peaks(_held(_photos(faces)), name) for name in ("CRF 18", "CRF 28")}
    for method, made in fakes.items():
        shown = _held(made)
        cells = [f"{auc(real[name], _peaks(shown, name)):.2f}" for name in real]
        print(f"| {method} | {' | '.join(cells)} |", flush=True)


def _peaks(faces: Faces, view: str) -> np.ndarray:
    """(n,) scores of the residual spectrum."""
    found = []
    for picture, points in zip(faces.pictures, faces.landmarks, strict=True):
        shown = VIEWS[view](picture.astype(np.float32) / 255)
        deep = np.pad(points, ((0, 0), (0, 1)))[None].astype(np.float32)
        box = np.concatenate([points.min(0), points.max(0)])[None]
        track = FaceTrack(0, box, deep, np.ones(1, np.float32), np.ones(1, bool))
        clip = Clip(Path("picture.png"), "", shown.shape[:2], np.zeros(1, int), Fraction(1, 25), 1)
        signal = SpectrumSignal(Scene(clip, track))
        signal.look(Window(0, 1), torch.from_numpy(shown.transpose(2, 0, 1).copy())[None])
        found.append(signal.read().score or 0.0)
    return np.array(found)


def _told(
    look_at: Viewer, known: Calibration, kinds: Mapping[str, Faces], view: str
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the test people's faces in one view, and whose they are."""
    numbers = np.concatenate([look_at(name, one, "test", view) for name, one in kinds.items()])
    people = np.concatenate([one.of("test").people for one in kinds.values()])
    return np.array([known.probability(float(number)) for number in numbers]), people


def _held(faces: Faces) -> Faces:
    """Both parts of the people that nothing learned from: a ranking needs no calibration."""
    parts = [np.flatnonzero([split_of(str(name)) == split for name in faces.people])
             for split in HELD]  # fmt: skip
    return faces.take(np.concatenate(parts))


def _numbers(look_at: Viewer, name: str, faces: Faces, view: str) -> np.ndarray:
    return np.concatenate([look_at(name, faces, split, view) for split in HELD])


def _weighted(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """(3,n) probabilities, truth and weights by which both kinds count alike."""
    weights = [np.full(len(one), 0.5 / len(one)) for one in (real, fake)]
    truth = np.repeat([0.0, 1.0], [len(real), len(fake)])
    return np.stack([np.concatenate([real, fake]), truth, np.concatenate(weights)])


def _between(told: np.ndarray, known: Calibration) -> float:
    return float(((told > known.calm) & (told < known.alarm)).mean())


def _photos(faces: Faces) -> Faces:
    return faces.take(np.flatnonzero(faces.kinds == "photo"))


def _kinds(faces: Faces) -> dict[str, Faces]:
    """Real faces by kind of picture; drawn actors are no recordings."""
    some = {"photo": 1, "gray": 1, "clip": 3}
    return {kind: faces.take(np.flatnonzero(faces.kinds == kind)[::step])
            for kind, step in some.items()}  # fmt: skip


def _within(faces: Faces, low: float, high: float) -> np.ndarray:
    apart = between_eyes(faces.landmarks)
    return (apart >= low) & (apart < high)
