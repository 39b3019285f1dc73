"""Pictures that landmarks draw: where parts of a face lie, where its points are, how it is turned.

Input everywhere: points (N,478,3), the tracker's landmarks in a square crop: x, y and z in sides of
the crop, x and y from its corner, smaller z nearer. All of it is arithmetic on tensors, so that
networks which are told of landmarks draw their maps themselves, in training and use alike.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""Landmarks around the face, clockwise from the top."""
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398)
RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
NOSE = (168, 122, 48, 64, 98, 2, 327, 294, 278, 351)
LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
    *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81)
IRISES = (468, 473)

REGIONS = ("outside", "skin", "brows", "eyes", "nose", "mouth")
"""What `regions` tells apart."""
CONTOURS = (
    OVAL[::2],
    RIGHT_BROW[::2],
    LEFT_BROW[::2],
    RIGHT_EYE[::2],
    LEFT_EYE[::2],
    NOSE,
    LIPS[::2],
    INNER_LIPS[::2],
    IRISES,
)
"""Landmarks by the map of `heatmaps` that they are drawn on."""
_DEVIATION = 0.018
"""Of a landmark's spot, in sides of the crop: a bit more than a pixel at 64."""
_ACROSS = ((33, 263), (127, 356), (234, 454))
"""Pairs of landmarks that lie opposite each other, image right second."""
_TOP, _BASE = 10, 2
"""Hairline and base of the nose: neither follows the jaw."""


def hull(points: Tensor, size: int, grown: float = 1.0) -> Tensor:
    """Return (N,1,size,size) in [0,1]: what lies inside the face's outline.

    Args:
        points: (N,478,3).
        size: side in pixels.
        grown: factor by which the outline is scaled about its middle.
    """
    ring = points[:, list(OVAL), :2]
    middle = ring.mean(1, keepdim=True)
    return filled(middle + (ring - middle) * grown, size)


def regions(points: Tensor, size: int) -> Tensor:
    """Return (N,6,size,size) that add up to 1: where each of REGIONS lies."""
    rings = {
        "brows": (RIGHT_BROW, LEFT_BROW),
        "eyes": (RIGHT_EYE, LEFT_EYE),
        "nose": (NOSE,),
        "mouth": (LIPS,),
    }
    left = hull(points, size)
    found = {"outside": 1 - left}
    for name, parts in reversed(rings.items()):
        drawn = [filled(points[:, list(part), :2], size) for part in parts]
        found[name] = left * torch.stack(drawn).amax(0)
        left = left - found[name]
    found["skin"] = left
    return torch.cat([found[name] for name in REGIONS], 1)


def brightness(rgb: Tensor, region: Tensor) -> Tensor:
    """Return (N,1,1,1), the mean of all channels of (N,3,S,S) inside regions (N,1,S,S).

    It tells a network what light a face stood in that was taken out. Its mean color would tell
    skin, and be copied in place of the source's.
    """
    area = region.sum((1, 2, 3), keepdim=True).clamp(min=1)
    return (rgb.mean(1, keepdim=True) * region).sum((1, 2, 3), keepdim=True) / area


def filled(ring: Tensor, size: int) -> Tensor:
    """Return (N,1,size,size) in [0,1]: polygons of corners (N,P,2), in sides, filled.

    A place is inside where a ray to the left crosses the outline an odd number of times.
    """
    double = 2 * size
    center = (torch.arange(double, device=ring.device) + 0.5) / double
    x, y = ring[..., :1], ring[..., 1:]
    x_next, y_next = x.roll(-1, 1), y.roll(-1, 1)
    crossed = (y > center) != (y_next > center)
    rise = torch.where(y_next == y, torch.ones_like(y), y_next - y)
    places = torch.where(crossed, x + (center - y) / rise * (x_next - x), torch.full_like(x, 9.0))
    right = places[:, :, :, None] < center
    inside = right.sum(1) % 2
    fine = inside[:, None].to(ring.dtype)
    return functional.avg_pool2d(functional.avg_pool2d(fine, 3, 1, 1, count_include_pad=False), 2)


def heatmaps(points: Tensor, size: int) -> Tensor:
    """Return (N,9,size,size) in [0,1]: Gaussian spots of landmarks, a map for each of CONTOURS."""
    center = (torch.arange(size, device=points.device) + 0.5) / size
    chosen = [index for contour in CONTOURS for index in contour]
    spots = points[:, chosen, :2]
    apart = (spots[..., None] - center) / _DEVIATION
    across, along = torch.exp(-apart.square() / 2).unbind(2)
    maps, start = [], 0
    for contour in CONTOURS:
        part = slice(start, start + len(contour))
        maps.append(torch.einsum("npy,npx->nyx", along[:, part], across[:, part]))
        start += len(contour)
    return torch.stack(maps, 1).clamp(max=1)


def rotation(points: Tensor) -> Tensor:
    """Return (N,3,3) rotations from head to camera: x to image right, y down, z away.

    Head axes are the face's own, from landmarks that hardly move with its expression; its rest may
    differ from a face model's by a few degrees of pitch, the same for all pictures.
    """
    across = torch.stack([points[:, b] - points[:, a] for a, b in _ACROSS]).mean(0)
    x = functional.normalize(across, dim=1)
    down = points[:, _BASE] - points[:, _TOP]
    y = functional.normalize(down - (down * x).sum(1, keepdim=True) * x, dim=1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], 2)


def angles(turn: Tensor) -> Tensor:
    """Return (N,2) yaw and pitch in radians of rotations (N,3,3), as `geometry` counts them."""
    yaw = torch.arcsin(turn[:, 2, 0].clamp(-1, 1))
    return torch.stack([yaw, torch.atan2(turn[:, 2, 1], turn[:, 2, 2])], 1)


def turned(points: Tensor, by: Tensor) -> Tensor:
    """Turn faces (N,478,3) about their middle by rotations (N,3,3)."""
    middle = points.mean(1, keepdim=True)
    return middle + (points - middle) @ by.transpose(1, 2)


def part_of(turn: Tensor, share: float) -> Tensor:
    """Return rotations (N,3,3) about the same axes, by a share of the angles (below a half turn).

    Rodrigues' formula, read backward and forward.
    """
    trace = turn.diagonal(dim1=1, dim2=2).sum(1)
    angle = torch.arccos(((trace - 1) / 2).clamp(-1, 1))
    skew = (turn - turn.transpose(1, 2)) / 2
    k = skew / torch.sin(angle).clamp(min=1e-6)[:, None, None]
    part = (angle * share)[:, None, None]
    one = torch.eye(3, dtype=turn.dtype, device=turn.device)
    return one + torch.sin(part) * k + (1 - torch.cos(part)) * (k @ k)


def shape(points: Tensor) -> tuple[Tensor, Tensor]:
    """Return faces without place, turn and size.

    Returns:
        (N,478,3) in units of the distance of the eyes' outer corners, seen from the front; and
        (N,1,1) that distance in sides of the crop.
    """
    scale = (points[:, 263] - points[:, 33]).norm(dim=1)[:, None, None].clamp(min=1e-6)
    middle = points.mean(1, keepdim=True)
    return (points - middle) @ rotation(points) / scale, scale
