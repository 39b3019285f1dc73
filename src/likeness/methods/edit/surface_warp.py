"""The frame's own pixels, moved as the face's surface moves.

Each vertex of the mesh is displaced in space and projected; between vertices the way is
interpolated, and over the rings around the face it fades to nothing, so that what lies around the
face stays still.
"""

from __future__ import annotations

import numpy as np

from likeness.condition.mesh import EYES
from likeness.geometry import rotation_matrix
from likeness.methods.edit.surface_face import PosedFace
from likeness.methods.edit.surface_view import NOWHERE, boxed
from likeness.types import Floats

_FADE = (0.45, 0.10, 0.0)
"""Share of the outline's motion that each ring around it takes part in."""
_SOFT = 1.2
"""Millimetres over which the way is smoothed: triangles have edges."""
_LEAST = 0.02
"""Pixels; shorter ways are none, so that pixels stay what they are."""


def backward_flow(posed: PosedFace, moved: Floats) -> Floats | None:
    """Tell where each pixel of the moved face comes from.

    Args:
        posed: the face in one frame.
        moved: (F,3) millimetres of head space that its vertices move.

    Returns:
        (h,w,2) drawn pixels to add to a pixel's position; None where nothing moves.
    """
    import cv2

    if not np.abs(moved).max() > 1e-4:
        return None
    face = posed.face
    params = face.shot.params
    turned = moved @ rotation_matrix(params.rotation[posed.row : posed.row + 1])[0].T
    depth = posed.vertices[: len(moved), 2:]
    focal = params.focal * face.density
    # The derivative of the projection, which is all that millimetres need.
    middle = np.array(face.center(posed.row), np.float32)
    aside = (posed.vertices[: len(moved), :2] - middle) / np.maximum(depth, 1.0)
    step = (focal * turned[:, :2] / np.maximum(depth, 1.0)) - aside * turned[:, 2:]
    oval = step[face.model.regions["face_oval"]]
    rings = np.concatenate([share * oval for share in _FADE])
    lids = np.zeros((len(EYES), 2), np.float32)
    ways = np.concatenate([step, rings, lids]).astype(np.float32)
    vertices = posed.vertices.copy()
    vertices[:, :2] += ways
    flow = -posed.carry(ways, posed.cover(vertices))
    flow = np.asarray(cv2.GaussianBlur(flow, (0, 0), max(_SOFT * posed.scale, 0.6)), np.float32)
    flow[(np.abs(flow[..., 0]) < _LEAST) & (np.abs(flow[..., 1]) < _LEAST)] = 0
    return flow


def around(flow: Floats, visible: Floats) -> Floats:
    """Let nothing be fetched from what is in front of the face.

    Args:
        flow: (h,w,2) pixels to add to a pixel's position.
        visible: (h,w) in [0,1], zero where something is in front.

    Returns:
        The flow, fading to zero toward what is in front over as far as it reaches.
    """
    import cv2

    covered = (visible < 1).astype(np.uint8)
    apart = cv2.distanceTransform(1 - covered, cv2.DIST_L2, 5)
    # Twice its length: the way then changes by half a pixel at most per pixel, and folds nowhere.
    length = 2 * float(np.hypot(flow[..., 0], flow[..., 1]).max())
    if length < _LEAST:
        return flow
    share = np.clip((apart - 1) / length, 0, 1).astype(np.float32)
    return np.asarray(flow * share[..., None], np.float32)


def warped(picture: Floats, flow: Floats) -> Floats:
    """Fetch every pixel of (h,w,3) from where (h,w,2) says it was."""
    import cv2

    rows, columns = near = boxed(flow != 0)
    moved = picture.copy()
    if near == NOWHERE:
        return moved
    x = flow[near][..., 0] + np.arange(columns.start, columns.stop, dtype=np.float32)[None]
    y = flow[near][..., 1] + np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
    moved[near] = cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return moved
