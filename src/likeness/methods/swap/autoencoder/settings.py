"""Settings of `likeness train swap`, and the network that a time allows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from likeness.condition.face_types import EXTENTS, FaceType
from likeness.config import nearest
from likeness.errors import ConfigError
from likeness.methods.swap.autoencoder.augment import SwapAugmentConfig
from likeness.methods.swap.autoencoder.losses import SwapLossConfig
from likeness.methods.swap.autoencoder.start import FACE_TYPE, SHAPE
from likeness.methods.swap.autoencoder.tasks import RATE, Network, SwapScheduleConfig
from likeness.synthesize.autoencoder import Autoencoder, AutoencoderConfig
from likeness.synthesize.autoencoder_published import OPTIONS
from likeness.synthesize.comb import Comb, CombConfig
from likeness.synthesize.original import Original, OriginalConfig

Arch = Literal["df", "liae", "original", "comb"]
ARCHS: tuple[Arch, ...] = ("df", "liae", "original", "comb")
ACCELERATED = 60.0
"""CPU cores that an accelerator stands for."""


@dataclass(frozen=True)
class SwapTraining:
    """Settings of `likeness train swap`."""

    arch: Arch = "df"
    """df keeps the target's face shape, liae is freer with it and with light; original is the first
    autoencoder; comb grows from small pictures to large ones and takes more than two people."""
    options: str = "ud"
    """Letters of DeepFaceLab's df and liae: u more likeness, d twice the resolution for the same
    time, t deeper, c another activation."""
    face_type: FaceType = "full"
    """How much of the head is drawn: from brows to chin, or a whole_face with its forehead, which
    leaves fewer pixels for each part."""
    size: int | None = None
    """Side of the network's pictures in pixels; None for what the time allows."""
    width: int | None = None
    """Channels of the encoder (e_dims of df and liae), and of the decoder where that is not given;
    None for what the time allows."""
    decoder: int | None = None
    """Channels of the decoder (d_dims); None for `width`, or for what the time allows."""
    inter: int | None = None
    """Numbers between encoder and decoder (ae_dims); None for what the time allows."""
    mask: int | None = None
    """Channels of the mask's decoder; None for a third of `decoder`."""
    start: Literal["actors", "none"] = "actors"
    """What the network begins from: one that has learned to draw procedural actors, which df has at
    96 pixels in the widths of 10 to 90 core minutes; or chance, as all others do."""
    batch: int = 4
    """Faces of each person in a step."""
    first_size: int = 16
    """Side at which a comb begins to learn."""
    brows: float = 1.0
    """How far the face reaches over the brows, in units of DeepFaceLab's mask."""
    even_turns: bool = False
    """Whether turned faces are drawn as often as those seen from the front."""
    even_faces: float = 0.5
    """How far faces that do what is rare (an open mouth, shut eyes) are drawn as often as others,
    0 to 1."""
    max_frames: int = 4000
    """Most frames of each person; more are thinned out evenly."""
    judged: Literal["auto", "always", "never"] = "auto"
    """Whether a patch discriminator sharpens the source late in training; auto where the time is
    worth it."""
    minutes: float | None = 30.0
    """Wall-clock budget of the training loop."""
    steps: int | None = None
    """Step budget instead of minutes; repeatable to the bit."""
    seed: int = 0
    """Of all randomness."""
    augment: SwapAugmentConfig = field(default_factory=SwapAugmentConfig)
    loss: SwapLossConfig = field(default_factory=SwapLossConfig)
    schedule: SwapScheduleConfig = field(default_factory=SwapScheduleConfig)

    def __post_init__(self) -> None:
        if self.arch not in ARCHS:
            raise ConfigError(f"arch is {self.arch!r}{nearest(self.arch, ARCHS)}")
        if set(self.options) - set(OPTIONS):
            raise ConfigError(f"options is {self.options!r}, expected any of the letters {OPTIONS}")
        if self.face_type not in EXTENTS:
            raise ConfigError(f"face_type is {self.face_type!r}{nearest(self.face_type, EXTENTS)}")
        if min(self.batch, self.max_frames) < 1:
            raise ConfigError(
                f"batch is {self.batch} and max_frames {self.max_frames}, expected 1 or more"
            )


@dataclass(frozen=True)
class Shape:
    """A network's size and widths."""

    size: int
    width: int
    decoder: int
    inter: int


_TIMES: tuple[tuple[float, Shape], ...] = (
    (0, Shape(64, 24, 12, 64)),
    (10, Shape(96, 32, 16, 96)),
    (90, Shape(128, 32, 32, 128)),
    (240, Shape(128, 48, 48, 192)),
    (1200, Shape(192, 64, 64, 256)),
    (6000, Shape(256, 80, 80, 320)),
)
"""Networks by the core minutes from which on they are taken: a rule of thumb that leaves each two
to three thousand steps before a wider one is taken. Costs of a step were measured, plateaus not."""
_COMB_SIZES = (64, 128, 256, 512, 1024)
_COMB_WIDER = 4
"""Width of a comb in units of df's."""
_ORIGINAL_WIDER = 2
_ORIGINAL_INTER = 4
_ORIGINAL = Shape(128, 128, 128, 1024)
"""The largest original network that is taken without being asked for."""
JUDGED_FROM = 240.0
"""Core minutes from which on a patch discriminator is worth its time."""
_WARPED_FROM = 60.0
_DROPPED_FROM = 240.0
"""Core minutes from which on learning-rate dropout ends a training."""
_KEPT = 0.3
_WIDE_FROM = 90.0
_CAREFUL = 4e-4
"""Learning rate from `_WIDE_FROM` core minutes on: of wide networks little is known here."""
_WEAK = 0.5
"""Strength of the warp where there are fewer core minutes than `_WARPED_FROM`."""


def core_minutes(minutes: float | None, cores: int, accelerated: bool) -> float:
    """Return how much work a budget stands for; a step budget counts as half an hour of two."""
    return (60.0 if minutes is None else minutes * cores) * (ACCELERATED if accelerated else 1.0)


def resolved(config: SwapTraining, work: float) -> SwapTraining:
    """Fill in what the settings leave to the time.

    Args:
        config: settings.
        work: core minutes, from `core_minutes`.
    """
    shape = next(shape for least, shape in reversed(_TIMES) if work >= least)
    size, width, inter = config.size or shape.size, config.width, config.inter
    if config.arch == "comb":
        size = config.size or max(s for s in _COMB_SIZES if s <= shape.size or s == 64)
        width = width or shape.width * _COMB_WIDER
    elif config.arch == "original":
        # Its fully connected layers grow with the square of all three.
        size = config.size or min(shape.size, _ORIGINAL.size)
        width = width or min(shape.width * _ORIGINAL_WIDER, _ORIGINAL.width)
        inter = inter or min(shape.inter * _ORIGINAL_INTER, _ORIGINAL.inter)
    judged = config.judged == "always" or (config.judged == "auto" and work >= JUDGED_FROM)
    decoder = config.decoder or width or shape.decoder
    width = width or shape.width
    warp = config.augment.warp
    if warp is None:
        warp = _WEAK if work < _WARPED_FROM else 1.0
    rate = config.schedule.learning_rate or (RATE if work < _WIDE_FROM else _CAREFUL)
    kept = config.schedule.kept
    if kept is None:
        kept = 1.0 if work < _DROPPED_FROM else _KEPT
    chosen = replace(
        config,
        size=size,
        width=width,
        decoder=decoder,
        inter=inter or shape.inter,
        mask=config.mask or max(6, decoder // 3 // 2 * 2),
        judged="always" if judged else "never",
        augment=replace(config.augment, warp=warp),
        schedule=replace(config.schedule, kept=kept, learning_rate=rate),
        loss=config.loss if judged else replace(config.loss, adversarial=0.0),
    )
    return chosen if _has_start(chosen) else replace(chosen, start="none")


def _has_start(config: SwapTraining) -> bool:
    """Tell whether the network of resolved settings has a start that ships."""
    if config.arch != "df" or config.face_type != FACE_TYPE:
        return False
    return _shape_of(config) == SHAPE


def network_of(config: SwapTraining, people: int = 2) -> Network:
    """Build the network of resolved settings.

    Raises:
        ConfigError: more than two people for another network than a comb, or a size or width that
            the network does not have.
    """
    size, width, inter, mask = _sizes_of(config)
    if config.arch == "comb":
        return Comb(CombConfig(size, people, width))
    if people != 2:
        raise ConfigError(
            f"{people} people were given to {config.arch}, which knows a source and a target; "
            "expected two, or --arch comb"
        )
    if config.arch == "original":
        return Original(OriginalConfig(size, width, inter, mask))
    return Autoencoder(_shape_of(config))


def _sizes_of(config: SwapTraining) -> tuple[int, int, int, int]:
    """Return size, width, inter and mask of resolved settings."""
    size, width, inter, mask = config.size, config.width, config.inter, config.mask
    if size is None or width is None or inter is None or mask is None:
        raise ConfigError("the network's size and widths are open; resolve the settings first")
    return size, width, inter, mask


def _shape_of(config: SwapTraining) -> AutoencoderConfig:
    """Return the shape of df or liae of resolved settings."""
    size, width, inter, mask = _sizes_of(config)
    letters = config.options
    return AutoencoderConfig(
        layout="liae" if config.arch == "liae" else "df",
        size=size,
        normalized="u" in letters,
        doubled="d" in letters,
        deep="t" in letters,
        cosine="c" in letters,
        inter=inter,
        encoder=width,
        decoder=config.decoder or width,
        mask=mask,
    )
