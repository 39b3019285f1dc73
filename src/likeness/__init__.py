"""Video portraits: transfer, edit and verify the performance of a real person's face.

The one public door. Names are looked up when they are first used, so that importing the package
costs nothing and a program that only reads shots never loads a video library. Each name is written
once, here; `scripts/make_door.py` writes what type checkers read.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "actor": ("Actor", "Motion", "RenderConfig"),
    "actor_clip": ("write_actor_clip",),
    "decode": ("open_clip",),
    "composite.finish_settings": ("FinishConfig",),
    "encode": ("EncodeConfig", "MarkedFile"),
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
    "fit": ("FitConfig",),
    "fit.edit": ("Curve", "Edit", "EditConfig", "parse_edit"),
    "fit.transfer": ("TransferConfig",),
    "methods.photo.animation": ("AnimateConfig",),
    "methods.photo.motion": ("MotionConfig",),
    "methods.portrait.settings": ("ReenactTraining",),
    "methods.portrait.speech": ("SpeechTraining",),
    "methods.portrait.tasks": ("FastConfig", "PaperConfig"),
    "methods.protocol": ("Recipe",),
    "methods.rewrite.face2face": ("Face2FaceConfig",),
    "methods.rewrite.obama": ("ObamaConfig",),
    "methods.swap.autoencoder.augment": ("SwapAugmentConfig",),
    "methods.swap.autoencoder.losses": ("SwapLossConfig",),
    "methods.swap.autoencoder.settings": ("SwapTraining",),
    "methods.swap.autoencoder.tasks": ("SwapScheduleConfig",),
    "methods.swap.photo": ("PhotoSwapConfig",),
    "methods.swap.published": ("PublishedConfig",),
    "methods.edit.strength": ("parse_strength",),
    "methods.edit.surface": ("SurfaceConfig",),
    "methods.swap.compact.settings": ("CompactTraining",),
    "methods.swap.simswap.settings": ("SimSwapTraining",),
    "methods.swap.survey.cihanet": ("CihaTraining",),
    "methods.swap.survey.hear": ("HearTraining",),
    "methods.swap.survey.korshunova": ("KorshunovaTraining",),
    "methods.swap.survey.megafs": ("MegaFSTraining",),
    "methods.swap.survey.picture_settings": (
        "FSGANTraining",
        "FSNetTraining",
        "RSGANTraining",
        "UniFaceGANTraining",
    ),
    "methods.swap.survey.settings": ("FaceShifterTraining", "IPGANTraining"),
    "methods.table": ("METHODS",),
    "metrics.edit": ("EditReport",),
    "metrics.pair": ("PairReport",),
    "metrics.self_reenactment": ("SelfReport",),
    "metrics.swap": ("SwapReport",),
    "pipeline": ("AnalyzeConfig", "analyze", "render"),
    "plan.plan": ("Plan",),
    "plan.report": ("RunReport",),
    "provenance.consent": ("Consent", "load_consent"),
    "provenance.reading": ("ManifestReading", "read_manifest"),
    "store": ("load_bundle", "load_face_model", "load_shot", "save_bundle", "save_shot"),
    "track": ("TrackConfig",),
    "types": (
        "Bundle",
        "Clip",
        "FaceParams",
        "FaceTrack",
        "Layer",
        "Method",
        "Shot",
        "Timeline",
        "Window",
    ),
    "verbs.animate": ("AnimationConfig", "animate"),
    "verbs.dub": ("DubConfig", "dub"),
    "verbs.dub_speech": ("DubReport",),
    "verbs.edit": ("EditingConfig", "edit"),
    "verbs.evaluate": ("evaluate_pair", "evaluate_self"),
    "verbs.evaluate_change": ("evaluate_edit", "evaluate_swap"),
    "verbs.reenact": ("ReenactConfig", "reenact"),
    "verbs.swap": ("SwapConfig", "swap"),
    "verbs.train_any": ("train_any",),
    "verbs.train_simswap": ("train_simswap",),
    "verbs.swap_pairs": ("SwapPair",),
    "verbs.train": ("train_portrait", "train_reenact"),
    "verbs.train_swap": ("train_swap",),
    "verify.report": ("write_report",),
    "verify.verification": ("Verification", "verify_file"),
}
"""Public names by the module in which they are defined, or which stands for it."""

_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'likeness' has no attribute {name!r}")
    return getattr(import_module(f"likeness.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
