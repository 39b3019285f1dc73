"""The expensive stages in their order: crops, masks, pivots, tuning, stitching.

Each leaves its answer in a file of the working folder, named by what it was made from, and goes on
where an interrupted run ended. What a stage holds in memory does not grow with the clip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likeness import geometry
from likeness.methods.edit.crops import AlignConfig, smoothed_squares
from likeness.methods.edit.directions import Direction
from likeness.methods.edit.generator import FaceGenerator
from likeness.methods.edit.invert import InvertConfig, invert
from likeness.methods.edit.losses import Features, LossConfig, PictureLoss
from likeness.methods.edit.masks import MaskConfig, Masks
from likeness.methods.edit.rows import digest_of, rows_of
from likeness.methods.edit.stitch import StitchingConfig, Zones, stitch_one, zones
from likeness.methods.edit.tune import TuneConfig, tuned, with_state
from likeness.training.bank import fill_bank
from likeness.types import Bools, Crop, Floats, Ints, Progress, Shot, Window, silent

_SETTLED = 1e-6
"""Strengths below this change nothing: such frames stay as they were decoded."""


@dataclass(frozen=True)
class StagesConfig:
    """Settings of what is prepared, a table per stage."""

    align: AlignConfig = field(default_factory=AlignConfig)
    mask: MaskConfig = field(default_factory=MaskConfig)
    invert: InvertConfig = field(default_factory=InvertConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    stitch: StitchingConfig = field(default_factory=StitchingConfig)
    freeze_fine: int | None = None
    """Row of W+ from which on all frames have the clip's mean code, so that color and texture stand
    still; None freezes nothing."""


@dataclass(frozen=True, eq=False)
class Footing:
    """Which frames of a clip are edited, and how much."""

    shot: Shot
    times: Ints
    """(N,) increasing frames of the clip that show the face."""
    strengths: Mapping[str, Floats]
    """(N,) per direction."""

    @property
    def rows(self) -> Ints:
        """(N,) rows of the shot's track."""
        return self.times - self.shot.track.start


@dataclass(frozen=True, eq=False)
class Faces:
    """What the stages come to: N faces to be pasted."""

    crop: Crop
    """N similarities, of the generator's size."""
    pixels: NDArray[np.uint8]
    """(N,3,S,S) what the frames show."""
    faces: NDArray[np.float16]
    """(N,4,S,S) RGB and alpha of what is pasted."""


@dataclass(frozen=True, eq=False)
class Studio:
    """Everything that the stages work with."""

    generator: FaceGenerator
    masks: Masks
    directions: Mapping[str, Direction]
    config: StagesConfig
    folder: Path
    features: Features | None = None
    progress: Progress = silent

    def faces(self, footing: Footing) -> Faces:
        """Run all stages, or what is left of them.

        Raises:
            MediaError: the clip cannot be read, or the disk has no room.
        """
        crop = self.crops(footing)
        digest = digest_of(
            footing.shot.clip.digest, footing.times, crop.crop_from_frame, self._generator_digest()
        )
        clip, times = footing.shot.clip, footing.times
        pixels = fill_bank(clip, crop, times, self.folder / "crops.bin", self.progress).pixels
        masks = self._masks(footing, crop, pixels, digest)
        codes = self._codes(pixels, digest)
        generator = self._tuned(pixels, codes, digest)
        faces = self._stitched(footing, generator, pixels, masks, codes, digest)
        return Faces(crop, pixels, faces)

    def crops(self, footing: Footing) -> Crop:
        """Lay the smoothed squares of the frames that are edited."""
        track = footing.shot.track
        present = np.zeros(len(track), bool)
        present[footing.rows] = True
        squares = smoothed_squares(track.landmarks, present, self.config.align)
        chosen = replace(
            squares, center=squares.center[footing.rows], axis=squares.axis[footing.rows]
        )
        return chosen.crop(self.generator.size)

    def _masks(
        self, footing: Footing, crop: Crop, pixels: NDArray[np.uint8], digest: str
    ) -> NDArray[np.uint8]:
        """(N,1,S,S) of 0 and 1."""
        landmarks = footing.shot.track.landmarks[footing.rows, :, :2]
        inside = geometry.apply(crop.crop_from_frame, landmarks)

        def make(window: Window) -> NDArray[Any]:
            chosen = slice(window.start, window.stop)
            found = self.masks.find(np.array(pixels[chosen]), inside[chosen])
            return found.to(torch.uint8).numpy()

        side = self.generator.size
        return rows_of(
            self.folder / "masks.bin",
            (len(pixels), 1, side, side),
            np.uint8,
            digest_of(digest, self.masks.what),
            make,
            stage="mask",
            progress=self.progress,
        )

    def _codes(self, pixels: NDArray[np.uint8], digest: str) -> NDArray[np.float32]:
        """(N,L,D) pivots, fine rows frozen where asked."""

        def make(window: Window) -> NDArray[Any]:
            shown = torch.from_numpy(np.array(pixels[window.start : window.stop])).float() / 255
            found = invert(self.generator, shown, self.config.invert, self._loss())
            return found.cpu().numpy()

        codes: NDArray[np.float32] = rows_of(
            self.folder / "pivots.bin",
            (len(pixels), *self.generator.shape),
            np.float32,
            digest_of(digest, self.config.invert, self.config.loss, self.features is not None),
            make,
            stage="invert",
            progress=self.progress,
        )
        fine = self.config.freeze_fine
        if fine is None:
            return codes
        frozen = np.array(codes)
        frozen[:, fine:] = frozen[:, fine:].mean(0)
        return frozen

    def _tuned(
        self, pixels: NDArray[np.uint8], codes: NDArray[np.float32], digest: str
    ) -> FaceGenerator:
        config = self.config
        key = digest_of(
            digest, config.tune, config.loss, config.invert, config.freeze_fine,
            self.features is not None,
        )  # fmt: skip
        state = tuned(
            self.generator,
            pixels,
            codes,
            config.tune,
            self._loss(),
            folder=self.folder / f"tune_{key[:12]}",
            digest=key,
            progress=self.progress,
        )
        return with_state(self.generator, state)

    def _stitched(
        self,
        footing: Footing,
        generator: FaceGenerator,
        pixels: NDArray[np.uint8],
        masks: NDArray[np.uint8],
        codes: NDArray[np.float32],
        digest: str,
    ) -> NDArray[np.float16]:
        """(N,4,S,S) RGB and alpha."""
        config, side = self.config, self.generator.size

        def make(window: Window) -> NDArray[Any]:
            chosen = slice(window.start, window.stop)
            shown = torch.from_numpy(np.array(pixels[chosen])).float() / 255
            zone = zones(torch.from_numpy(np.array(masks[chosen])).float(), config.stitch)
            pivots = torch.from_numpy(np.array(codes[chosen]))
            edited = self.edited(pivots, {k: v[chosen] for k, v in footing.strengths.items()})
            return np.stack(
                [
                    _pasted(generator, edited[n], shown[n], zone.of(n), config.stitch)
                    for n in range(len(window))
                ]
            )

        names = sorted(footing.strengths)
        parts = [part for name in names for part in (footing.strengths[name], self._step(name))]
        key = digest_of(
            digest, config.tune, config.loss, config.invert, config.stitch, config.freeze_fine,
            self.masks.what, self.features is not None, *names, *parts,
        )  # fmt: skip
        path, shape = self.folder / "faces.bin", (len(pixels), 4, side, side)
        return rows_of(path, shape, np.float16, key, make, stage="stitch", progress=self.progress)

    def edited(self, codes: Tensor, strengths: Mapping[str, Floats]) -> Tensor:
        """Move pivots (N,L,D) along all directions, each as strongly as asked."""
        for name in sorted(strengths):
            amount = torch.from_numpy(np.asarray(strengths[name], np.float32))
            codes = self.directions[name].moved(codes, amount)
        return codes

    def _step(self, name: str) -> Floats:
        return self.directions[name].step

    def _loss(self) -> PictureLoss:
        return PictureLoss(self.config.loss, self.features)

    def _generator_digest(self) -> str:
        return state_digest(self.generator.module.state_dict())


def _pasted(
    generator: FaceGenerator, code: Tensor, crop: Tensor, zone: Zones, config: StitchingConfig
) -> NDArray[np.float32]:
    """(4,S,S) RGB and alpha of one frame."""
    drawn = stitch_one(generator, code[None], crop[None], zone, config)
    both = torch.cat([drawn.rgb.clamp(0, 1), zone.alpha[0]])
    return np.asarray(both.cpu().numpy(), np.float32)


def state_digest(state: Mapping[str, Tensor]) -> str:
    """Return the sha256 over a network's tensors."""
    whole = hashlib.sha256()
    for name in sorted(state):
        whole.update(name.encode())
        whole.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()


def is_moved(strengths: Mapping[str, Floats], count: int) -> Bools:
    """Tell which of `count` frames an edit changes, (count,)."""
    moved = np.zeros(count, bool)
    for strength in strengths.values():
        moved |= np.abs(strength) > _SETTLED
    return moved


def footing_of(
    shot: Shot, shown: Ints, strengths: Mapping[str, Floats], absent: Bools | None
) -> Footing:
    """Choose the frames of a clip that an edit touches: each frame once, however often it is shown.

    Args:
        shot: whose face is edited.
        shown: (M,) frame of the clip under each frame of the output.
        strengths: (M,) per direction.
        absent: (M,) True where the face is away; None for nowhere.
    """
    inside = (shown >= shot.track.start) & (shown < shot.track.start + len(shot.track))
    kept = inside & is_moved(strengths, len(shown)) & (True if absent is None else ~absent)
    times, first = np.unique(shown[kept], return_index=True)
    chosen = {
        name: np.asarray(strength, np.float32)[kept][first] for name, strength in strengths.items()
    }
    return Footing(shot, times, chosen)
