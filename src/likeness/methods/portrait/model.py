"""A portrait opened from its bundle: the target, its conditioner, its generator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import nn

from likeness.composite import soft_rectangle
from likeness.condition.conditioner import PortraitConditioner, select
from likeness.condition.gallery import Gallery
from likeness.condition.matte import Layers
from likeness.condition.mesh import PortraitMesh
from likeness.errors import BundleError
from likeness.networks import Runner, build, runner
from likeness.plan.target import Target
from likeness.store import load_face_model
from likeness.synthesize.portrait import Portrait
from likeness.types import Bundle, FaceParams, Floats, Ints, Layer, Shot

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class PortraitModel:
    """What is the same for all plans of one portrait."""

    target: Target
    conditioner: PortraitConditioner
    generator: nn.Module
    """The network as its bundle holds it."""
    draw: Runner
    """The same network, fast."""

    @cached_property
    def inside(self) -> torch.Tensor:
        """(1,1,h,w) alpha of the square, which fades where it ends inside the frame."""
        return soft_rectangle(self.conditioner.crop(1), self.conditioner.frame_size)

    def layer(self, rgb: torch.Tensor) -> Layer:
        """Lay (N,3,h,w) over the whole square."""
        crop = self.conditioner.crop(len(rgb))
        return Layer(crop, rgb, self.inside.expand(len(rgb), -1, -1, -1))

    def shaped(self, params: FaceParams) -> PortraitConditioner:
        """Return the conditioner for the shape of `params`, whose identity may have been edited."""
        if np.array_equal(params.shape, self.conditioner.mesh.shape):
            return self.conditioner
        mesh = replace(self.conditioner.mesh, shape=params.shape)
        return replace(self.conditioner, mesh=mesh)


def conditioner_of(
    shot: Shot, train_frames: Ints, crop_from_frame: Floats, side: int
) -> PortraitConditioner:
    """Build the conditioner of a target from the frames that training may see.

    Args:
        shot: the target.
        train_frames: (K,) frames of the shot.
        crop_from_frame: (2,3) the portrait's square.
        side: of the square in crop pixels.
    """
    model = load_face_model(shot.params.model)
    params = select(shot.params, train_frames)
    size = shot.clip.size
    mesh = PortraitMesh.fitted(model, params, crop_from_frame, size)
    return PortraitConditioner(
        mesh, params.albedo, params.light.mean(0), crop_from_frame, size, side
    )


def target_conditioner(target: Target) -> PortraitConditioner:
    """Build the conditioner of a bundle's target."""
    square = target.square
    return conditioner_of(
        target.shot, target.train_frames, square.crop_from_frame[0], square.size[0]
    )


def open_model(bundle: Bundle, network: str, device: torch.device = CPU) -> PortraitModel:
    """Open a portrait whose generator is a network.

    Args:
        bundle: of a portrait.
        network: key of the table of networks that the generator must be of.
        device: where the generator runs.

    Raises:
        BundleError: the generator is another network, or weights do not fit.
    """
    target = Target.of(bundle)
    generator = build(bundle.networks["generator"], network)
    return PortraitModel(target, target_conditioner(target), generator, runner(generator, device))


def gallery_of(bundle: Bundle, model: PortraitModel) -> Gallery:
    """Make the keyframes of a bundle ready, as layers over the network's plate.

    Raises:
        BundleError: the keyframes were never cut out.
    """
    kept = bundle.networks["gallery"].tensors
    if "mattes" not in kept or not isinstance(model.generator, Portrait):
        raise BundleError("the bundle's keyframes lack their mattes; train it again")
    times = kept["times"].numpy()
    layers = Layers(kept["mattes"], model.generator.plate[0])
    params = select(model.target.shot.params, times)
    return model.conditioner.gallery(params, kept["pictures"], times, layers)
