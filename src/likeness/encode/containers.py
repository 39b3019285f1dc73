"""What a container takes over packet by packet, and what is made of the rest: one rule for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import av

from likeness.types import AudioTrack, Clip, Sound

_PCM = frozenset(
    f"pcm_{kind}"
    for kind in ("u8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f64le")
)
_EVERYWHERE = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
COPIED: Mapping[str, frozenset[str]] = {
    ".mp4": _EVERYWHERE | {"flac", "opus"},
    ".m4v": _EVERYWHERE,
    ".mov": _EVERYWHERE | _PCM,
    ".webm": frozenset({"opus", "vorbis"}),
}
"""Sound that players expect in a container. PCM is legal in MP4, but browsers keep silent and
others play its 24 bits as noise; QuickTime knows neither Opus nor FLAC in its own container."""
_MATROSKA_PCM = _PCM - {"pcm_s24be", "pcm_s32be"}

_MOV_TEXT = frozenset({"mov_text"})
SUBTITLES: Mapping[str, frozenset[str]] = {
    ".mp4": _MOV_TEXT,
    ".m4v": _MOV_TEXT,
    ".mov": _MOV_TEXT,
    ".webm": frozenset({"webvtt"}),
    ".mkv": frozenset(
        {"subrip", "ass", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}
    ),
}
"""Subtitles that a container holds as they are."""
TIMECODE = frozenset({".mp4", ".mov", ".mkv"})
"""Containers with a place for a start timecode."""

_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_LARGEST_RATE = 192000
_SURROUND = {"5.1": "5.1", "5.1(side)": "5.1"}
_BITS_PER_CHANNEL = 96000


@dataclass(frozen=True, slots=True)
class SoundCoding:
    """How a track is coded anew."""

    coder: str
    name: str
    """For people."""
    rate: int
    layout: str
    bit_rate: int | None
    """Bits per second; None where nothing is lost."""


def codec_name(name: str) -> str:
    """Return the codec's own name for that of one of its decoders (mp3 for mp3float)."""
    try:
        return str(av.Codec(name, "r").canonical_name)
    except ValueError:
        return name


def takes_sound(codec: str, suffix: str) -> bool:
    """Tell whether a container takes over sound of a codec bit for bit, for players to play."""
    codec, suffix = codec_name(codec), suffix.lower()
    if suffix in COPIED:
        return codec in COPIED[suffix]
    return not codec.startswith("pcm_") or codec in _MATROSKA_PCM


def can_copy(sound: Clip | Sound, suffix: str) -> bool:
    """Tell whether a container (.mp4, .mkv, ...) takes over all tracks of a sound bit for bit."""
    return all(takes_sound(track.codec, suffix) for track in sound.audio)


def takes_subtitles(codec: str, suffix: str) -> bool:
    """Tell whether a container holds subtitles of a codec as they are."""
    return codec_name(codec) in SUBTITLES.get(suffix.lower(), frozenset())


def coding_for(track: AudioTrack, layout: str, suffix: str) -> SoundCoding:
    """Return how a track that a container does not take over is coded for it.

    Args:
        track: what it is now.
        layout: FFmpeg's name of its channels' places.
        suffix: ending of the container.
    """
    places = "mono" if track.channels == 1 else _SURROUND.get(layout, "stereo")
    channels = {"mono": 1, "stereo": 2}.get(places, 6)
    if suffix == ".mkv":
        return SoundCoding("flac", "FLAC", min(track.sample_rate, _LARGEST_RATE), places, None)
    if suffix == ".webm":
        return SoundCoding("libopus", "Opus", 48000, places, _BITS_PER_CHANNEL * channels)
    rate = next((rate for rate in _AAC_RATES if rate >= track.sample_rate), _AAC_RATES[-1])
    return SoundCoding("aac", "AAC", rate, places, _BITS_PER_CHANNEL * channels)


def keeping(suffix: str, codec: str) -> str:
    """Name the containers that would keep a codec bit for bit."""
    able = [s for s in (".mov", ".mkv") if s != suffix and takes_sound(codec, s)]
    return " or ".join(able)
