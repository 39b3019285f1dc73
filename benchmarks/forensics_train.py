"""Train the detector's network on self-blended faces: real people only, and no method's output.

Run: python benchmarks/forensics_train.py DATA WORK [--minutes 30] [--seed 0]

DATA is a folder of test data; WORK keeps the faces that were found and the network. An earlier
network there is trained on.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from forensics_blend import Wear, blend, coded_anyhow, seen, small_map, view
from forensics_faces import Faces, load_faces
from torch.nn import functional

from likeness.nets.forensic import ForensicConfig, ForensicNet

PAIRS = 12
GROUPS = 3
RATE = 2e-3
LAST = 0.05
"""The rate falls to this share of it."""


def main() -> None:
    """Train for some minutes of the clock and keep the network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(asked.seed)
    faces = load_faces(asked.data, asked.work / "faces.npz")
    network = ForensicNet(ForensicConfig())
    kept = asked.work / "network.npz"
    if kept.is_file():
        network.load_state_dict(load(kept))
    train(network, faces, 60 * asked.minutes, kept, asked.seed)


def train(network: ForensicNet, faces: Faces, seconds: float, kept: Path, seed: int) -> None:
    """Show pairs until the time is over; prints a line now and then and keeps the network."""
    rng = np.random.default_rng(seed)
    rows = balanced(faces)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-3)
    network.to(memory_format=torch.channels_last).train()
    began, step, told, line = time.monotonic(), 0, [], time.monotonic()
    while (spent := (time.monotonic() - began) / seconds) < 1:
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 100)
            group["lr"] = RATE * warm * (LAST + (1 - LAST) * 0.5 * (1 + math.cos(math.pi * spent)))
        crops, changed, maps = batch(faces, rng.choice(rows, PAIRS), rng)
        _, evidence, where = network(crops.contiguous(memory_format=torch.channels_last))
        whole = functional.binary_cross_entropy_with_logits(evidence, changed)
        place = functional.binary_cross_entropy_with_logits(where[:, 0], maps)
        optimizer.zero_grad()
        (whole + 0.7 * place).backward()
        optimizer.step()
        right = float(((evidence > 0) == (changed > 0)).float().mean())
        told.append((float(whole), float(place), right))
        step += 1
        if time.monotonic() - line > 30:
            line = time.monotonic()
            save(network, kept)
            recent = np.mean(told[-60:], 0)
            print(f"{step:6} steps  {spent:.0%}  loss {recent[0]:.3f}  map {recent[1]:.3f}  "
                  f"right {recent[2]:.3f}", flush=True)  # fmt: skip
    save(network, kept)


def balanced(faces: Faces) -> np.ndarray:
    """Rows of the training split, each kind of picture as often as it is useful."""
    rows = faces.where("train")
    times = {"photo": 4, "clip": 2, "gray": 1, "actor": 1}
    return np.concatenate([np.repeat(rows[faces.kinds[rows] == k], n) for k, n in times.items()])


def batch(
    faces: Faces, rows: np.ndarray, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make pairs: crops (2n,3,h,w), whether they were changed (2n,), and where (2n,MAP,MAP)."""
    pictures, maps = [], []
    for row in rows:
        whole = faces.pictures[row].astype(np.float32) / 255
        real, fake, mask, _ = blend(whole, faces.landmarks[row], rng)
        place, wear = view(whole.shape[0], rng), Wear(rng)
        pictures += [wear(seen(real, place)), wear(seen(fake, place))]
        maps.append(small_map(seen(mask, place)))
    shown = []
    size = -(-len(pictures) // (2 * GROUPS)) * 2
    for start in range(0, len(pictures), size):
        shown += coded_anyhow(pictures[start : start + size], rng)
    crops = torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2)
    where = np.zeros((len(pictures), *maps[0].shape), np.float32)
    where[1::2] = maps
    changed = torch.arange(len(pictures)) % 2
    return crops, changed.float(), torch.from_numpy(where)


def save(network: ForensicNet, path: Path) -> None:
    """Keep the weights beside the faces."""
    arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    np.savez(path, **arrays)


def load(path: Path) -> dict[str, torch.Tensor]:
    """Read what `save` wrote."""
    with np.load(path) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


if __name__ == "__main__":
    main()
