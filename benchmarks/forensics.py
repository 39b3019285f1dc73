"""Make and measure the trained detector of `likeness verify`, from faces to tables.

Run: python benchmarks/forensics.py DATA WORK --recognizer BUNDLE [--driver CLIP]
                                    [--portrait SPLIT=BUNDLE ...] [--only METHOD ...]
                                    [--minutes 15] [--pairs 5760] [--steps 1200]
                                    [--quick] [--write] [--clips | --clips-only]
     python benchmarks/forensics.py DATA WORK --files CLIP.mp4 ...

DATA is the folder of test data, WORK keeps faces, pairs, networks and fakes between runs, CLIP
(one of DATA's where none is given) moves the photos that are animated, and a trained portrait of
somebody in one part of the people (train, calibrate, test) is drawn over photos of that part. One
network is trained for so many minutes on self-blended faces, the other for so many steps on donors
that are laid by the project's own finish, beginning with dlib's recognizer, as it was imported
(docs/identity.md). Its last layer is fitted once for each method on what all other methods make of
training people, and once on all. Each method is measured with the detector that never saw it, on
people that none has seen. --write puts what knows all methods into the package; --clips then
measures short real and made clips with what is in the package, and with the untrained signals;
--clips-only does nothing else. --quick takes three people of each part, two methods and seconds of
training, to see that all of it runs; its numbers mean nothing and are not written. --files prints
what all signals say of finished files instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from forensics_clips import measure_clips, report_files
from forensics_detectors import Taught, teach
from forensics_face import FaceSchedule
from forensics_faces import PER_CLIP, Faces, load_faces, some_people
from forensics_fakes import load_fakes, measured_methods
from forensics_lessons import cut_driver, make_lessons, read_lessons
from forensics_looks import Looks, make_looks, read_looks
from forensics_pairs import load_pairs
from forensics_tables import (
    Viewer,
    by_size,
    calibrate,
    coverage,
    left_out,
    localization,
    pieces,
    reliability,
    spectrum_alone,
)
from forensics_train import Schedule, train

from likeness.store import save_bundle
from likeness.types import Bundle, Weights
from likeness.verify.detector import BUNDLE, Detector
from likeness.verify.learned import Calibration

DRIVER = "man_speech_dim_5s.mp4"
QUICK = ("swap.warp", "swap.mesh")


def main() -> None:
    """Print tables; write the detector if asked."""
    asked = _asked()
    torch.set_num_threads(1)
    if asked.files:
        report_files(asked.files)
        return
    if asked.clips_only:
        measure_clips(asked.data, asked.work / "clips")
        return
    asked.work.mkdir(parents=True, exist_ok=True)
    choose, per_clip = (some_people(3), 6) if asked.quick else (list, PER_CLIP)
    faces = load_faces(asked.data, asked.work / "faces.npz", choose, per_clip)
    fakes = _fakes(asked)
    taught = _taught(asked, faces, list(fakes))
    viewers = {name: Viewer(one, asked.work) for name, one in taught.without.items()}
    blind = Viewer(taught.blind, asked.work)
    left_out(dict.fromkeys(fakes, blind), faces, fakes, "shown donors alone, and no method")
    left_out(viewers, faces, fakes, "shown all methods but the one of the row")
    look = Viewer(taught.every, asked.work)
    left_out(dict.fromkeys(fakes, look), faces, fakes, "shown all methods: what is shipped")
    by_size(look, faces, fakes)
    known = calibrate(look, faces, fakes)
    reliability(look, known, faces, fakes)
    coverage(look, known, faces, fakes)
    pieces(look, known, faces)
    localization(taught.every.fine, faces)
    spectrum_alone(faces, fakes)
    if asked.write and not asked.quick:
        write(taught.every, known, faces, list(fakes))
    if asked.clips:
        measure_clips(asked.data, asked.work / "clips")


def _taught(asked: argparse.Namespace, faces: Faces, methods: Sequence[str]) -> Taught:
    """Make what there is to learn from, and train."""
    own, quick = faces.of("train"), asked.quick
    pairs = load_pairs(own, asked.work / "pairs", 128 if quick else asked.pairs)
    minutes, kept = (0.2, 64) if quick else (asked.minutes, 128)
    first = train(pairs, asked.work / "network.pt", Schedule(minutes=minutes, kept=kept))
    schedule = FaceSchedule(steps=8 if quick else asked.steps)
    return teach(first, own, _looks(asked, own), methods, asked.recognizer, asked.work, schedule)


def _looks(asked: argparse.Namespace, own: Faces) -> Looks:
    portraits = [Path(told.partition("=")[2]) for told in asked.portrait
                 if told.startswith("train=")]  # fmt: skip
    folder = asked.work / "lessons"
    make_lessons(asked.data, folder, cut_driver(asked.data, asked.work), portraits,
                 3 if asked.quick else None)  # fmt: skip
    lessons = read_lessons(folder)
    for _ in make_looks(lessons, own, asked.work / "looks"):
        pass
    return read_looks(asked.work / "looks")


def _fakes(asked: argparse.Namespace) -> dict[str, Faces]:
    portraits: dict[str, list[Path]] = {}
    for told in asked.portrait:
        split, _, path = told.partition("=")
        portraits.setdefault(split, []).append(Path(path))
    driver = asked.driver or asked.data / "clips" / DRIVER
    methods = asked.only or (QUICK if asked.quick else measured_methods())
    choose = some_people(3) if asked.quick else list
    return load_fakes(asked.data, asked.work, driver, methods, portraits, choose)


def write(detector: Detector, known: Calibration, faces: Faces, methods: Sequence[str]) -> None:
    """Put the networks and their calibration into the package."""
    networks = {
        "detector": ("forensic", detector.fine),
        "face": ("forensic_whole", detector.face),
    }
    bundle = Bundle(
        method="verify.learned",
        networks={
            name: Weights(kind, asdict(network.config), _halved(network))
            for name, (kind, network) in networks.items()
        },
        input={"calibration": asdict(known), "shares": list(detector.shares)},
        training={
            "settings": {
                "blended": True,
                "methods": list(methods),
                "people": len(set(faces.of("train").people)),
            }
        },
        license="Apache-2.0; what looks at whole faces began as dlib's recognizer by Davis King, "
        "CC0-1.0; detects and cannot draw a face",
    )
    save_bundle(bundle, BUNDLE)
    print(f"\nwrote {BUNDLE.name}")


def _halved(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--driver", type=Path)
    parser.add_argument("--portrait", action="append", default=[], metavar="SPLIT=BUNDLE")
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--pairs", type=int, default=5760)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--recognizer", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--clips", action="store_true")
    parser.add_argument("--clips-only", action="store_true")
    parser.add_argument("--files", type=Path, nargs="+")
    return parser.parse_args()


if __name__ == "__main__":
    main()
