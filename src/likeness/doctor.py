"""What this machine has, what of the toolkit is usable on it, and what mends the rest."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from likeness.errors import BundleError, LikenessError
from likeness.files import cache_folder, data_folder, why_unwritable
from likeness.machine import Hardware, hardware
from likeness.provenance.credentials import SETTINGS

MODEL_PAGE = "https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker"


_TRIED = 65536
"""Bytes that are written to see whether a folder takes any."""


@dataclass(frozen=True)
class Machine(Hardware):
    """Hardware and interpreter."""

    python: str
    accelerator: str
    """Name of the CUDA device, or "none"."""
    bfloat16_gain: float
    """How many times faster a convolution runs in bfloat16 than in float32 on the processor."""
    versions: dict[str, str]


@dataclass(frozen=True)
class Part:
    """One part of the toolkit and whether it can be used here."""

    name: str
    usable: bool
    detail: str
    needed: bool = True
    """False for parts that something else stands in for."""
    mend: str = ""
    """The command that makes it usable."""


@dataclass(frozen=True)
class Diagnosis:
    """All of it."""

    machine: Machine
    parts: tuple[Part, ...]

    @property
    def healthy(self) -> bool:
        """True if everything needed is usable."""
        return all(part.usable or not part.needed for part in self.parts)


def examine() -> Diagnosis:
    """Look at the machine and try each part; takes about a second."""
    parts = (
        _python(),
        _tracker(),
        _task_tracker(),
        _face_model(),
        _kernels(),
        _signing(),
        _caches(),
        *_encoders(),
    )
    return Diagnosis(_machine(), parts)


def _machine() -> Machine:
    cuda = torch.cuda.is_available()
    names = ("likeness", "torch", "numpy", "av", "mediapipe", "numba")
    return Machine(
        **asdict(hardware()),
        python=platform.python_version(),
        accelerator=torch.cuda.get_device_name(0) if cuda else "none",
        bfloat16_gain=_bfloat16_gain(),
        versions={name: _version(name) for name in names},
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _bfloat16_gain() -> float:
    image = torch.rand(1, 64, 64, 64).to(memory_format=torch.channels_last)
    kernel = torch.rand(64, 64, 3, 3).to(memory_format=torch.channels_last)
    half = (image.bfloat16(), kernel.bfloat16())
    slow = _median_seconds(lambda: torch.nn.functional.conv2d(image, kernel))
    return round(slow / _median_seconds(lambda: torch.nn.functional.conv2d(*half)), 1)


def _median_seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(9):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _python() -> Part:
    usable = (3, 11) <= sys.version_info[:2] < (3, 13)
    return Part(
        "python",
        usable,
        f"{platform.python_version()}, expected 3.11 or 3.12",
        mend="" if usable else "make install PYTHON=python3.11",
    )


def _tracker() -> Part:
    found = importlib.util.find_spec("mediapipe.modules") is not None
    detail = "models inside the wheel" if found else "no bundled models in this MediaPipe"
    mend = "" if found else "pip install 'mediapipe==0.10.21'"
    return Part(
        "tracker: bundled", found, f"mediapipe {_version('mediapipe')}, {detail}", mend=mend
    )


def _task_tracker() -> Part:
    found = importlib.util.find_spec("mediapipe.tasks") is not None
    return Part(
        "tracker: task",
        found,
        f"needs a face_landmarker.task file ({MODEL_PAGE}), named as model in [track]",
        needed=False,
        mend="" if found else "pip install 'mediapipe==0.10.21'",
    )


def _face_model() -> Part:
    from likeness.store import load_face_model

    try:
        model = load_face_model()
    except BundleError as error:
        mend = "pip install --force-reinstall likeness"
        return Part("face model", False, str(error), mend=mend)
    size = f"{len(model.mean)} vertices, {len(model.expression_names)} expressions"
    return Part("face model", True, f"{model.name}: {size}")


def _kernels() -> Part:
    found = importlib.util.find_spec("numba") is not None
    if not found:
        return Part("compiled loops", False, "numba is missing", mend="pip install numba")
    from likeness.compiled import cache_place

    place = cache_place()
    kept = f"kept in {place}" if place else "not kept: compiled anew in every run"
    return Part("compiled loops", True, f"numba {_version('numba')}, {kept}")


def _signing() -> Part:
    from likeness.encode.signed import rehearse
    from likeness.provenance.credentials import load_credentials

    place = data_folder()
    try:
        rehearse(load_credentials())
    except LikenessError as error:
        return Part("signing", False, str(error), mend=_signing_cure(place))
    return Part("signing", True, f"certificates in {place}")


def _signing_cure(place: Path | None) -> str:
    """What makes signing work: a place for certificates, or other settings in it."""
    if place is not None and (place / SETTINGS).exists():
        return f"correct or remove {place / SETTINGS}"
    return "export XDG_DATA_HOME=FOLDER  # one that you can write"


def _caches() -> Part:
    """Where what can be computed again is kept, where it can't be kept beside its clip."""
    place = cache_folder()
    mend = "export XDG_CACHE_HOME=FOLDER  # one that you can write"
    name = "cache of analyses"
    if place is None:
        detail = "no home folder is known; clips are analyzed again in every run"
        return Part(name, False, detail, needed=False, mend=mend)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(_TRIED))
            file.flush()
    except OSError as error:
        detail = f"{place} cannot be written: {why_unwritable(error)}; clips are analyzed again"
        return Part(name, False, detail, needed=False, mend=mend)
    free = shutil.disk_usage(place).free // 2**20
    return Part(
        name, True, f"in {place}, {free} MB free; beside the clip where that can be written"
    )


def _encoders() -> tuple[Part, ...]:
    from likeness.encode import encoders

    mend = "pip install --force-reinstall av  # its wheels bring the encoders"
    parts = []
    for codec, usable in encoders().items():
        needed = codec == "h264"
        detail = "usable" if usable else "not in this build of PyAV"
        parts.append(Part(f"encoder: {codec}", usable, detail, needed, "" if usable else mend))
    return tuple(parts)
