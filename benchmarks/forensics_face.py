"""Training of the network that looks at whole faces. Imported by `forensics.py`.

Its layers begin as the first ones of dlib's recognizer. Every batch holds pairs: a picture and the
same one with a donor laid over it, worn and coded alike, moved and colored alike. So nothing but
the change is to be learned, and a part of the loss is that the changed one of the two gets more. No
method is shown to these layers; the last one, linear, is fitted on methods as well
(`forensics_detectors`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from forensics_looks import DONORS, SIDE, Looks
from forensics_numbers import Head, fit_head
from torch.nn import functional

from likeness.nets.forensic_whole import ForensicWholeConfig, ForensicWholeNet
from likeness.store import load_bundle
from likeness.verify.faces import FACE_SIDE

RANKING = 0.5
"""Weight of the order within pairs."""
PENALTY = 60.0
"""Of last layers."""
_STARTED = 1500
"""Pictures of each kind on which the last layer begins."""


@dataclass(frozen=True)
class FaceSchedule:
    """How long and how fast."""

    steps: int = 1200
    batch: int = 16
    rate: float = 2e-4
    last: float = 0.3
    """The last layer's rate, over that of the others."""


def train_face(
    looks: Looks, rows: np.ndarray, recognizer: Path, kept: Path, schedule: FaceSchedule
) -> ForensicWholeNet:
    """Train a network, or read what an earlier call trained.

    Args:
        looks: pictures.
        rows: of changed pictures that may be learned from.
        recognizer: bundle of dlib's recognizer, as `likeness` imports it.
        kept: file of the result.
        schedule: how long.
    """
    network = ForensicWholeNet(ForensicWholeConfig())
    if kept.is_file():
        network.load_state_dict(torch.load(kept, weights_only=True))
        return network.eval()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    _begin(network, recognizer, looks, rows, rng)
    network = network.to(memory_format=torch.channels_last).train()
    last = set(network.whole.parameters())
    solver = torch.optim.AdamW([
        {"params": [one for one in network.parameters() if one not in last], "share": 1.0},
        {"params": list(last), "share": schedule.last},
    ], schedule.rate, weight_decay=1e-2)  # fmt: skip
    chances, told, start = chances_of(looks.methods[rows]), 0.0, time.monotonic()
    for step in range(1, schedule.steps + 1):
        for group in solver.param_groups:
            falling = 0.5 + 0.5 * np.cos(np.pi * max(0.0, 2 * step / schedule.steps - 1))
            group["lr"] = schedule.rate * group["share"] * min(1.0, step / 60) * falling
        some = rng.choice(rows, schedule.batch, p=chances)
        x = _batch(looks.whole, looks.real[some], some, rng)
        with torch.autocast("cpu", torch.bfloat16):
            evidence = network(x[:, :3], x[:, 3:])
        untouched, changed = evidence.float().reshape(2, -1)
        wrong = functional.softplus(untouched).mean() + functional.softplus(-changed).mean()
        wrong = wrong / 2 + RANKING * functional.softplus(untouched - changed).mean()
        solver.zero_grad(set_to_none=True)
        wrong.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        solver.step()
        told += wrong.item()
        if step % 100 == 0:
            print(f"step {step}, {time.monotonic() - start:.0f} s: {told / 100:.3f}", flush=True)
            told = 0.0
    torch.save(network.state_dict(), kept)
    return network.eval()


def _begin(
    network: ForensicWholeNet,
    recognizer: Path,
    looks: Looks,
    rows: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Take over the recognizer's first layers, and fit the last one on what they find."""
    (known,) = load_bundle(recognizer).networks.values()
    own = network.state_dict()
    network.load_state_dict({name: known.tensors.get(name, own[name]).float() for name in own})
    network.eval()
    some = rng.choice(rows, min(_STARTED, len(rows)), replace=False)
    real = np.unique(looks.real[rows])
    real = rng.choice(real, min(_STARTED, len(real)), replace=False)
    found = [features_of(network, looks.whole[part]) for part in (real, some)]
    both = np.concatenate(found)
    network.middle.copy_(torch.from_numpy(both.mean(0)))
    network.spread.copy_(torch.from_numpy(both.std(0) + 1e-3))
    head = fit_head([found[0]], [found[1]], PENALTY)
    shifted = head.bias + float(head.weights @ both.mean(0))
    scaled = head.weights * network.spread.numpy()
    set_head(network, Head(scaled, shifted))


def set_head(network: ForensicWholeNet, head: Head) -> None:
    """Give a network another last layer."""
    with torch.no_grad():
        network.whole.weight.copy_(torch.from_numpy(np.asarray(head.weights, np.float32))[None])
        network.whole.bias.fill_(head.bias)


def chances_of(methods: np.ndarray) -> np.ndarray:
    """(n,) by which donors are drawn as often as they are laid, however many there are."""
    names = list(np.unique(methods))
    each = np.array([DONORS.count(str(name)) / (methods == name).sum() for name in names])
    chances = each[np.searchsorted(names, methods)]
    return np.asarray(chances / chances.sum())


def _batch(
    whole: np.ndarray, real: np.ndarray, changed: np.ndarray, rng: np.random.Generator
) -> torch.Tensor:
    """(2B,4,s,s): untouched ones first; each pair is moved and colored alike."""
    both = torch.from_numpy(np.concatenate([whole[real], whole[changed]]))
    x = both.permute(0, 3, 1, 2).float() / 255
    count = len(real)
    angle, zoom = rng.normal(0, 0.1, count), FACE_SIDE / SIDE * rng.uniform(0.92, 1.12, count)
    flip = rng.choice([-1, 1], count)
    shift = rng.uniform(-0.08, 0.08, (2, count))
    matrix = np.stack([
        np.stack([flip * zoom * np.cos(angle), -zoom * np.sin(angle), shift[0]], -1),
        np.stack([flip * zoom * np.sin(angle), zoom * np.cos(angle), shift[1]], -1),
    ], 1)  # fmt: skip
    theta = torch.from_numpy(np.tile(matrix, (2, 1, 1))).float()
    grid = functional.affine_grid(theta, [2 * count, 4, FACE_SIDE, FACE_SIDE], align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    rgb = x[:, :3]
    gray = rgb.mean(1, keepdim=True)
    strength = rng.uniform(0.5, 1.3, count) * (rng.random(count) > 0.15)
    rgb = gray + (rgb - gray) * _each(strength)
    gain = torch.from_numpy(np.tile(np.exp(rng.normal(0, 0.12, (count, 3))), (2, 1))).float()
    rgb = (rgb.clamp(0, 1) ** _each(np.exp(rng.normal(0, 0.2, count)))) * gain[:, :, None, None]
    x = torch.cat([rgb.clamp(0, 1), x[:, 3:]], 1)
    return x.contiguous(memory_format=torch.channels_last)


def _each(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.tile(values, 2)).float()[:, None, None, None]


def features_of(network: ForensicWholeNet, whole: np.ndarray) -> np.ndarray:
    """(n,F) of faces (n,s,s,4) uint8, s at least FACE_SIDE, of whose middle is taken; the mean over
    both mirror images."""
    low = (whole.shape[1] - FACE_SIDE) // 2
    found = [np.zeros((0, len(network.middle)), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(whole), 16):
            part = whole[start : start + 16, low : low + FACE_SIDE, low : low + FACE_SIDE]
            x = torch.from_numpy(np.ascontiguousarray(part)).permute(0, 3, 1, 2).float() / 255
            both = torch.cat([x, x.flip(3)])
            told = network.features(both[:, :3], both[:, 3:])
            found.append(told.reshape(2, len(x), -1).mean(0).numpy())
    return np.concatenate(found)
