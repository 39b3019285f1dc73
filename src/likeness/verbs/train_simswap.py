"""`likeness train swap FOLDER... --arch simswap` as a function: from many people to any two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from likeness.methods.portrait.model import CPU
from likeness.methods.swap.simswap.settings import SimSwapTraining
from likeness.pipeline import AnalyzeConfig
from likeness.provenance.consent import Consent
from likeness.types import Bundle, Progress, silent
from likeness.verbs.train_any import train_any


def train_simswap(
    folders: Sequence[Path],
    output: Path,
    config: SimSwapTraining | None = None,
    progress: Progress = silent,
    *,
    recognizer: Path | None = None,
    analysis: AnalyzeConfig | None = None,
    consents: Sequence[Consent] = (),
    resume: bool = False,
    device: torch.device = CPU,
) -> Bundle:
    """Train SimSwap on many people; see `train_any` for arguments and errors."""
    return train_any(
        folders,
        output,
        config or SimSwapTraining(),
        progress,
        recognizer=recognizer,
        analysis=analysis,
        consents=consents,
        resume=resume,
        device=device,
    )
