"""The systems that are told of a source by its picture, by name: settings, and how each learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from likeness.methods.swap.survey.fsgan import learn_fsgan
from likeness.methods.swap.survey.fsnet import learn_fsnet
from likeness.methods.swap.survey.picture_settings import (
    FSGANTraining,
    FSNetTraining,
    PictureTraining,
    RSGANTraining,
    UniFaceGANTraining,
)
from likeness.methods.swap.survey.rsgan import learn_rsgan
from likeness.methods.swap.survey.unifacegan import learn_unifacegan

PICTURE_SETTINGS: Mapping[str, type[PictureTraining]] = {
    "rsgan": RSGANTraining,
    "fsnet": FSNetTraining,
    "fsgan": FSGANTraining,
    "unifacegan": UniFaceGANTraining,
}
"""Classes of settings."""

PICTURE_LEARNERS: Mapping[type[PictureTraining], Callable[..., Any]] = {
    RSGANTraining: learn_rsgan,
    FSNetTraining: learn_fsnet,
    FSGANTraining: learn_fsgan,
    UniFaceGANTraining: learn_unifacegan,
}
"""What is called with people, recognizer, settings and budget."""
