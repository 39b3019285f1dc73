"""What a file is, told from its first bytes, and what FFmpeg may make of it.

A name proves nothing: a photograph is renamed by mail programs, and a playlist can be called
`photo.png`. The content decides whether a file is a picture; and for each kind there is a closed
list of demuxers, so that nothing that opens further files, speaks to a network or draws text is
ever reached, whatever the file is called and whatever FFmpeg would guess.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["picture", "video", "sound"]

_BOTH = {
    "mov", "matroska", "avi", "mpegts", "mpeg", "flv", "live_flv", "asf", "mxf", "ogg", "nut",
    "dv",
}  # fmt: skip
_PICTURES = {
    "png_pipe", "jpeg_pipe", "tiff_pipe", "exr_pipe", "bmp_pipe", "webp_pipe", "dpx_pipe", "mov",
}  # fmt: skip
_VIDEOS = _BOTH | {
    "gif", "apng", "h264", "hevc", "vvc", "m4v", "mpegvideo", "obu", "av1", "ivf", "mjpeg",
    "yuv4mpegpipe",
}  # fmt: skip
_SOUNDS = _BOTH | {
    "wav", "w64", "aiff", "caf", "au", "flac", "mp3", "aac", "ac3", "eac3", "dts", "truehd", "amr",
    "amrnb", "amrwb", "ape", "tta", "wv", "loas", "dsf",
}  # fmt: skip
_ALLOWED: dict[Kind, set[str]] = {
    "picture": _PICTURES,
    "video": _VIDEOS,
    "sound": _SOUNDS | _VIDEOS,
}

EXPECTED: dict[Kind, str] = {
    "picture": "a picture (PNG, JPEG, TIFF, EXR, BMP, WebP, DPX, HEIC or AVIF)",
    "video": "a video file (MP4, MOV, Matroska, WebM, AVI, MPEG, MXF, GIF, ...), a picture or a "
    "folder of pictures",
    "sound": "a sound file (WAV, FLAC, M4A, MP3, Ogg, ...), or a clip with sound",
}

_STILL_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"avif"}
"""Major brands (ISO/IEC 23008-12, AV1 Image File Format) of files that hold one picture."""
_STARTS = (
    *((start, "tiff_pipe") for start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    *((start, "dpx_pipe") for start in (b"SDPX", b"XPDS")),
    (b"\x76\x2f\x31\x01", "exr_pipe"),
    (b"GIF8", "gif"),
    (b"\x1aE\xdf\xa3", "matroska"),
)


def open_options(kind: Kind) -> dict[str, str]:
    """Return the options that keep FFmpeg to local files and to the demuxers of a kind."""
    return {
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(sorted(_ALLOWED[kind])),
    }


def is_allowed(name: str, kind: Kind) -> bool:
    """Tell whether a demuxer, by FFmpeg's name or list of names, may read files of a kind."""
    return bool(set(name.split(",")) & _ALLOWED[kind])


def is_still(path: Path) -> bool:
    """Tell from a regular file's first bytes whether it holds one picture and no moving ones."""
    found = demuxer_of(path)
    return found in _PICTURES and not (found == "mov" and not is_heif(_head(path)))


def demuxer_of(path: Path) -> str | None:
    """Return the demuxer that a regular file's first bytes ask for, None where FFmpeg shall look.

    For pictures, FFmpeg would go by the name: anything that ends in `.jpg` is read as JPEG, and a
    percent sign in it is a pattern.
    """
    head = _head(path)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        # An animated PNG says so before its first pixels.
        return "apng" if b"acTL" in head.split(b"IDAT")[0] else "png_pipe"
    if head.startswith(b"\xff\xd8\xff"):
        return "mjpeg" if path.suffix.lower() in (".mjpeg", ".mjpg") else "jpeg_pipe"
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "bmp_pipe"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp_pipe"
    if head[4:8] == b"ftyp":
        return "mov"
    return next((name for start, name in _STARTS if head.startswith(start)), None)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)


def is_heif(head: bytes) -> bool:
    """Tell whether a file's first bytes are those of one picture in an ISO base media file."""
    return head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS
