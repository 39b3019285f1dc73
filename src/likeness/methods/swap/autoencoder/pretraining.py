"""Learning from actors what all faces share: the network that two people's training begins from.

A picture of one actor goes in, and what shall come out is another of the group in the same pose.
Whose face it is, is told to the decoder alone: by what is added to the biases of its convolutions
and to the code, for each actor. Their mean is folded into the weights at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from likeness import geometry
from likeness.condition.face_types import feature_mask, hull_mask
from likeness.methods.swap.autoencoder.augment import (
    Move,
    SwapAugmentConfig,
    draw_move,
    recolored,
    taken,
)
from likeness.methods.swap.autoencoder.data import Batch, inner_of
from likeness.methods.swap.autoencoder.losses import SwapLossConfig, pointing, reconstruction
from likeness.methods.swap.autoencoder.marks import COUNT, marks_of
from likeness.methods.swap.autoencoder.pretraining_actors import ActorFaces
from likeness.synthesize.autoencoder import Autoencoder
from likeness.training.loop import Losses
from likeness.types import Floats

_AUGMENT = SwapAugmentConfig(warp=0.5)
_LOSS = SwapLossConfig(eyes_mouth=30.0, adversarial=0.0)
_POINTS = 2.0
_FASTER = 3.0
"""Learning rate of what tells actors apart, in units of the network's."""
DRAWN = "decoder_source."


@dataclass(frozen=True, eq=False)
class ActorBatch:
    """Pictures that go in and come out, and who comes out."""

    batch: Batch
    who: Tensor
    """(N,) actors."""


class ActorsNetwork(nn.Module):
    """A network, what tells actors apart, and what reads points off the code."""

    def __init__(self, network: Autoencoder, actors: int) -> None:
        super().__init__()
        self.network = network
        self.pointer = nn.Linear(network.config.inter, COUNT)
        self.looks = nn.ModuleDict()
        self.who = torch.zeros(1, dtype=torch.int64)
        for name, layer in self.layers():
            table = nn.Embedding(actors, len(_bias(layer)))
            nn.init.zeros_(table.weight)
            self.looks[name.replace(".", "/")] = table
            layer.register_forward_hook(self._added(table))

    def layers(self) -> list[tuple[str, nn.Module]]:
        """Layers whose biases differ between actors."""
        convolutions = [
            (name, layer)
            for name, layer in self.network.named_modules()
            if name.startswith(DRAWN) and isinstance(layer, nn.Conv2d)
        ]
        return [("inter.widen", self.network.inter.widen), *convolutions]

    def _added(self, table: nn.Module) -> Any:
        def add(_: nn.Module, __: Any, answer: Tensor) -> Tensor:
            told: Tensor = table(self.who).to(answer.dtype)
            return answer + (told if answer.dim() == 2 else told[:, :, None, None])

        return add

    def forward(self, rgb: Tensor, who: Tensor) -> Any:
        """Draw actors `who` (N,) doing what (N,3,S,S) show; also return the code's numbers."""
        self.who = who
        flat = self.network.encode(rgb)
        face = self.network.decode_source(self.network.source_code(flat))
        return face, self.pointer(self.network.numbers(flat.float()))


def folded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the network of a group's weights, drawing the mean of all looks; one decoder."""
    found = {
        key.removeprefix("network."): value.clone()
        for key, value in weights.items()
        if key.startswith("network.") and ".decoder_target." not in key
    }
    for key, value in weights.items():
        if key.startswith("looks."):
            name = key.removeprefix("looks.").removesuffix(".weight").replace("/", ".")
            found[f"{name}.bias"] += value.mean(0)
    return found


class PretrainingTask:
    """Draw one actor from another's picture."""

    def __init__(self, network: Autoencoder, faces: ActorFaces, batch: int) -> None:
        """Prepare a training.

        Args:
            network: a df network.
            faces: of all actors.
            batch: pictures in a step.
        """
        self.generator = ActorsNetwork(network, len(faces.pixels))
        self.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminator: nn.Module | None = None
        self.faces, self.batch, self.side = faces, batch, network.config.size
        stored = faces.pixels.shape[-1]
        self.marks = np.stack([marks_of(p[:, :68], p[:, 68:], stored) for p in faces.points])
        self.inner = inner_of(self.side, stored)

    def sample(self, random: np.random.Generator) -> ActorBatch:
        """Draw pairs of one group in one pose."""
        side, faces = self.side, self.faces
        group, (actors, poses) = faces.config.group, faces.points.shape[:2]
        pictures = np.empty((2, self.batch, side, side, 3), np.float32)
        points = np.empty((self.batch, 68, 2), np.float32)
        marks = np.empty((self.batch, COUNT), np.float32)
        who = np.empty(self.batch, np.int64)
        for n in range(self.batch):
            one, pose = random.integers(actors), random.integers(poses)
            first = one - one % group
            who[n] = random.integers(first, min(first + group, actors))
            move = draw_move(random, _AUGMENT, self.inner, side)
            pictures[0, n] = _strayed(self._taken(one, pose, move, True), random)
            pictures[1, n] = self._taken(who[n], pose, move, False)
            points[n] = geometry.apply(move.crop_from_larger, faces.points[who[n], pose, :68])
            marks[n] = self.marks[one, pose]
        given, real = torch.from_numpy(pictures).permute(0, 1, 4, 2, 3).unbind(0)
        mask = torch.from_numpy(hull_mask(points, side))
        features = torch.from_numpy(feature_mask(points, side))
        batch = Batch(given, real, mask, features, torch.from_numpy(marks))
        return ActorBatch(batch, torch.from_numpy(who))

    def _taken(self, actor: int, pose: int, move: Move, warped: bool) -> Floats:
        picture = np.ascontiguousarray(self.faces.pixels[actor, pose].transpose(1, 2, 0))
        return taken(picture, move, warped)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return Adam; what tells actors apart learns faster."""
        looks = {id(weight) for weight in self.generator.looks.parameters()}
        both = list(parameters)
        groups: list[dict[str, Any]] = [
            {"params": [w for w in both if id(w) not in looks]},
            {"params": [w for w in both if id(w) in looks], "lr": RATE * _FASTER},
        ]
        return torch.optim.Adam(groups, lr=RATE, betas=(0.9, 0.99))

    def losses(self, sample: ActorBatch, progress: float) -> Losses:
        """Compare what is drawn with the other actor, and what the code tells with what is done."""
        with torch.autocast("cpu", torch.bfloat16):
            face, told = self.generator(sample.batch.warped, sample.who)
        drawn = reconstruction(face, sample.batch, _LOSS)
        return Losses(drawn + _POINTS * pointing(told, sample.batch.marks))


RATE = 1e-3
"""Peak of the learning rate."""


def _strayed(picture: Floats, random: np.random.Generator) -> Floats:
    """Let light, color, sharpness and noise of a picture stray as far as cameras and lamps do."""
    tint = np.exp(random.normal(0, 0.1, 3) + random.normal(0, 0.2))
    found = np.clip(recolored(picture, random, 0.3) * tint, 0, 1) ** np.exp(random.normal(0, 0.2))
    if random.random() < 0.3:
        found = cv2.GaussianBlur(found, (0, 0), random.uniform(0.4, 1.2))
    found = found + random.normal(0, random.uniform(0, 0.03), picture.shape)
    return np.asarray(np.clip(found, 0, 1), np.float32)


def _bias(layer: nn.Module) -> Tensor:
    bias: Tensor = layer.get_parameter("bias")
    return bias
