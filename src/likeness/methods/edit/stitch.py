"""Stitching tuning: the edited face meets its own frame at the border, and stays itself inside.

Paper: Tzaban et al., Stitch it in Time, section 4.4, equations 5 to 7. For each frame a fresh copy
of the tuned generator draws the edited code and is moved for a moment so that

    L = mean over the border of (G - frame)^2 + 0.01 mean over the content of (G - edited)^2

falls: the border shall be the frame's, the content the edit's. The mask is the face parser's
foreground; the border is a ring around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.methods.edit.generator import FaceGenerator
from likeness.methods.edit.tune import with_state


@dataclass(frozen=True)
class StitchingConfig:
    """How borders are made to meet."""

    steps: int = 100
    """Of Adam, for each frame; 0 pastes what was drawn."""
    learning_rate: float = 3e-4
    content: float = 0.01
    """Weight of the inside."""
    enough: float = 0.0
    """Squared error at the border, in [-1,1], at which a frame is done; the paper names 0.005 for
    plain and 0.002 for exacting scenes, 0 takes all steps."""
    border: float = 50 / 1024
    """Width of the ring in sides of the crop."""
    feather: float = 25 / 1024
    """Width over which the pasted face fades, inside the ring, in sides of the crop."""

    def __post_init__(self) -> None:
        if (
            min(self.steps, self.content, self.enough, self.feather) < 0
            or self.learning_rate <= 0
            or not 0 < self.border < 0.5
        ):
            raise ConfigError(
                f"steps {self.steps}, learning_rate {self.learning_rate}, content {self.content}, "
                f"enough {self.enough}, border {self.border}, feather {self.feather}; expected "
                "numbers of 0 or more and a border below 0.5"
            )


@dataclass(frozen=True, eq=False)
class Zones:
    """N masks at the generator's size, (N,1,S,S) in [0,1]."""

    full: Tensor
    """All that is pasted: the foreground and the ring around it."""
    border: Tensor
    """The ring, and the foreground where it meets the crop's edge."""
    content: Tensor
    """The foreground without the border."""
    alpha: Tensor
    """Full, faded toward its outside."""

    def of(self, index: int) -> Zones:
        """Return those of one frame."""
        one = slice(index, index + 1)
        return Zones(self.full[one], self.border[one], self.content[one], self.alpha[one])


@dataclass(frozen=True, eq=False)
class Stitched:
    """One frame's face, ready to be pasted."""

    rgb: Tensor
    """(3,S,S), unclipped near [0,1]."""
    steps: int
    before: float
    """Squared error at the border, in [-1,1], without stitching."""
    after: float


def zones(mask: Tensor, config: StitchingConfig) -> Zones:
    """Divide crops into what is kept, what must meet, and what shows the edit.

    Args:
        mask: (N,1,S,S) in [0,1]: the foreground, as a parser sees it.
        config: settings.
    """
    side = mask.shape[-1]
    reach = max(1, round(config.border / 2 * side))
    solid = (mask > 0.5).to(mask)
    full = functional.max_pool2d(solid, 2 * reach + 1, 1, reach)
    edge = torch.zeros_like(full)
    edge[..., :reach, :] = edge[..., -reach:, :] = 1
    edge[..., :, :reach] = edge[..., :, -reach:] = 1
    border = torch.maximum(full - solid, full * edge)
    content = (solid - border).clamp(0, 1)
    return Zones(full, border, content, _faded(full, config.feather * side))


def _faded(full: Tensor, width: float) -> Tensor:
    """Fade a mask over about `width` pixels within itself; 0 outside, bit for bit."""
    if width < 0.25:
        return full
    reach = max(1, round(width / 2))
    # Outside the crop nothing is pasted, so that the fading ends there too.
    inner = 1 - functional.max_pool2d(1 - _walled(full, reach, 0.0), 2 * reach + 1, 1, 0)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / (0.5 * reach + 0.25)) ** 2)
    taps = (taps / taps.sum()).to(full)
    padded = _walled(inner, reach, 0.0)
    across = functional.conv2d(padded, taps[None, None, None])
    return functional.conv2d(across, taps[None, None, :, None]).clamp(0, 1) * full


def _walled(mask: Tensor, reach: int, value: float) -> Tensor:
    return functional.pad(mask, (reach, reach, reach, reach), value=value)


def stitch_one(
    generator: FaceGenerator, code: Tensor, crop: Tensor, zone: Zones, config: StitchingConfig
) -> Stitched:
    """Draw one edited code so that its border meets the frame.

    Args:
        generator: tuned; its module is not changed.
        code: (1,L,D) edited.
        crop: (1,3,S,S) what the frame shows, in [0,1].
        zone: of one frame.
        config: settings.
    """
    copy = with_state(generator, generator.module.state_dict())
    copy.module.requires_grad_(True)
    with torch.no_grad():
        edited = copy.draw(code)
        first = float(_apart(edited, crop, zone.border))
    last, done = first, 0
    optimizer = torch.optim.Adam(copy.module.parameters(), lr=config.learning_rate)
    drawn = edited
    with torch.enable_grad():
        for step in range(config.steps):
            drawn = copy.draw(code)
            border = _apart(drawn, crop, zone.border)
            last, done = float(border.detach()), step
            if last <= config.enough:
                break
            loss = border + config.content * _apart(drawn, edited, zone.content)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        else:
            done = config.steps
    if done == config.steps and config.steps:
        with torch.no_grad():
            drawn = copy.draw(code)
            last = float(_apart(drawn, crop, zone.border))
    return Stitched(drawn.detach()[0], done, first, last)


def _apart(a: Tensor, b: Tensor, where: Tensor) -> Tensor:
    """Mean squared error in [-1,1] over a zone; 0 where the zone is empty."""
    error = (4 * (a - b).square()).mean(1, keepdim=True) * where
    return error.sum() / where.sum().clamp_min(1e-6)
