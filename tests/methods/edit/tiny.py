"""Tiny generators, and plans for them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from likeness import config as settings
from likeness.methods.edit.directions import Direction, weights_of
from likeness.methods.edit.masks import MaskConfig
from likeness.methods.edit.method import StitchConfig
from likeness.methods.edit.stages import StagesConfig
from likeness.methods.edit.stitch import StitchingConfig
from likeness.methods.edit.train import encoder_for
from likeness.methods.edit.tune import TuneConfig
from likeness.nets.inversion import Inversion
from likeness.plan.edit import plan_edit
from likeness.plan.plan import Plan
from likeness.synthesize.eigenfaces import EigenfacesConfig, learn_eigenfaces
from likeness.synthesize.stylegan import Stylegan, StyleganConfig
from likeness.types import Bundle, Shot, Weights

SIDE = 16


def eigenfaces(pixels: np.ndarray, components: int = 6) -> Bundle:
    """A bundle of eigenfaces of given pictures (M,3,S,S), with one direction called brighter."""
    model = learn_eigenfaces(pixels, EigenfacesConfig(pixels.shape[2], components))
    with torch.no_grad():
        # The code change that brightens all pixels most evenly.
        step = model.faces.sum(1) / model.faces.square().sum(1) * 0.2
    directions = weights_of([Direction("brighter", step[None].numpy(), "made", {})])
    weights = Weights("eigenfaces", settings.to_json(model.config), model.state_dict())
    return Bundle("edit.stitch", {"generator": weights, "directions": directions}, {}, {}, "")


def stylegan(seed: int = 0, encoder: bool = True) -> Bundle:
    """A bundle of an untrained StyleGAN of 16 pixels, with an untrained encoder."""
    torch.manual_seed(seed)
    network = StyleganConfig(widths=(8, 8, 4), latent=16, code=16, depth=2)
    parts = {"generator": _weights("stylegan", network, Stylegan(network))}
    if encoder:
        config = encoder_for(network)
        parts["encoder"] = _weights("inversion", config, Inversion(config))
    step = np.random.default_rng(3).standard_normal((1, 16)).astype(np.float32)
    parts["directions"] = weights_of([Direction("somewhere", step, "made", {})])
    return Bundle("edit.stitch", parts, {}, {}, "")


def _weights(name: str, config: object, network: torch.nn.Module) -> Weights:
    return Weights(name, settings.to_json(config), network.state_dict())


def plan_of(
    shot: Shot, strengths: Mapping[str, np.ndarray], config: StitchConfig | None = None
) -> Plan:
    """Edit a whole shot."""
    return plan_edit(shot, strengths, {"stitch": settings.to_json(config or quick())})


def quick(epochs: float = 4, steps: int = 4) -> StitchConfig:
    """Few steps of everything; masks without a network."""
    stages = StagesConfig(
        mask=MaskConfig("face"),
        tune=TuneConfig(epochs=epochs, learning_rate=1e-2),
        stitch=StitchingConfig(steps=steps, learning_rate=1e-2),
    )
    return StitchConfig(stages)
