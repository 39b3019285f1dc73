"""Video portraits: transfer, edit and verify the performance of a real person's face.

The one public door. Names are looked up when they are first used, so that importing the package
costs nothing and a program that only reads shots never loads a video library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from likeness.decode import open_clip as open_clip
    from likeness.dubbing import DubConfig as DubConfig
    from likeness.dubbing import DubReport as DubReport
    from likeness.dubbing import dub as dub
    from likeness.errors import BackendError as BackendError
    from likeness.errors import BundleError as BundleError
    from likeness.errors import ConfigError as ConfigError
    from likeness.errors import ConsentError as ConsentError
    from likeness.errors import ContractError as ContractError
    from likeness.errors import FitError as FitError
    from likeness.errors import LikenessError as LikenessError
    from likeness.errors import MediaError as MediaError
    from likeness.errors import TrackError as TrackError
    from likeness.methods.reenact_train import ReenactTraining as ReenactTraining
    from likeness.methods.reenact_train import train_portrait as train_portrait
    from likeness.pipeline import AnalyzeConfig as AnalyzeConfig
    from likeness.pipeline import RunReport as RunReport
    from likeness.pipeline import analyze as analyze
    from likeness.provenance.consent import Consent as Consent
    from likeness.provenance.consent import load_consent as load_consent
    from likeness.provenance.reading import ManifestReading as ManifestReading
    from likeness.provenance.reading import read_manifest as read_manifest
    from likeness.reenactment import ReenactConfig as ReenactConfig
    from likeness.reenactment import reenact as reenact
    from likeness.store import load_bundle as load_bundle
    from likeness.store import load_face_model as load_face_model
    from likeness.store import load_shot as load_shot
    from likeness.store import save_bundle as save_bundle
    from likeness.store import save_shot as save_shot
    from likeness.types import Bundle as Bundle
    from likeness.types import Clip as Clip
    from likeness.types import FaceParams as FaceParams
    from likeness.types import FaceTrack as FaceTrack
    from likeness.types import Shot as Shot
    from likeness.types import Timeline as Timeline
    from likeness.types import Window as Window
    from likeness.verify.report import write_report as write_report
    from likeness.verify.verification import Verification as Verification
    from likeness.verify.verification import verify_file as verify_file

_HOMES = {
    "decode": ("open_clip",),
    "dubbing": ("DubConfig", "DubReport", "dub"),
    "errors": (
        "BackendError",
        "BundleError",
        "ConfigError",
        "ConsentError",
        "ContractError",
        "FitError",
        "LikenessError",
        "MediaError",
        "TrackError",
    ),
    "methods.reenact_train": ("ReenactTraining", "train_portrait"),
    "pipeline": ("AnalyzeConfig", "RunReport", "analyze"),
    "provenance.consent": ("Consent", "load_consent"),
    "provenance.reading": ("ManifestReading", "read_manifest"),
    "reenactment": ("ReenactConfig", "reenact"),
    "store": ("load_bundle", "load_face_model", "load_shot", "save_bundle", "save_shot"),
    "types": ("Bundle", "Clip", "FaceParams", "FaceTrack", "Shot", "Timeline", "Window"),
    "verify.report": ("write_report",),
    "verify.verification": ("Verification", "verify_file"),
}
"""Public names by the module that defines them."""

_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AnalyzeConfig",
    "BackendError",
    "Bundle",
    "BundleError",
    "Clip",
    "ConfigError",
    "Consent",
    "ConsentError",
    "ContractError",
    "DubConfig",
    "DubReport",
    "FaceParams",
    "FaceTrack",
    "FitError",
    "LikenessError",
    "ManifestReading",
    "MediaError",
    "ReenactConfig",
    "ReenactTraining",
    "RunReport",
    "Shot",
    "Timeline",
    "TrackError",
    "Verification",
    "Window",
    "analyze",
    "dub",
    "load_bundle",
    "load_consent",
    "load_face_model",
    "load_shot",
    "open_clip",
    "read_manifest",
    "reenact",
    "save_bundle",
    "save_shot",
    "train_portrait",
    "verify_file",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'likeness' has no attribute {name!r}")
    return getattr(import_module(f"likeness.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
