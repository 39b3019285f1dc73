"""A short clip with sound, as `encode` writes it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from likeness.decode import open_clip
from likeness.encode import encode
from likeness.provenance import Ingredient, Manifest
from likeness.types import Clip
from tests.conftest import moving_frames, write_clip

CONSENT = "c0" * 32


@pytest.fixture(scope="session")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """25 frames of 64x48 with a tone, without any mark."""
    path = tmp_path_factory.mktemp("camera") / "camera.mp4"
    return open_clip(write_clip(path, moving_frames(25), tones=(440.0,)))


def statement(title: str = "test") -> Manifest:
    """What a reenactment of a consenting person would state."""
    return Manifest(
        title,
        "reenact",
        (Ingredient("target", "anna.mp4", "ab" * 32), Ingredient("driver", "ben.mp4", "cd" * 32)),
        settings={"transfer": {"absolute": False}, "strength": 0.5},
        people=({"role": "target", "consent": CONSENT},),
    )


def write(output: Path, like: Clip, manifest: Manifest | None = None) -> Path:
    """Encode moving frames to `output`, with `like`'s timing and sound."""
    pictures = torch.from_numpy(moving_frames(len(like), like.size)).permute(0, 3, 1, 2) / 255
    with encode(output, like=like, manifest=manifest or statement()) as video:
        video.append(pictures)
    return output
