"""What a training for swaps would do, and whether everybody agrees, before anybody looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from likeness.errors import BundleError
from likeness.machine import cores
from likeness.methods.swap.autoencoder.settings import (
    SwapTraining,
    core_minutes,
    network_of,
    resolved,
)
from likeness.provenance.consent import Consent
from likeness.provenance.permission import Permission, permit
from likeness.store import has_state
from likeness.verbs.swap_faces import Material

_BEGINNINGS = {
    "actors": "the shipped network, which has learned from procedural actors",
    "none": "chance",
}


def state_of(output: Path, resume: bool) -> Path:
    """Return where a training keeps its state: in the bundle that it makes.

    Raises:
        BundleError: an interrupted training is there that is not to be resumed.
    """
    folder = output / "resume"
    if has_state(folder) and not resume:
        raise BundleError(
            f"{output} holds an interrupted training; expected a new name. Go on with the training "
            f"by --resume, or remove {folder} to begin anew"
        )
    return folder


def permit_pair(materials: Sequence[Material], consents: Sequence[Consent]) -> Permission:
    """Permit to learn people's faces for a swap, or refuse; each person is named once.

    Raises:
        ConsentError: somebody did not agree.
    """
    source, target, *others = materials
    whole = permit(
        "swap",
        consents,
        sources=[clip for lender in (source, *others) for clip in lender.clips],
        targets=target.clips,
    )
    once: dict[tuple[Any, ...], Any] = {}
    for person in whole.people:
        once.setdefault(tuple(person.get(key) for key in ("role", "name", "consent")), person)
    return Permission(tuple(once.values()))


def planned(config: SwapTraining, device: torch.device) -> SwapTraining:
    """Fill in what the settings leave to the time and the machine."""
    minutes = config.minutes if config.steps is None else None
    return resolved(config, core_minutes(minutes, cores(), device.type != "cpu"))


def plan_of(materials: Sequence[Material], config: SwapTraining) -> dict[str, Any]:
    """Tell what a training would do, as JSON values.

    Raises:
        ConfigError: the settings do not fit each other.
    """
    network = network_of(config, len(materials))
    schedule = config.schedule
    stages = {
        "warped until": schedule.warp_until,
        "dropout from": schedule.dropout_from if (schedule.kept or 1) < 1 else "never",
        "discriminator from": schedule.adversarial_from if config.loss.adversarial else "never",
    }
    names = ["source", "target", *(f"person {n}" for n in range(3, len(materials) + 1))]
    return {
        "people": {
            name: {"from": m.path, "files": len(m.clips), "frames": sum(map(len, m.clips))}
            for name, m in zip(names, materials, strict=True)
        },
        "network": {
            "arch": config.arch,
            "size": config.size,
            "width": config.width,
            "decoder": config.decoder,
            "begins from": _BEGINNINGS[config.start],
            "parameters": sum(weight.numel() for weight in network.parameters()),
        },
        "share of the time": stages,
    }
