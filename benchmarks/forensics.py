"""Make and measure the trained detector of `likeness verify`, from faces to tables.

Run: python benchmarks/forensics.py DATA WORK [--driver CLIP] [--portrait SPLIT=BUNDLE ...]
                                    [--only METHOD ...] [--quick] [--write]
     python benchmarks/forensics.py DATA WORK --files CLIP.mp4 ...

DATA is the folder of test data, WORK keeps faces, features and fakes between runs, CLIP (one of
DATA's where none is given) moves the photos that are animated, and a trained portrait of somebody
in one part of the people (train, calibrate, test) is drawn over photos of that part. The detector
is fitted on self-blended faces of the training people and on what the methods of the table make of
them. For each method one is fitted that never saw it, and measured on it, with people that it has
not seen either. --write puts the network and its calibration into the package. --quick takes three
people of each part and two methods, to see that all of it runs; its numbers mean nothing and are
not written. --files prints what all signals say of finished files instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from forensics_blend import blend, coded, seen, small_map
from forensics_faces import FIELD, PER_CLIP, SIDE, Faces, load_faces, some_people
from forensics_fakes import load_fakes, measured_methods
from forensics_numbers import Head, auc, equal_error, fit_head, interval, platt
from forensics_train import Learned, learn, times_of

from likeness.nets.forensic import SIDE as CROP
from likeness.nets.forensic import ForensicConfig, ForensicNet, features_count
from likeness.store import save_bundle
from likeness.types import Bundle, Weights
from likeness.verify import verify_file
from likeness.verify.learned import BUNDLE, Calibration

DRIVER = "man_speech_dim_5s.mp4"
QUICK = ("swap.warp", "swap.mesh")
LEAST = 45.0
"""Pixels between the outer eye corners: two thirds of what the detector's crop has. At half of that
it tells nothing."""
SCALE = CROP * FIELD / SIDE
CENTERED = (np.array([[SCALE, 0, CROP / 2 - SCALE * SIDE / 2],
                      [0, SCALE, CROP / 2 - SCALE * SIDE / 2]]), False)  # fmt: skip


def as_is(crop: np.ndarray) -> np.ndarray:
    """H.264 at CRF 18."""
    return coded([crop], 18)[0]


def smaller(crop: np.ndarray, side: int) -> np.ndarray:
    """Halve or third a face, H.264 at CRF 23, and enlarge it again."""
    small = coded([cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)], 23)[0]
    return cv2.resize(small, (CROP, CROP), interpolation=cv2.INTER_CUBIC)


def laundered(crop: np.ndarray) -> np.ndarray:
    """Half the size, mirrored, H.264 at CRF 33."""
    small = cv2.resize(crop[:, ::-1], (CROP // 2, CROP // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(coded([small], 33)[0], (CROP, CROP), interpolation=cv2.INTER_CUBIC)


def edited(crop: np.ndarray) -> np.ndarray:
    """Smoothed skin, sharpened, warmer; then as it is."""
    soft = cv2.bilateralFilter(crop, 7, 0.08, 4)
    sharp = soft + 0.4 * (soft - cv2.GaussianBlur(soft, (0, 0), 1.0))
    return as_is(np.clip(sharp * np.float32([1.06, 1, 0.94]), 0, 1).astype(np.float32))


VIEWS = {
    "CRF 18": as_is,
    "CRF 28": lambda crop: coded([crop], 28)[0],
    "CRF 38": lambda crop: coded([crop], 38)[0],
    "HEVC 28": lambda crop: coded([crop], 28, "libx265")[0],
    "half": lambda crop: smaller(crop, CROP // 2),
    "third": lambda crop: smaller(crop, CROP // 3),
    "edited": edited,
    "laundered": laundered,
}
JUDGED = ("CRF 18", "CRF 28", "CRF 38", "HEVC 28", "edited")
"""Views in which the face is large enough to be judged."""


def main() -> None:
    """Print tables; write the detector if asked."""
    asked = _asked()
    if asked.files:
        report_files(asked.files)
        return
    torch.set_num_threads(1)
    asked.work.mkdir(parents=True, exist_ok=True)
    choose, per_clip = (some_people(3), 6) if asked.quick else (list, PER_CLIP)
    faces = load_faces(asked.data, asked.work / "faces.npz", choose, per_clip)
    network = ForensicNet(ForensicConfig()).eval()
    portraits: dict[str, list[Path]] = {}
    for told in asked.portrait:
        split, _, path = told.partition("=")
        portraits.setdefault(split, []).append(Path(path))
    driver = asked.driver or asked.data / "clips" / DRIVER
    methods = asked.only or (QUICK if asked.quick else measured_methods())
    fakes = load_fakes(asked.data, asked.work, driver, methods, portraits, choose)
    found = {
        name: learn(network, shown, asked.work / f"learned_{name}.npz", blended=name == "blended")
        for name, shown in {"real": faces, "blended": faces, **fakes}.items()
    }
    learned = {name: value.whole for name, value in found.items()}
    photos = np.repeat(faces.kinds[faces.where("train")] == "photo", times_of(faces))
    learned["photos"] = learned["real"][: len(photos)][photos[: len(learned["real"])]]
    look = Viewer(network)
    left_out(look, faces, fakes, learned)
    head = fit(learned, set())
    known = calibrate(look, head, faces, fakes)
    reliability(look, head, known, faces, fakes)
    place = fit_place(found["real"], found["blended"])
    localization(network, place, faces)
    if asked.write and not asked.quick:
        write(network, head, place, known, sorted(fakes), faces)


def fit(learned: Mapping[str, np.ndarray], left: set[str]) -> Head:
    """Fit the detector without some methods.

    Blended faces are set against all real ones, which they are made of, and what methods make
    against photos alone: all of it is made of photos, and a detector must not tell kinds of
    pictures apart.
    """
    known = [key for key in learned if key not in {"real", "photos", "blended", *left}]
    kinds = [learned["blended"], *(learned[key] for key in known)]
    reals = [learned["real"], *([learned["photos"]] if known else [])]
    return fit_head(reals, kinds)


def features_of(network: ForensicNet, crops: list[np.ndarray]) -> np.ndarray:
    """(n,F) what the network makes of crops (h,w,3) in [0,1]."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(crops), 32):
            part = torch.from_numpy(np.stack(crops[start : start + 32])).permute(0, 3, 1, 2)
            found.append(network(part)[0].numpy())
    return np.concatenate(found) if found else np.zeros((0, features_count()), np.float32)


class Viewer:
    """What the network makes of faces in a view, looked at once."""

    def __init__(self, network: ForensicNet) -> None:
        self._network = network
        self._found: dict[tuple[int, str, str], np.ndarray] = {}

    def __call__(self, faces: Faces, split: str, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return features (n,F) of one split's faces in one view, and whose they are (n,)."""
        rows, key = faces.where(split), (id(faces), split, name)
        if key not in self._found:
            pictures = (faces.pictures[row].astype(np.float32) / 255 for row in rows)
            crops = [VIEWS[name](seen(picture, CENTERED)) for picture in pictures]
            self._found[key] = features_of(self._network, crops)
        return self._found[key], faces.people[rows]


def left_out(
    look: Viewer,
    faces: Faces,
    fakes: Mapping[str, Faces],
    learned: Mapping[str, np.ndarray],
) -> None:
    """Print, per method and view, how well a last layer does that never saw the method."""
    photos = faces.of_kind("photo")
    real = {name: look(photos, "test", name) for name in VIEWS}
    blank = "blending alone"
    count = [
        len(set(real["CRF 18"][1])),
        *(len(set(one.people[one.where("test")])) for one in fakes.values()),
    ]
    print(f"\nphotos of {count[0]} people against fakes of {min(count[1:])} to {max(count[1:])}")
    print("\nAUC of people never seen; the last layer never saw the method (95 % over people)\n")
    print(f"| method | {' | '.join(VIEWS)} | equal error |\n|{'---|' * (len(VIEWS) + 2)}")
    alone = fit(learned, set(fakes))
    for method, made in fakes.items():
        for told in (method, blank):
            head = fit(learned, {method}) if told == method else alone
            cells, error = [], 0.0
            for name in VIEWS:
                fake = look(made, "test", name)
                scores = head(real[name][0]), head(fake[0])
                low, high = interval(auc, scores, (real[name][1], fake[1]))
                cells.append(f"{auc(*scores):.2f} ({low:.2f}-{high:.2f})")
                error = error or equal_error(*scores)
            title = method if told == method else f"{method}, {blank}"
            print(f"| {title} | {' | '.join(cells)} | {error:.2f} |", flush=True)


def calibrate(look: Viewer, head: Head, faces: Faces, fakes: Mapping[str, Faces]) -> Calibration:
    """Fit the probability and both of its bounds on people that were in no other set."""
    real = np.concatenate([head(look(faces, "calibrate", name)[0]) for name in JUDGED])
    fake = np.concatenate([head(look(made, "calibrate", name)[0])
                           for made in fakes.values() for name in JUDGED])  # fmt: skip
    scale, shift = platt(real, fake)
    steps = np.quantile(real, np.linspace(0, 1, 201))
    known = Calibration(scale, shift, 1.0, 0.0, LEAST, tuple(steps.round(4).tolist()),
                        len(faces.where("calibrate")))  # fmt: skip
    told = [np.array([known.probability(value) for value in values]) for values in (real, fake)]
    # A quantile of so few people's pictures does not hold for others: the worst of them has to.
    alarm = float(told[0].max())
    calm = min(alarm, max(0.02, float(np.quantile(told[1], 0.10))))
    return replace(known, alarm=alarm, calm=calm)


def reliability(
    look: Viewer, head: Head, known: Calibration, faces: Faces, fakes: Mapping[str, Faces]
) -> None:
    """Print false alarms, what is found and what cannot be told, on people never seen."""
    print(f"\nalarm from {known.alarm:.3f}, calm up to {known.calm:.3f}\n")
    print("| view | false alarms | found | cannot tell, real | cannot tell, fake |")
    print("|---|---|---|---|---|")
    pooled: list[np.ndarray] = []
    for name in VIEWS:
        features, people = look(faces, "test", name)
        real = _probabilities(head(features), known)
        parts = [look(made, "test", name) for made in fakes.values()]
        fake = _probabilities(head(np.concatenate([part[0] for part in parts])), known)
        low, high = interval(lambda one, _: float((one >= known.alarm).mean()), (real, fake),
                             (people, np.concatenate([part[1] for part in parts])))  # fmt: skip
        print(f"| {name} | {(real >= known.alarm).mean():.1%} ({low:.1%}-{high:.1%}) | "
              f"{(fake >= known.alarm).mean():.1%} | {_between(real, known):.1%} | "
              f"{_between(fake, known):.1%} |", flush=True)  # fmt: skip
        weights = np.concatenate([np.full(len(real), 0.5 / len(real)),
                                  np.full(len(fake), 0.5 / len(fake))])  # fmt: skip
        truth = np.concatenate([np.zeros(len(real)), np.ones(len(fake))])
        pooled.append(np.stack([np.concatenate([real, fake]), truth, weights]))
    told, truth, weights = np.concatenate(pooled, 1)
    print("\n| probability | said | true | share |\n|---|---|---|---|")
    for low in np.arange(0, 1, 0.1):
        inside = (told >= low) & (told < low + 0.1 + 1e-9 * (low > 0.85))
        if inside.any():
            share = weights[inside].sum()
            print(f"| {low:.1f}-{low + 0.1:.1f} | {(told * weights)[inside].sum() / share:.2f} | "
                  f"{(truth * weights)[inside].sum() / share:.2f} | "
                  f"{share / weights.sum():.2f} |")  # fmt: skip


def fit_place(real: Learned, blended: Learned) -> Head:
    """Fit the map on cells: changed ones against all others."""
    cells = np.concatenate([real.cells, blended.cells])
    changed = np.concatenate([real.changed, blended.changed]) > 0
    return fit_head([cells[~changed]], [cells[changed]])


def localization(network: ForensicNet, place: Head, faces: Faces) -> None:
    """Print, per region that was blended, how well the map tells changed cells from others."""
    rng, told = np.random.default_rng(3), dict[str, list[float]]()
    for row in np.repeat(faces.where("test"), 2):
        whole = faces.pictures[row].astype(np.float32) / 255
        _, changed, mask, region = blend(whole, faces.landmarks[row], rng)
        truth = small_map(seen(mask, CENTERED)).ravel() > 0
        if 4 < truth.sum() < truth.size - 4:
            crop = torch.from_numpy(as_is(seen(changed, CENTERED)))[None].permute(0, 3, 1, 2)
            with torch.inference_mode():
                around = network.around(network.cells(crop))[0].flatten(1).T.numpy()
            score = place(around)
            told.setdefault(region, []).append(auc(score[~truth], score[truth]))
    print("\n| region | AUC of cells |\n|---|---|")
    for region, values in sorted(told.items()):
        print(f"| {region} | {np.mean(values):.2f} |")


def write(
    network: ForensicNet,
    head: Head,
    place: Head,
    known: Calibration,
    methods: list[str],
    faces: Faces,
) -> None:
    """Put the network, with its two layers, into the package."""
    with torch.no_grad():
        network.place.weight.copy_(torch.from_numpy(place.weights)[None, :, None, None])
        network.place.bias.fill_(place.bias)
        network.whole.weight.copy_(torch.from_numpy(head.weights)[None])
        network.whole.bias.fill_(head.bias)
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    bundle = Bundle(
        method="verify.learned",
        networks={"detector": Weights("forensic", asdict(network.config), tensors)},
        input={"size": CROP, "calibration": asdict(known)},
        training={
            "settings": {
                "blended": True,
                "methods": methods,
                "people": len(set(faces.people[faces.where("train")])),
            }
        },
        license="Apache-2.0; detects and cannot draw a face",
    )
    save_bundle(bundle, BUNDLE)
    print(f"\nwrote {BUNDLE.name}")


def report_files(files: list[Path]) -> None:
    """Print a row per file with what every signal says."""
    names: list[str] = []
    for path in files:
        found = {signal.name: signal for signal in verify_file(path).signals}
        if not names:
            names = list(found)
            print(f"| file | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
        cells = []
        for name in names:
            signal = found[name]
            chance = signal.numbers.get("probability")
            score = "-" if signal.score is None else f"{signal.score:.2f}"
            cells.append(f"{score} ({chance:.2f})" if signal.score is None and chance else score)
        print(f"| {path.name} | {' | '.join(cells)} |", flush=True)


def _probabilities(numbers: np.ndarray, known: Calibration) -> np.ndarray:
    return np.array([known.probability(float(number)) for number in numbers])


def _between(told: np.ndarray, known: Calibration) -> float:
    return float(((told > known.calm) & (told < known.alarm)).mean())


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--driver", type=Path)
    parser.add_argument("--portrait", nargs="*", default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--files", type=Path, nargs="*", default=[])
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
