"""Further training of the network that compares the finest detail, on laid donors and methods.

Imported by `forensics.py`. It begins with what self-blended pairs taught (`forensics_train.train`)
and is shown them again in a half of each batch; the other half holds what donors and methods left
(`forensics_looks`). A part of the loss is that the changed one of two gets more.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from forensics_face import RANKING, chances_of
from forensics_looks import Looks
from forensics_pairs import WINDOW, Pairs
from forensics_train import Schedule
from torch.nn import functional

from likeness.nets.forensic import OVAL_STRIDE, STRIDE, ForensicNet


def tune(
    network: ForensicNet,
    pairs: Pairs,
    looks: Looks,
    rows: np.ndarray,
    kept: Path | None,
    schedule: Schedule,
    donors: float = 0.4,
) -> ForensicNet:
    """Train a copy of a network further, or read what an earlier call trained.

    Args:
        network: what self-blended pairs taught.
        pairs: these pairs.
        looks: pictures that donors and methods changed.
        rows: of changed ones that may be learned from.
        kept: file of the result.
        schedule: how long.
        donors: share of those pairs whose change no method made.
    """
    tuned = ForensicNet(network.config)
    if kept is not None and kept.is_file():
        tuned.load_state_dict(torch.load(kept, weights_only=True))
        return tuned.eval()
    tuned.load_state_dict(network.state_dict())
    tuned = tuned.to(memory_format=torch.channels_last).train()
    torch.manual_seed(0)
    rng, half = np.random.default_rng(0), schedule.batch // 2
    chances = chances_of(looks.methods[rows], donors)
    solver = torch.optim.AdamW(tuned.parameters(), schedule.rate, weight_decay=1e-2)
    start, step, told = time.monotonic(), 0, 0.0
    while (done := (time.monotonic() - start) / (60 * schedule.minutes)) < 1:
        for group in solver.param_groups:
            warm = min(1.0, 20 * done + 0.05)
            group["lr"] = schedule.rate * warm * (0.5 + 0.5 * np.cos(np.pi * done)) + 1e-5
        old = rng.integers(0, len(pairs.pictures) - schedule.kept, schedule.batch - half)
        x, changed, oval = _batch(pairs, old, looks, rng.choice(rows, half, p=chances),
                                  schedule.window, rng)  # fmt: skip
        with torch.autocast("cpu", torch.bfloat16):
            evidence, where = tuned(x, oval)
        untouched, made = evidence.float().reshape(2, -1)
        wrong = (functional.softplus(untouched) + functional.softplus(-made)).mean() / 2
        wrong = wrong + RANKING * functional.softplus(untouched - made).mean()
        wrong = wrong + functional.binary_cross_entropy_with_logits(where.float(), changed)
        solver.zero_grad(set_to_none=True)
        wrong.backward()
        torch.nn.utils.clip_grad_norm_(tuned.parameters(), 2.0)
        solver.step()
        told, step = told + wrong.item(), step + 1
        if step % 100 == 0:
            print(
                f"step {step}, {60 * schedule.minutes * done:.0f} s: {told / 100:.3f}", flush=True
            )
            told = 0.0
    if kept is not None:
        torch.save(tuned.state_dict(), kept)
    return tuned.eval()


def _batch(
    pairs: Pairs,
    old: np.ndarray,
    looks: Looks,
    rows: np.ndarray,
    side: int,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Untouched windows, then changed ones: (2B,3,s,s), where changed, where the face is."""
    real = looks.real[rows]
    pictures = np.concatenate([pairs.pictures[old, 0], looks.window[real],
                               pairs.pictures[old, 1], looks.window[rows]])  # fmt: skip
    masks = np.concatenate([pairs.changed[old], looks.changed[rows]])
    ovals = np.concatenate([pairs.oval[old], looks.oval[real], pairs.oval[old], looks.oval[rows]])
    small = side // OVAL_STRIDE
    top, left = rng.integers(0, (WINDOW - side) // OVAL_STRIDE + 1, 2)
    y, x = OVAL_STRIDE * top, OVAL_STRIDE * left
    pictures = pictures[:, y : y + side, x : x + side]
    masks, ovals = (one[:, top : top + small, left : left + small] for one in (masks, ovals))
    if rng.random() < 0.5:
        pictures, masks, ovals = pictures[:, :, ::-1], masks[:, :, ::-1], ovals[:, :, ::-1]
    crops = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    mask, oval = (torch.from_numpy(np.ascontiguousarray(one))[:, None].float() / 255
                  for one in (masks, ovals))  # fmt: skip
    mask = functional.avg_pool2d(mask, STRIDE // OVAL_STRIDE)
    return (crops.contiguous(memory_format=torch.channels_last),
            torch.cat([torch.zeros_like(mask), mask]), oval)  # fmt: skip
