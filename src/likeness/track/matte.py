"""Cut people out of a picture, with the segmentation model inside MediaPipe's wheel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from likeness.errors import BackendError
from likeness.track.detect import Image
from likeness.track.silence import silence_stderr
from likeness.types import Floats

_RADIUS = 0.012
"""Radius of the guided filter in units of the picture's longer side: a strand of hair."""
_SMOOTHNESS = 1e-4
"""Variance of luma, in [0,1], below which the guided filter takes an area for even."""
_SURE = (0.12, 0.88)
"""The network's answers below and above this are taken for nobody and for a person."""


def person_matte(image: Image) -> Floats:
    """Tell where people are in a picture: the `person_likelihoods` of one, moved to its edges.

    Args:
        image: (H,W,3) uint8 RGB.

    Returns:
        (H,W) coverage by people in [0,1].

    Raises:
        BackendError: MediaPipe is missing or has no bundled segmentation any more.
    """
    return at_edges(image, next(person_likelihoods([image])))


def person_likelihoods(images: Iterable[Image]) -> Iterator[Floats]:
    """Ask the network where people are, picture by picture: (H,W) in [0,1], softly.

    Args:
        images: (H,W,3) uint8 RGB each.

    Raises:
        BackendError: MediaPipe is missing or has no bundled segmentation any more.
    """
    try:
        with silence_stderr():
            import mediapipe

            network = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
            # Its threads go on talking until it has answered once.
            network.process(np.zeros((64, 64, 3), np.uint8))
    except (ImportError, AttributeError) as error:
        raise BackendError(
            f"MediaPipe's bundled segmentation is not usable here ({error}); install mediapipe"
            " 0.10.21"
        ) from error
    with network:
        for image in images:
            with silence_stderr():
                answer = network.process(np.ascontiguousarray(image)).segmentation_mask
            yield np.array(answer, np.float32)


def at_edges(image: Image, likelihood: Floats) -> Floats:
    """Make a soft likelihood a matte whose edges are the picture's own.

    The network answers at 256x256 or so; a guided filter (He, Sun and Tang 2010) moves its soft
    edge onto the picture's.

    Args:
        image: (H,W,3) uint8 RGB.
        likelihood: (H,W) in [0,1].

    Returns:
        (H,W) coverage by people in [0,1].
    """
    import cv2

    guide = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    radius = max(2, round(_RADIUS * max(image.shape[:2])))
    matte = guided_filter(guide, likelihood, radius)
    low, high = _SURE
    spread: Floats = np.clip((matte - low) / (high - low), 0, 1)
    return spread


def guided_filter(guide: Floats, values: Floats, radius: int) -> Floats:
    """Filter (H,W) values so that their edges are those of the (H,W) guide (He et al. 2010)."""
    import cv2

    side = (2 * radius + 1, 2 * radius + 1)

    def mean(picture: Floats) -> Floats:
        return np.asarray(cv2.blur(picture, side, borderType=cv2.BORDER_REFLECT), np.float32)

    middle, level = mean(guide), mean(values)
    variance = mean(guide * guide) - middle * middle
    slope = (mean(guide * values) - middle * level) / (variance + _SMOOTHNESS)
    return mean(slope) * guide + mean(level - slope * middle)
