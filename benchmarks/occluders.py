"""How well is what covers a face found? A hand of its color, a microphone, hair pass over it.

    python benchmarks/occluders.py [--seeds 3 5 11] [--frames 48] [--sheet SHEET.png]

Procedural actors, filmed, covered by drawn things whose coverage is known, coded, tracked and
fitted like any clip. Printed: intersection over union of what is found with what is true inside the
face, the share of the truth that was missed, the share of the free face that was taken for covered,
and how often a decision flips and flips back within three frames.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch

from likeness.actor import Actor, Motion, RenderConfig, frames
from likeness.composite.mask import hull
from likeness.condition.mesh import PortraitMesh
from likeness.encode import encode
from likeness.methods.swap.appearance import appearance_of
from likeness.methods.swap.occlusion import Occlusion
from likeness.methods.swap.view import SwapTarget
from likeness.pipeline import analyze
from likeness.provenance.manifest import RENDERED, Manifest
from likeness.provenance.permission import actor_entry
from likeness.store import load_face_model
from likeness.types import Clip, Floats, Shot, Timeline, Window

SIDE = 320
KINDS = ("none", "hand", "microphone", "strands")


@dataclass
class Score:
    """Sums over frames."""

    both: float = 0.0
    either: float = 0.0
    true: float = 0.0
    false: float = 0.0
    free: float = 0.0
    flips: float = 0.0
    decided: float = 0.0


def hand(skin: Floats, t: float, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Palm and four fingers of the face's own color, lit from above, with a shadow beside them."""
    del rng
    scale = SIDE / 320
    center = np.array([330 - 240 * t, 250 - 90 * np.sin(np.pi * t)]) * scale
    flat = np.zeros((SIDE, SIDE), np.uint8)
    turn = -0.5 + 0.5 * t
    lines = np.zeros((SIDE, SIDE), np.float32)
    for finger in range(4):
        angle = turn - 0.9 + 0.22 * finger
        root = center + scale * 26 * np.array([np.sin(angle), -np.cos(angle)])
        tip = root + scale * (52 - 6 * abs(finger - 1)) * np.array([np.sin(angle), -np.cos(angle)])
        ends = tuple(map(int, root)), tuple(map(int, tip))
        alone = np.zeros_like(flat)
        cv2.line(alone, *ends, (255,), int(15 * scale), cv2.LINE_AA)
        edge = cv2.morphologyEx(alone, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        lines = np.maximum(lines, cv2.GaussianBlur(edge, (0, 0), 1.0).astype(np.float32) / 255)
        flat = np.maximum(flat, alone)
    axes = int(30 * scale), int(38 * scale)
    cv2.ellipse(
        flat, (tuple(map(float, center)), (2 * axes[0], 2 * axes[1]), 20 * turn), (255,), -1
    )
    alpha = cv2.GaussianBlur(flat.astype(np.float32) / 255, (0, 0), 0.8)
    deep = cv2.GaussianBlur(np.minimum(cv2.distanceTransform(flat, cv2.DIST_L2, 5), 9), (0, 0), 2)
    up = np.gradient(deep)[0]
    shade = 0.80 + 0.35 * np.clip(up, -0.6, 0.8) + 0.015 * deep
    rgb = skin * (shade * (1 - 0.35 * lines * (deep > 1.5)))[..., None]
    cast = cv2.GaussianBlur(np.roll(alpha, (7, 5), (0, 1)), (0, 0), 5)
    return rgb.astype(np.float32), alpha, 1 - 0.35 * cast


def microphone(skin: Floats, t: float, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """A dark ball with a grille on a stick, coming up before the mouth."""
    del skin
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    center = SIDE * np.array([0.30 + 0.25 * t, 0.86 - 0.24 * np.sin(np.pi * t)])
    radius = 0.085 * SIDE
    distance = np.hypot(x - center[0], y - center[1])
    ball = np.clip(radius - distance + 0.5, 0, 1)
    stick = np.zeros((SIDE, SIDE), np.uint8)
    foot = center + SIDE * np.array([-0.12, 0.5])
    cv2.line(stick, tuple(map(int, center)), tuple(map(int, foot)), (255,), int(0.05 * SIDE), 16)
    alpha = np.maximum(ball, stick.astype(np.float32) / 255)
    light = np.exp(-(((x - center[0] + 7) ** 2 + (y - center[1] + 9) ** 2) / (0.35 * radius) ** 2))
    grille = 0.05 * np.sin(x * 1.3) * np.sin(y * 1.3) + 0.02 * rng.standard_normal(x.shape)
    gray = 0.13 + 0.45 * light + grille * (ball > 0)
    return np.repeat(gray[..., None], 3, 2).astype(np.float32), alpha, np.ones_like(alpha)


def strands(skin: Floats, t: float, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Locks of hair that swing over brow and cheek."""
    del skin
    alpha, tone = np.zeros((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.float32)
    fixed = np.random.default_rng(3)
    down = np.linspace(0, 1, 40)
    for _ in range(9):
        start, width = fixed.uniform(0.33, 0.5), fixed.uniform(1.6, 4.5)
        swing = 0.10 * np.sin(2 * np.pi * (t * 1.5 + fixed.uniform(0, 0.2)))
        xs = SIDE * (start + (swing + 0.06 * fixed.standard_normal()) * down**1.5)
        ys = SIDE * (0.18 + 0.45 * down)
        one = np.zeros((SIDE, SIDE), np.uint8)
        points = (np.stack([xs, ys], 1) * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(one, [points], False, (255,), max(1, round(width)), cv2.LINE_AA, 4)
        alpha = np.maximum(alpha, one.astype(np.float32) / 255)
        tone = np.where(one > 0, fixed.uniform(0.7, 1.3), tone)
    brown = np.array([0.20, 0.13, 0.09]) * np.maximum(tone, 0.7)[..., None]
    del rng
    return brown.astype(np.float32), alpha, np.ones_like(alpha)


DRAW = {"hand": hand, "microphone": microphone, "strands": strands}


def filmed(seed: int, kind: str, count: int, folder: Path) -> tuple[Path, Floats]:
    """Film an actor behind a thing; return the clip and (T,H,W) coverage by the thing."""
    motion = Motion.from_seed(seed, count / 25)
    config = RenderConfig((SIDE, SIDE), noise=0.008)
    pictures = torch.cat(list(frames(Actor.from_seed(seed), motion, config)))
    truth = np.zeros((count, SIDE, SIDE), np.float32)
    rng = np.random.default_rng((seed, 1))
    middle = pictures[0, :, int(0.55 * SIDE) : int(0.62 * SIDE), int(0.4 * SIDE) : int(0.6 * SIDE)]
    skin = middle.flatten(1).median(1).values.numpy() * 1.05
    for n in range(count if kind != "none" else 0):
        t = (n - 0.25 * count) / (0.7 * count)
        if 0 <= t <= 1:
            rgb, alpha, shadow = DRAW[kind](skin, t, rng)
            picture = pictures[n].permute(1, 2, 0).numpy() * shadow[..., None]
            picture = picture + alpha[..., None] * (rgb - picture)
            pictures[n] = torch.from_numpy(np.clip(picture, 0, 1)).permute(2, 0, 1)
            truth[n] = alpha
    path = folder / f"{kind}{seed}.mp4"
    plain = Clip(path, "", (SIDE, SIDE), np.arange(count), Fraction(1, 25), 1)
    people = (actor_entry(seed, "target"),)
    manifest = Manifest(path.name, "render", people=people, digital_source_type=RENDERED)
    with encode(path, plain, manifest, Timeline.of(plain)) as video:
        video.append(pictures)
    return path, truth


def judged(shot: Shot, truth: Floats) -> tuple[Score, list[Floats], float]:
    """Compare what is found with the truth; also pictures, and milliseconds per frame."""
    from likeness.decode import Decoder

    target = SwapTarget.of(shot, np.arange(len(truth)) / 25)
    mesh = PortraitMesh.of(load_face_model(), shot.params.shape)
    appearance = appearance_of(target, mesh)
    assert appearance is not None
    occlusion = Occlusion(target, appearance)
    score, shown, spent = Score(), [], 0.0
    found_all, true_all = [], []
    with Decoder(shot.clip) as decoder:
        for start in range(0, len(truth), 4):
            window = Window(start, min(start + 4, len(truth)))
            view = target.view(window, decoder.read(window))
            began = time.process_time()
            visible = occlusion.visible(view)[:, 0].numpy()
            spent += time.process_time() - began
            for n, number in enumerate(window):
                x, y = (-view.crop.crop_from_frame[n][:, 2]).astype(int)
                h, w = view.crop.size
                padded = np.pad(truth[number], max(h, w))
                true = padded[y + max(h, w) :, x + max(h, w) :][:h, :w] > 0.5
                face = hull(view.landmarks[n], (h, w), 0.05, -0.03) > 0.5
                found = visible[n] < 0.5
                add(score, true & face, found & face, face)
                whole = np.zeros(truth[number].shape, np.int8) - 1
                place = np.s_[max(0, y) : y + h, max(0, x) : x + w]
                part = np.where(face, found, -1)[max(0, -y) :, max(0, -x) :]
                size = whole[place].shape
                whole[place] = part[: size[0], : size[1]]
                found_all.append(whole)
                true_all.append(truth[number] > 0.5)
                if number % 6 == 2:
                    picture = np.ascontiguousarray(view.pixels[n].permute(1, 2, 0).numpy())
                    tinted = picture.copy()
                    tinted[found & face] = 0.5 * tinted[found & face] + [0.5, 0, 0]
                    tinted[true & ~found & face] = [0, 0, 1]
                    shown.append(np.vstack([picture, tinted]))
    count_flips(score, found_all, true_all)
    return score, shown, 1000 * spent / len(truth)


def add(score: Score, true: Floats, found: Floats, face: Floats) -> None:
    score.both += float((true & found).sum())
    score.either += float((true | found).sum())
    score.true += float(true.sum())
    score.false += float((found & ~true).sum())
    score.free += float((face & ~true).sum())


def count_flips(score: Score, found: list[Floats], true: list[Floats]) -> None:
    for n in range(1, len(found) - 1):
        three = found[n - 1 : n + 2]
        steady = (three[0] == three[2]) & (three[0] >= 0) & (three[1] >= 0)
        steady &= (true[n - 1] == true[n]) & (true[n] == true[n + 1])
        score.flips += float((steady & (three[0] != three[1])).sum())
        score.decided += float(steady.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 11])
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--sheet", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    print("| thing | IoU | missed | false | flips | ms |")
    print("|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        for kind in asked.kinds:
            total, times = Score(), []
            for seed in asked.seeds:
                path, truth = filmed(seed, kind, asked.frames, Path(folder))
                shot = analyze(path)[0]
                score, shown, spent = judged(shot, truth)
                times.append(spent)
                for name in vars(total):
                    setattr(total, name, getattr(total, name) + getattr(score, name))
                tall = max(picture.shape[0] for picture in shown)
                rows.append(np.hstack([cv2.resize(p, (tall // 2, tall)) for p in shown[:8]]))
            print(
                f"| {kind} | {total.both / max(total.either, 1):.3f} "
                f"| {1 - total.both / max(total.true, 1):.3f} "
                f"| {total.false / max(total.free, 1):.4f} "
                f"| {total.flips / max(total.decided, 1):.5f} | {np.mean(times):.1f} |",
                flush=True,
            )
    if asked.sheet:
        wide = max(row.shape[1] for row in rows)
        padded = [np.pad(row, ((0, 0), (0, wide - row.shape[1]), (0, 0))) for row in rows]
        picture = (np.vstack(padded)[..., ::-1] * 255).round().astype(np.uint8)
        cv2.imwrite(str(asked.sheet), picture)


if __name__ == "__main__":
    main()
