"""Make and measure the trained detector of `likeness verify`, from faces to tables.

Run: python benchmarks/forensics.py DATA WORK [--driver CLIP] [--portrait SPLIT=BUNDLE ...]
                                    [--only METHOD ...] [--minutes 20] [--pairs 7680]
                                    [--quick] [--write] [--clips | --clips-only]
     python benchmarks/forensics.py DATA WORK --files CLIP.mp4 ...

DATA is the folder of test data, WORK keeps faces, pairs, the network, features and fakes between
runs, CLIP (one of DATA's where none is given) moves the photos that are animated, and a trained
portrait of somebody in one part of the people (train, calibrate, test) is drawn over photos of that
part. The network is trained for so many minutes on self-blended faces of the training people alone.
So it never saw any method, and is measured on people that it has not seen either; beside it stands
one whose last layer was fitted anew on what all methods but the measured one make of the training
people. --write puts network and calibration into the package; --clips then measures short real and
made clips with what is in the package, and with the untrained signals; --clips-only does nothing
else. --quick takes three people of each part, two methods and half a minute, to see that all of it
runs; its numbers mean nothing and are not written. --files prints what all signals say of finished
files instead.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import torch
from forensics_clips import measure_clips, report_files
from forensics_faces import PER_CLIP, Faces, load_faces, some_people
from forensics_fakes import load_fakes, measured_methods
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
    teach,
)
from forensics_train import Schedule, train

from likeness.nets.forensic import ForensicNet
from likeness.store import save_bundle
from likeness.types import Bundle, Weights
from likeness.verify.learned import BUNDLE, Calibration

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
    count, minutes = (128, 0.5) if asked.quick else (asked.pairs, asked.minutes)
    pairs = load_pairs(faces.of("train"), asked.work / "pairs", count)
    schedule = Schedule(minutes=minutes, kept=64 if asked.quick else 128)
    network = train(pairs, asked.work / "network.pt", schedule)
    fakes = _fakes(asked)
    taught = teach(network, faces, fakes, pairs, asked.work)
    look = Viewer(network, asked.work)
    left_out(look, faces, fakes, taught)
    by_size(look, faces, fakes, taught)
    head = taught.own
    known = calibrate(look, head, faces, fakes)
    reliability(look, head, known, faces, fakes)
    coverage(look, head, known, faces, fakes)
    pieces(look, head, known, faces)
    localization(network, faces)
    spectrum_alone(faces, fakes)
    if asked.write and not asked.quick:
        write(network, known, faces)
    if asked.clips:
        measure_clips(asked.data, asked.work / "clips")


def _fakes(asked: argparse.Namespace) -> dict[str, Faces]:
    portraits: dict[str, list[Path]] = {}
    for told in asked.portrait:
        split, _, path = told.partition("=")
        portraits.setdefault(split, []).append(Path(path))
    driver = asked.driver or asked.data / "clips" / DRIVER
    methods = asked.only or (QUICK if asked.quick else measured_methods())
    choose = some_people(3) if asked.quick else list
    return load_fakes(asked.data, asked.work, driver, methods, portraits, choose)


def write(network: ForensicNet, known: Calibration, faces: Faces) -> None:
    """Put the network and its calibration into the package."""
    tensors = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    bundle = Bundle(
        method="verify.learned",
        networks={"detector": Weights("forensic", asdict(network.config), tensors)},
        input={"calibration": asdict(known)},
        training={
            "settings": {
                "blended": True,
                "methods": [],
                "people": len(set(faces.of("train").people)),
            }
        },
        license="Apache-2.0; detects and cannot draw a face",
    )
    save_bundle(bundle, BUNDLE)
    print(f"\nwrote {BUNDLE.name}")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--driver", type=Path)
    parser.add_argument("--portrait", action="append", default=[], metavar="SPLIT=BUNDLE")
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--pairs", type=int, default=7680)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--clips", action="store_true")
    parser.add_argument("--clips-only", action="store_true")
    parser.add_argument("--files", type=Path, nargs="+")
    return parser.parse_args()


if __name__ == "__main__":
    main()
