"""Does an edit move what it names? Read off an actor, whose traits can be raised in truth, too.

    python benchmarks/edit_attributes.py [--actor 3] [--size 256] [--seconds 0.8] [--only smile]

One actor is filmed, edited at several strengths, and filmed again with the trait itself changed:
more smile in the performance, deeper lines, another albedo. Each clip is read by the same eye:

smile: mean fitted weight of mouthSmile, of the clip tracked and fitted anew.
age: mean size of the detail between 0.6 and 3 % of the face's width (logarithm of luma), on
forehead and cheeks.
tan: mean logarithm of the luma there.

Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from likeness.actor import Actor, Motion, RenderConfig
from likeness.actor.motion import EXPRESSIONS
from likeness.actor_clip import write_actor_clip
from likeness.decode import Decoder, open_clip
from likeness.methods.edit.strength import paired
from likeness.methods.edit.surface_move import SMILE
from likeness.metrics.regions import FACE_OVAL, fill_convex
from likeness.people import find_people
from likeness.types import Bools, Floats, Shot, Window
from likeness.verbs.edit import edit

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
SKIN = (
    [104, 69, 108, 151, 337, 299, 333, 9],
    [117, 118, 101, 36, 206, 216, 207, 187, 123],
    [346, 347, 330, 266, 426, 436, 427, 411, 352],
)
"""Landmarks around forehead and cheeks."""
STRENGTHS = {"smile": (-1.0, 0.5, 1.0, 2.0), "age": (-1.0, 0.5, 1.0, 2.0), "tan": (-1.0, 0.5, 1.0)}
TRUTHS = {
    "smile": "the performance smiles by what strength 1 adds",
    "age": "lines as deep as they get (age 1.0)",
    "tan": "albedo times exp(-0.12, -0.20, -0.29)",
}


def smile(clip: Path, shot: Shot) -> float:
    """Mean weight of both corners of the mouth, fitted anew."""
    params = find_people(open_clip(clip))[0].params
    return float((params.column("mouthSmileLeft") + params.column("mouthSmileRight")).mean() / 2)


def skin(clip: Path, shot: Shot) -> tuple[Floats, Bools, float]:
    """(N,H,W) logarithm of luma, (N,H,W) where bare skin is, the face's width, by the original."""
    with Decoder(open_clip(clip)) as decoder:
        frames = decoder.read(Window(0, len(shot.track)))
    luma = np.log(np.maximum(frames.permute(0, 2, 3, 1).numpy() @ LUMA, 0.02))
    points, size = shot.track.landmarks, (luma.shape[1], luma.shape[2])
    bare = np.stack(
        [np.any([fill_convex(one[part, :2], size) for part in SKIN], 0) for one in points]
    )
    width = float(np.ptp(points[:, FACE_OVAL, 0], axis=1).mean())
    return luma.astype(np.float32), bare, width


def lines(clip: Path, shot: Shot) -> float:
    """Mean size of the detail between 0.6 and 3 % of the face's width."""
    luma, bare, width = skin(clip, shot)
    found = [
        (gaussian_filter(one, 0.006 * width) - gaussian_filter(one, 0.03 * width))[where]
        for one, where in zip(luma, bare, strict=True)
    ]
    return float(np.abs(np.concatenate(found)).mean())


def tone(clip: Path, shot: Shot) -> float:
    """Mean logarithm of the skin's luma."""
    luma, bare, _ = skin(clip, shot)
    return float(luma[bare].mean())


EYES: dict[str, Callable[[Path, Shot], float]] = {"smile": smile, "age": lines, "tan": tone}


def truly(name: str, actor: Actor, motion: Motion) -> tuple[Actor, Motion]:
    """The actor and performance with the trait itself changed."""
    if name == "age":
        return Actor.from_look(replace(actor.look, age=1.0)), motion
    if name == "tan":
        albedo = np.array(actor.look.skin) * np.exp([-0.12, -0.20, -0.29])
        r, g, b = albedo.tolist()
        return Actor.from_look(replace(actor.look, skin=(r, g, b))), motion
    weights, names = motion.expression.copy(), list(EXPRESSIONS)
    for mode, weight in SMILE.items():
        column = weights[:, names.index(mode)]
        there = column.clip(0, 1)
        column += np.where(weight > 0, weight * (1 - 0.8 * there), -np.minimum(there, -weight))
    return actor, replace(motion, expression=weights)


def main() -> None:
    """Print a line per trait."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--actor", type=int, default=3)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=0.8)
    parser.add_argument("--only", choices=list(STRENGTHS), action="append", default=[])
    asked = parser.parse_args()
    actor = Actor.from_seed(asked.actor)
    motion = Motion.from_seed(asked.actor, asked.seconds)
    camera = RenderConfig((asked.size, asked.size))
    print("| attribute | strength: read | the trait itself changed | read |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        plain = folder / "plain.mp4"
        write_actor_clip(actor, motion, plain, camera)
        shot = find_people(open_clip(plain))[0]
        for name in asked.only or STRENGTHS:
            look = EYES[name]
            changed = folder / f"true_{name}.mp4"
            write_actor_clip(*truly(name, actor, motion), changed, camera)
            line = [f"0: {look(plain, shot):.3f}"]
            for strength in STRENGTHS[name]:
                output = folder / f"{name}_{strength}.mp4"
                edit(plain, output, paired([f"{name}={strength}"], []))
                line.append(f"{strength:g}: {look(output, shot):.3f}")
            strengths = ", ".join(line)
            truth = f"{TRUTHS[name]} | {look(changed, shot):.3f}"
            print(f"| {name} | {strengths} | {truth} |", flush=True)


if __name__ == "__main__":
    main()
