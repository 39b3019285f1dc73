"""Training of the network that looks at whole faces. Imported by `forensics.py`.

Every batch holds pairs: a picture and the same one changed, worn and coded alike, moved and colored
alike. So nothing but the change is to be learned, and a part of the loss is that the changed one of
the two gets more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from forensics_looks import DONORS, SIDE, Looks
from forensics_numbers import auc
from torch.nn import functional

from likeness.nets.forensic_face import FACE_SIDE, ForensicFaceConfig, ForensicFaceNet

RANKING = 0.5
"""Weight of the order within pairs."""
APART = 0.03
"""Mean difference from the untouched picture from which a place counts as changed."""


@dataclass(frozen=True)
class FaceSchedule:
    """How long and how fast."""

    minutes: float = 4.0
    batch: int = 32
    rate: float = 2e-3
    donors: float = 0.4
    """Share of pairs whose change no method made."""


def train_face(
    looks: Looks,
    rows: np.ndarray,
    kept: Path | None,
    schedule: FaceSchedule,
    start_from: ForensicFaceNet | None = None,
    aside: np.ndarray | None = None,
) -> ForensicFaceNet:
    """Train a network, or read what an earlier call trained.

    Args:
        looks: pictures.
        rows: of changed pictures that may be learned from.
        kept: its file.
        schedule: how long.
        start_from: what to begin with; None begins anew.
        aside: rows of changed pictures to tell about meanwhile.
    """
    network = ForensicFaceNet(ForensicFaceConfig())
    if kept is not None and kept.is_file():
        network.load_state_dict(torch.load(kept, weights_only=True))
        return network.eval()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = ForensicFaceNet(ForensicFaceConfig())
    if start_from is not None:
        network.load_state_dict(start_from.state_dict())
    network = network.to(memory_format=torch.channels_last).train()
    chances = chances_of(looks.methods[rows], schedule.donors)
    solver = torch.optim.AdamW(network.parameters(), schedule.rate, weight_decay=2e-2)
    start, step, told = time.monotonic(), 0, 0.0
    while (done := (time.monotonic() - start) / (60 * schedule.minutes)) < 1:
        for group in solver.param_groups:
            warm = min(1.0, 20 * done + 0.05)
            group["lr"] = schedule.rate * warm * (0.5 + 0.5 * np.cos(np.pi * done)) + 1e-5
        some = rng.choice(rows, schedule.batch, p=chances)
        x = _batch(looks.whole, looks.real[some], some, rng)
        with torch.autocast("cpu", torch.bfloat16):
            evidence, where = network(x)
        untouched, changed = evidence.float().reshape(2, -1)
        wrong = functional.softplus(untouched).mean() + functional.softplus(-changed).mean()
        wrong = wrong / 2 + RANKING * functional.softplus(untouched - changed).mean()
        wrong = wrong + functional.binary_cross_entropy_with_logits(where.float(), _apart(x))
        solver.zero_grad(set_to_none=True)
        wrong.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        solver.step()
        told, step = told + wrong.item(), step + 1
        if step % 200 == 0:
            print(f"step {step}, {60 * schedule.minutes * done:.0f} s: {told / 200:.3f}",
                  _tell(network, looks, aside) if aside is not None and step % 1000 == 0 else "",
                  flush=True)  # fmt: skip
            told = 0.0
    print(f"{step} steps; {_tell(network, looks, aside) if aside is not None else ''}", flush=True)
    if kept is not None:
        torch.save(network.state_dict(), kept)
    return network.eval()


def chances_of(methods: np.ndarray, donors: float) -> np.ndarray:
    """Every method counts alike, and so do both kinds of donors."""
    names = list(np.unique(methods))
    own = [name for name in names if name not in DONORS]
    share = donors if own else 1.0
    weights = {name: (1 - share) / max(1, len(own)) for name in own}
    kinds = [name for name in names if name in DONORS]
    weights |= {name: share / len(kinds) for name in kinds}
    each = np.array([weights[str(name)] / (methods == name).sum() for name in names])
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
    grid = functional.affine_grid(theta, (2 * count, 4, FACE_SIDE, FACE_SIDE), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    rgb = x[:, :3]
    gray = rgb.mean(1, keepdim=True)
    strength = rng.uniform(0.5, 1.3, count) * (rng.random(count) > 0.15)
    rgb = gray + (rgb - gray) * _each(strength)
    gain = torch.from_numpy(np.tile(np.exp(rng.normal(0, 0.12, (count, 3))), (2, 1))).float()
    rgb = (rgb.clamp(0, 1) ** _each(np.exp(rng.normal(0, 0.2, count)))) * gain[:, :, None, None]
    x = torch.cat([rgb.clamp(0, 1), x[:, 3:]], 1)
    return x.contiguous(memory_format=torch.channels_last)


def _apart(x: torch.Tensor) -> torch.Tensor:
    """(2B,1,s/8,s/8): where pictures differ from their untouched ones."""
    untouched, changed = x[:, :3].chunk(2)
    apart = functional.avg_pool2d((changed - untouched).abs().mean(1, keepdim=True), 8)
    apart = (apart / APART).clamp(max=1)
    return torch.cat([torch.zeros_like(apart), apart])


def _each(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.tile(values, 2)).float()[:, None, None, None]


def look_whole(network: ForensicFaceNet, whole: np.ndarray) -> np.ndarray:
    """(n,) evidence of faces (n,s,s,4) uint8, s at least FACE_SIDE, of whose middle is taken; the
    mean over both mirror images."""
    low = (whole.shape[1] - FACE_SIDE) // 2
    found = []
    with torch.inference_mode():
        for start in range(0, len(whole), 64):
            part = torch.from_numpy(whole[start : start + 64]).permute(0, 3, 1, 2).float() / 255
            part = part[:, :, low : low + FACE_SIDE, low : low + FACE_SIDE].contiguous()
            found.append(0.5 * (network(part)[0] + network(part.flip(3))[0]))
    return torch.cat(found).numpy() if found else np.zeros(0, np.float32)


def _tell(network: ForensicFaceNet, looks: Looks, aside: np.ndarray) -> str:
    """AUC of each method against all untouched pictures of the same people."""
    network.eval()
    real = look_whole(network, looks.whole[np.unique(looks.real[aside])])
    told = look_whole(network, looks.whole[aside])
    names = looks.methods[aside]
    network.train()
    return ", ".join(f"{name} {auc(real, told[names == name]):.2f}" for name in np.unique(names))
