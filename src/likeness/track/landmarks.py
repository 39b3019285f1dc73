"""Read 478 landmarks of every face in a frame, from either of two MediaPipe backends."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from likeness.errors import BackendError
from likeness.track.config import TrackConfig
from likeness.track.detect import FullRangeDetector, Image, iou
from likeness.track.silence import silence_stderr
from likeness.types import Floats

LANDMARKS = 478
_BLANK = np.zeros((64, 64, 3), np.uint8)
_TAGS = np.array([10, 15, 13, *[-1] * 4, 21, *[-1] * 4, 29, *[-1] * 4])
"""Bytes of one landmark in a serialized list: tags and length; -1 is a byte of a number."""


@dataclass(frozen=True, eq=False, slots=True)
class Face:
    """One face in one frame."""

    landmarks: Floats
    """(478,3) x y z in pixels of the frame."""
    score: float
    doubt: float | None = None
    """Mean distance from what the mirror image was read as, in units of `size`; None is not known.
    It tells faces from what a network makes up."""

    @property
    def size(self) -> float:
        """Root of the area of the box, pixels."""
        x0, y0, x1, y1 = self.box
        return float(np.sqrt(max((x1 - x0) * (y1 - y0), 1.0)))

    @property
    def box(self) -> Floats:
        """(4,) x0 y0 x1 y1 around the landmarks."""
        xy = self.landmarks[:, :2]
        box: Floats = np.concatenate([xy.min(0), xy.max(0)]).astype(np.float32)
        return box


class Reader(Protocol):
    """A landmark backend that is fed the frames of a clip in order."""

    def read(self, image: Image) -> list[Face]:
        """Return the faces in a (H,W,3) uint8 RGB image."""
        ...

    def read_run(self, images: Sequence[Image], cuts: Sequence[bool]) -> list[list[Face]]:
        """Read frames that follow each other; before those that begin a new shot, all is forgotten.

        Args:
            images: (H,W,3) uint8 RGB each.
            cuts: whether a new shot begins there.
        """
        found = []
        for image, cut in zip(images, cuts, strict=True):
            if cut:
                self.reset()
            found.append(self.read(image))
        return found

    def reset(self) -> None:
        """Forget where faces were; call at a cut."""
        ...

    def close(self) -> None:
        """Free the models."""
        ...


class BundledReader(Reader):
    """Legacy FaceMesh with irises, whose models lie inside the wheel (MediaPipe up to 0.10.21).

    In `auto` and `always` mode, faces too small for its own detector are found with the full-range
    detector and read in an enlarged crop that follows them.
    """

    def __init__(self, config: TrackConfig) -> None:
        self._config = config
        self._direct = Mesh(config, faces=config.max_faces)
        self._single: Mesh | None = None
        self._detector: FullRangeDetector | None = None
        self._boxes: list[Floats] = []

    def read(self, image: Image) -> list[Face]:
        """Return the faces in a (H,W,3) uint8 RGB image."""
        return self._with_small(image, self._direct.read(image))

    def _with_small(self, image: Image, faces: list[Face]) -> list[Face]:
        """Add the faces that are too small for the direct search, as the settings want it."""
        mode = self._config.small_faces
        if mode == "always" or (mode == "auto" and not faces):
            faces = faces + self._read_small(image, faces)
        else:
            self._boxes = []
        return faces[: self._config.max_faces]

    def reset(self) -> None:
        """Forget where faces were."""
        self._direct.reset()
        self._boxes = []

    def close(self) -> None:
        """Free the models."""
        for part in (self._direct, self._single, self._detector):
            if part is not None:
                part.close()

    def _read_small(self, image: Image, known: list[Face]) -> list[Face]:
        if self._detector is None:
            self._detector = FullRangeDetector(self._config.min_confidence, self._config.tile)
        boxes = list(self._boxes)
        for found in self._detector.detect(image):
            if all(iou(found[:4], box) < 0.2 for box in boxes):
                boxes.append(found[:4])
        faces: list[Face] = []
        for box in boxes:
            if any(iou(box, face.box) > 0.2 for face in [*known, *faces]):
                continue
            faces += self._read_crop(image, box)
        self._boxes = [face.box for face in faces]
        return faces

    def _read_crop(self, image: Image, box: Floats) -> list[Face]:
        """Read one face in a crop of three times its box, enlarged to at least 256 pixels."""
        side = max(8, round(3.0 * float(max(box[2] - box[0], box[3] - box[1]))))
        x, y = (round(float(v) - side / 2) for v in ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
        crop = _cut(image, x, y, side)
        scale = max(1, round(256 / side))
        crop = np.ascontiguousarray(crop.repeat(scale, 0).repeat(scale, 1))
        if self._single is None:
            self._single = Mesh(self._config, faces=1, static=True)
        origin = np.array([x, y, 0], np.float32)
        return [
            Face(face.landmarks / scale + origin, face.score) for face in self._single.read(crop)
        ]


class TaskReader(Reader):
    """FaceLandmarker of MediaPipe Tasks with a `.task` file.

    Two faces are asked for at least, because with one the task smooths landmarks over past frames,
    which delays them.
    """

    def __init__(self, config: TrackConfig) -> None:
        path = config.model
        if path is None or not path.is_file():
            raise BackendError(
                f"the 'task' backend found no model at {path}; download a face_landmarker.task"
                " file from MediaPipe's model page and pass its path as model, or use the"
                " 'bundled' backend"
            )
        try:
            with silence_stderr():
                import mediapipe
                from mediapipe.tasks.python import BaseOptions, vision

                options = vision.FaceLandmarkerOptions(
                    base_options=BaseOptions(model_asset_buffer=path.read_bytes()),
                    running_mode=vision.RunningMode.VIDEO,
                    num_faces=max(2, config.max_faces),
                    min_face_detection_confidence=config.min_confidence,
                    min_tracking_confidence=config.min_confidence,
                )
                self._options = options
                self._vision = vision
                self._image = mediapipe.Image
                self._format = mediapipe.ImageFormat.SRGB
                self._task: Any = vision.FaceLandmarker.create_from_options(options)
                self._settle()
        except (ImportError, AttributeError, RuntimeError, ValueError) as error:
            raise BackendError(
                f"MediaPipe could not open {path.name} as a face landmarker ({error}); expected a"
                " face_landmarker.task bundle and mediapipe 0.10 or newer"
            ) from error
        self._limit = config.max_faces

    def read(self, image: Image) -> list[Face]:
        """Return the faces in a (H,W,3) uint8 RGB image."""
        self._time += 40
        with silence_stderr():
            answer = self._task.detect_for_video(
                self._image(image_format=self._format, data=image), self._time
            )
        height, width = image.shape[:2]
        read = [positions_one_by_one(points) for points in answer.face_landmarks]
        faces = [_face(points, width, height) for points in read]
        return faces[: self._limit]

    def reset(self) -> None:
        """Forget where faces were, by opening the task anew."""
        with silence_stderr():
            self._task.close()
            self._task = self._vision.FaceLandmarker.create_from_options(self._options)
            self._settle()

    def _settle(self) -> None:
        """Wait for threads of a task that begins: they go on talking until it has answered."""
        self._time = 0
        self._task.detect_for_video(self._image(image_format=self._format, data=_BLANK), 0)

    def close(self) -> None:
        """Free the models."""
        self._task.close()


def read_largest(reader: Reader, frames: Tensor) -> Floats:
    """Read the first face of each of a run of frames.

    Args:
        reader: one that finds one face; it follows that face from frame to frame.
        frames: (n,3,H,W) RGB in [0,1].

    Returns:
        (n,478,3) landmarks, NaN where there is no face.
    """
    landmarks = np.full((len(frames), LANDMARKS, 3), np.nan, np.float32)
    images = (frames.permute(0, 2, 3, 1) * 255 + 0.5).to(torch.uint8).numpy()
    for n, image in enumerate(images):
        faces = reader.read(np.ascontiguousarray(image))
        if faces:
            landmarks[n] = faces[0].landmarks
    return landmarks


class Mesh:
    """A FaceMesh graph that keeps quiet.

    It looks for faces with its detector in every frame in which it follows fewer than it was opened
    for, and reads the others where they were in the frame before.
    """

    def __init__(self, config: TrackConfig, faces: int, static: bool = False) -> None:
        """Open a graph for so many faces; `static` pictures do not follow each other."""
        self._heard = False
        try:
            with silence_stderr():
                import mediapipe

                self._mesh: Any = mediapipe.solutions.face_mesh.FaceMesh(
                    static_image_mode=static,
                    max_num_faces=faces,
                    refine_landmarks=True,
                    min_detection_confidence=config.min_confidence,
                    min_tracking_confidence=config.min_confidence,
                )
                self._settle()
        except (ImportError, AttributeError) as error:
            raise BackendError(
                f"MediaPipe's bundled face mesh is not usable here ({error}); install mediapipe"
                " 0.10.21, or use the 'task' backend with a face_landmarker.task file"
            ) from error

    def read(self, image: Image) -> list[Face]:
        # The graph's last warning comes with the first face that it sees.
        with nullcontext() if self._heard else silence_stderr():
            found = self._mesh.process(image).multi_face_landmarks or ()
        self._heard = self._heard or len(found) > 0
        height, width = image.shape[:2]
        return [_face(positions(points), width, height) for points in found]

    def reset(self) -> None:
        with silence_stderr():
            self._mesh.reset()
            self._settle()
        self._heard = False

    def _settle(self) -> None:
        """Wait for threads of a graph that begins: they go on talking until it has answered."""
        self._mesh.process(_BLANK)

    def close(self) -> None:
        self._mesh.close()


def _face(found: Floats, width: int, height: int) -> Face:
    """Scale normalized landmarks (478,3) to pixels; z is given in the scale of x."""
    return Face(found * np.array([width, height, width], np.float32), 1.0)


def positions_one_by_one(points: Any) -> Floats:
    """Return x y z (478,3) of landmark messages."""
    flat = [value for p in points for value in (p.x, p.y, p.z)]
    return np.array(flat, np.float32).reshape(LANDMARKS, 3)


def positions(points: Any) -> Floats:
    """Return x y z (478,3) of a NormalizedLandmarkList, read from its serialized form.

    Each landmark there is a field of 15 bytes with three fields of 5, a tag and a float each. Asked
    for one by one, as they are where the form is another, they take thirteen times as long.
    """
    message = points.SerializeToString()
    if len(message) == LANDMARKS * len(_TAGS):
        table = np.frombuffer(message, np.uint8).reshape(LANDMARKS, len(_TAGS))
        if (table[:, _TAGS >= 0] == _TAGS[_TAGS >= 0]).all():
            found = np.ascontiguousarray(table[:, _TAGS < 0]).view("<f4")
            return np.asarray(found, np.float32)
    return positions_one_by_one(points.landmark)


def _cut(image: Image, x: int, y: int, side: int) -> Image:
    """Cut a square that may reach beyond the frame; what lies outside is black."""
    crop = np.zeros((side, side, 3), np.uint8)
    x0, y0 = max(x, 0), max(y, 0)
    part = image[y0 : max(y + side, 0), x0 : max(x + side, 0)]
    crop[y0 - y : y0 - y + part.shape[0], x0 - x : x0 - x + part.shape[1]] = part
    return crop
