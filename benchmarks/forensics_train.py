"""Training of the detector's network on pairs, and what it makes of faces.

Imported by `forensics.py`. The network learns from self-blended faces alone, so that every method
is one that it never saw; `forensics_tune` teaches it more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from forensics_faces import Faces, seen
from forensics_pairs import WINDOW, Pairs
from torch.nn import functional

from likeness.nets.forensic import OVAL_STRIDE, STRIDE, ForensicConfig, ForensicNet
from likeness.verify.faces import FACE_SIDE, whole_face


@dataclass(frozen=True)
class Schedule:
    """How long and how fast."""

    minutes: float = 20.0
    batch: int = 12
    rate: float = 3e-3
    window: int = 160
    kept: int = 128
    """Pairs that are kept aside, to see how it goes."""


def train(pairs: Pairs, kept: Path, schedule: Schedule) -> ForensicNet:
    """Train a network, or read what an earlier call trained."""
    network = ForensicNet(ForensicConfig())
    if kept.is_file():
        network.load_state_dict(torch.load(kept, weights_only=True))
        return network.eval()
    torch.manual_seed(0)
    rng, count = np.random.default_rng(0), len(pairs.pictures) - schedule.kept
    network = ForensicNet(ForensicConfig()).to(memory_format=torch.channels_last)
    solver = torch.optim.AdamW(network.parameters(), schedule.rate, weight_decay=1e-2)
    truth = torch.tensor([0.0, 1.0]).repeat(schedule.batch)
    start, step, order, told = time.monotonic(), 0, rng.permutation(count), 0.0
    while (done := (time.monotonic() - start) / (60 * schedule.minutes)) < 1:
        for group in solver.param_groups:
            warm = min(1.0, 20 * done + 0.05)
            group["lr"] = schedule.rate * warm * (0.5 + 0.5 * np.cos(np.pi * done)) + 1e-5
        at = step * schedule.batch % (count - schedule.batch)
        if at < schedule.batch:
            order = rng.permutation(count)
        x, changed, oval = _batch(pairs, order[at : at + schedule.batch], schedule.window, rng)
        with torch.autocast("cpu", torch.bfloat16):
            evidence, where = network(x, oval)
        wrong = functional.binary_cross_entropy_with_logits(evidence.float(), truth)
        wrong = wrong + functional.binary_cross_entropy_with_logits(where.float(), changed)
        solver.zero_grad(set_to_none=True)
        wrong.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        solver.step()
        told, step = told + wrong.item(), step + 1
        if step % 100 == 0:
            print(f"step {step}, {60 * schedule.minutes * done:.0f} s: {told / 100:.3f}",
                  f"{_right(network, pairs, count):.3f}" if step % 400 == 0 else "",
                  flush=True)  # fmt: skip
            told = 0.0
    right = _right(network, pairs, count)
    print(f"{step} steps; of two pictures it finds the changed one {right:.3f}", flush=True)
    torch.save(network.state_dict(), kept)
    return network.eval()


View = Callable[[np.ndarray], np.ndarray]


def evidence_of(network: ForensicNet, faces: Faces, view: View) -> np.ndarray:
    """(n,) evidence of the finest detail of faces after something happened to their pictures."""
    told = [look(network, *shown)[0] for shown in _seen_as(faces, view)]
    return np.array(told, np.float32)


def wholes(faces: Faces, view: View) -> np.ndarray:
    """(n,s,s,4) uint8: the same faces as the network for whole faces is shown them."""
    shown = [np.round(255 * whole_face(*one)).astype(np.uint8) for one in _seen_as(faces, view)]
    return np.stack(shown) if shown else np.zeros((0, FACE_SIDE, FACE_SIDE, 4), np.uint8)


def _seen_as(faces: Faces, view: View) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pictures and landmarks after something happened to them."""
    for picture, points in zip(faces.pictures, faces.landmarks, strict=True):
        shown = view(picture.astype(np.float32) / 255)
        yield shown, points * (np.array(shown.shape[1::-1]) / picture.shape[1::-1])


def look(network: ForensicNet, picture: np.ndarray, points: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the evidence and the map in [0,1] of one picture (h,w,3)."""
    crop, oval = seen(picture, points)
    with torch.inference_mode():
        x = torch.from_numpy(np.ascontiguousarray(crop))[None]
        evidence, where = network(x, torch.from_numpy(oval)[None, None])
    return float(evidence), torch.sigmoid(where[0, 0]).numpy()


def _batch(
    pairs: Pairs, rows: np.ndarray, side: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cut windows (2B,3,s,s), and where they were changed (2B,1,s/8,s/8) and the face is."""
    small, step = side // OVAL_STRIDE, STRIDE // OVAL_STRIDE
    top, left = rng.integers(0, (WINDOW - side) // OVAL_STRIDE + 1, 2)
    y, x = OVAL_STRIDE * top, OVAL_STRIDE * left
    pictures = pairs.pictures[rows, :, y : y + side, x : x + side]
    masks = [one[rows, top : top + small, left : left + small]
             for one in (pairs.changed, pairs.oval)]  # fmt: skip
    if rng.random() < 0.5:
        pictures, masks = pictures[:, :, :, ::-1], [one[:, :, ::-1] for one in masks]
    crops = torch.from_numpy(np.ascontiguousarray(pictures)).flatten(0, 1)
    crops = crops.permute(0, 3, 1, 2).float() / 255
    mask, oval = (torch.from_numpy(np.ascontiguousarray(one))[:, None].float() / 255
                  for one in masks)  # fmt: skip
    mask = functional.avg_pool2d(mask, step)
    changed = torch.stack([torch.zeros_like(mask), mask], 1).flatten(0, 1)
    return (crops.contiguous(memory_format=torch.channels_last), changed,
            oval.repeat_interleave(2, 0))  # fmt: skip


def _right(network: ForensicNet, pairs: Pairs, first: int) -> float:
    """Share of the pairs kept aside in which the changed picture gets more."""
    network.eval()
    rng, told = np.random.default_rng(0), []
    with torch.inference_mode():
        for row in range(first, len(pairs.pictures), 8):
            rows = np.arange(row, min(row + 8, len(pairs.pictures)))
            x, _, oval = _batch(pairs, rows, 160, rng)
            told.append(network(x, oval)[0].reshape(-1, 2))
    network.train()
    both = torch.cat(told)
    return float((both[:, 1] > both[:, 0]).float().mean())
