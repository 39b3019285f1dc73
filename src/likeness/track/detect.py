"""Find small faces with the full-range detector, tile by tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.errors import BackendError
from likeness.track.silence import silence_stderr
from likeness.types import Floats

Image = NDArray[np.uint8]
"""(H,W,3) RGB."""


class Lookout:
    """MediaPipe's short-range detector, with which its face mesh finds whom it does not follow.

    Raises:
        BackendError: MediaPipe is missing or has no bundled detector any more.
    """

    def __init__(self, confidence: float) -> None:
        self._detector = _detector(0, confidence)

    def stranger(self, image: Image, boxes: Sequence[Floats]) -> bool:
        """Return whether a face has its middle outside all boxes (4,) x0 y0 x1 y1 of known ones."""
        height, width = image.shape[:2]
        for detection in self._detector.process(image).detections or ():
            box = detection.location_data.relative_bounding_box
            x, y = (box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height
            if not any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in boxes):
                return True
        return False

    def close(self) -> None:
        """Free the detector."""
        self._detector.close()


class FullRangeDetector:
    """MediaPipe's full-range detector over overlapping tiles of a frame.

    Raises:
        BackendError: MediaPipe is missing or has no bundled detector any more.
    """

    def __init__(self, confidence: float, tile: int) -> None:
        self._tile = tile
        self._detector = _detector(1, confidence)

    def detect(self, image: Image) -> Floats:
        """Return (K,5) x0 y0 x1 y1 score in pixels for a (H,W,3) uint8 RGB image, best first."""
        found: list[list[float]] = []
        for x, y, width, height in tiles((image.shape[0], image.shape[1]), self._tile):
            part = np.ascontiguousarray(image[y : y + height, x : x + width])
            with silence_stderr():
                answer = self._detector.process(part)
            for detection in answer.detections or ():
                box = detection.location_data.relative_bounding_box
                x0, y0 = x + box.xmin * width, y + box.ymin * height
                found.append(
                    [x0, y0, x0 + box.width * width, y0 + box.height * height, detection.score[0]]
                )
        return suppress(np.array(found, np.float32).reshape(-1, 5))

    def close(self) -> None:
        """Free the detector."""
        self._detector.close()


def _detector(model: int, confidence: float) -> Any:
    """Open a bundled detector: 0 is the short range of a selfie, 1 the full one."""
    try:
        with silence_stderr():
            import mediapipe

            opened = mediapipe.solutions.face_detection.FaceDetection(
                model_selection=model, min_detection_confidence=confidence
            )
            # Threads of the graph go on talking until it has answered once.
            opened.process(np.zeros((64, 64, 3), np.uint8))
            return opened
    except (ImportError, AttributeError) as error:
        raise BackendError(
            f"MediaPipe's bundled face detector is not usable here ({error}); install"
            " mediapipe 0.10.21, or set small_faces to 'never' and look_every to 1"
        ) from error


def tiles(size: tuple[int, int], side: int) -> list[tuple[int, int, int, int]]:
    """Cover a frame by the whole of it and, where it is larger than `side`, overlapping tiles.

    Args:
        size: (H, W).
        side: tile side in pixels.

    Returns:
        x, y, width, height of each tile.
    """
    height, width = size
    cover = [(0, 0, width, height)]
    if max(size) <= side:
        return cover
    for y in _starts(height, side):
        cover += [(x, y, min(side, width - x), min(side, height - y)) for x in _starts(width, side)]
    return cover


def suppress(boxes: Floats, overlap: float = 0.4) -> Floats:
    """Keep the best of boxes that overlap: greedy non-maximum suppression.

    Args:
        boxes: (K,5) x0 y0 x1 y1 score.
        overlap: largest intersection over union of two boxes that are both kept.

    Returns:
        (J,5) boxes in order of falling score.
    """
    kept: list[int] = []
    for i in np.argsort(-boxes[:, 4], kind="stable"):
        if all(iou(boxes[i, :4], boxes[j, :4]) <= overlap for j in kept):
            kept.append(int(i))
    return boxes[kept]


def iou(a: Floats, b: Floats) -> float:
    """Intersection over union of two boxes x0 y0 x1 y1."""
    size = np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2])
    inner = float(np.prod(np.maximum(size, 0)))
    union = float(np.prod(a[2:4] - a[:2]) + np.prod(b[2:4] - b[:2])) - inner
    return inner / union if union > 0 else 0.0


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return [round(s) for s in np.linspace(0, length - side, count)]
