"""Which encoder, with which settings, for which codec."""

from __future__ import annotations

from dataclasses import dataclass

import av

from likeness.errors import BackendError, ConfigError, MediaError

CONTAINERS = {".mp4", ".mov", ".m4v", ".mkv", ".webm"}


@dataclass(frozen=True, slots=True)
class EncodeConfig:
    """Settings of the output."""

    codec: str = "auto"
    """h264, hevc, vp9 or av1; auto is VP9 for .webm, else H.264, which plays everywhere."""
    quality: float | None = None
    """Constant rate factor of the codec, smaller is better; None is visually lossless."""
    preset: str | None = None
    """Effort in the encoder's own words (H.264: veryfast, medium, ...); None suits two cores."""
    bit_depth: int | None = None
    """8 or 10 bits per component in video, 8 or 16 in pictures; None follows the clip."""
    size: tuple[int, int] | None = None
    """(H, W) of the frames that will be appended; None is the clip's."""


@dataclass(frozen=True, slots=True)
class Coder:
    """An encoder of this build of PyAV."""

    name: str
    quality: float
    preset: str
    preset_option: str
    odd_420: bool
    """Holds odd sizes at 4:2:0."""
    left_chroma: bool
    """Its decoders take 4:2:0 chroma to lie on the left column; else in the middle."""


_CODERS = {
    # "fast" takes up to twice as long as "veryfast" and is 1.5 to 2 dB nearer at the same factor;
    # "medium" gains less than 0.3 dB over it.
    "h264": Coder("libx264", 17, "fast", "preset", False, True),
    "hevc": Coder("libx265", 20, "fast", "preset", False, True),
    "vp9": Coder("libvpx-vp9", 24, "4", "cpu-used", True, False),
    "av1": Coder("libsvtav1", 24, "8", "preset", True, False),
}


def check_ending(suffix: str) -> None:
    """Make sure that an ending, in lower case, is one of a container that can be written.

    Raises:
        MediaError: it isn't.
    """
    if suffix not in CONTAINERS:
        raise MediaError(
            f"{suffix or 'a name without ending'} is no container that can be written; expected "
            f"one of {', '.join(sorted(CONTAINERS))}, or a picture sequence such as out/%05d.png"
        )


def choose_coder(config: EncodeConfig, suffix: str) -> tuple[str, Coder]:
    """Return codec name and encoder for a container.

    Raises:
        ConfigError: The codec or quality is none that this program knows.
        MediaError: The container is none that this program writes.
        BackendError: This build of PyAV lacks the encoder.
    """
    check_ending(suffix)
    codec = config.codec
    if codec == "auto":
        codec = "vp9" if suffix == ".webm" else "h264"
    if codec not in _CODERS:
        raise ConfigError(f"codec {config.codec!r} is unknown; expected one of auto, {_names()}")
    if config.quality is not None and not 0 <= config.quality <= 63:
        raise ConfigError(f"quality is {config.quality}, expected 0 (best) to 51 (63 for VP9, AV1)")
    coder = _CODERS[codec]
    if not encoders()[codec]:
        raise BackendError(
            f"this build of PyAV has no encoder {coder.name}; choose another codec of {_names()}"
        )
    return codec, coder


def encoders() -> dict[str, bool]:
    """Tell for each codec whether this build of PyAV can encode it."""
    return {codec: coder.name in av.codecs_available for codec, coder in _CODERS.items()}


def _names() -> str:
    return ", ".join(_CODERS)


def pixel_format(coder: Coder, bits: int, size: tuple[int, int]) -> str:
    """Return the pixel format that codes `size` (H, W) at `bits` without loss of size.

    Raises:
        MediaError: The encoder has none.
    """
    odd = bool(size[0] % 2 or size[1] % 2)
    chroma = "444" if odd and not coder.odd_420 else "420"
    wanted = f"yuv{chroma}p" + ("10le" if bits > 8 else "")
    formats = {f.name for f in av.Codec(coder.name, "w").video_formats or ()}
    if wanted not in formats:
        raise MediaError(
            f"{coder.name} cannot code {wanted} ({bits} bits, {size[1]}x{size[0]} pixels); choose "
            "another codec, or bit_depth = 8"
        )
    return wanted


def coder_options(
    coder: Coder, config: EncodeConfig, steady: bool, key_distance: int
) -> dict[str, str]:
    """Return the encoder's options.

    Args:
        coder: From `choose_coder`.
        config: Quality and preset; their defaults depend on the coder.
        steady: All frames stand equally long. If not, frames are coded in order of display, so
            that decoding times, and with them durations, are the timeline's.
        key_distance: Most frames from one key frame to the next.
    """
    quality = config.quality if config.quality is not None else coder.quality
    options = {
        coder.preset_option: config.preset or coder.preset,
        "crf": f"{quality:g}",
        "g": str(key_distance),
    }
    if coder.name == "libx264" and not steady:
        options["bf"] = "0"
    if coder.name == "libx265":
        options["x265-params"] = "log-level=error" + ("" if steady else ":bframes=0")
    if coder.name == "libvpx-vp9":
        options |= {"crf": f"{round(quality)}", "b": "0", "deadline": "good", "row-mt": "1"}
    if coder.name == "libsvtav1":
        options["crf"] = f"{round(quality)}"
    return options
