"""FSGAN's networks: reenact the source, segment, inpaint, blend; and views between source views.

Paper: Nirkin et al., FSGAN: Subject Agnostic Face Swapping and Reenactment (ICCV 2019, arXiv
1908.05932): the reenactment generator G_r in several small turns (section 3.2), the segmentation
network G_s, view interpolation (3.3), the inpainting network G_c (3.4) and the blending network G_b
(3.5). Weights are given on request only; their networks are 2450 GFLOP for a face.
Differs: plain U-Nets at widths that a CPU trains in place of the multi-scale residual ones, and
G_r, G_c and G_b answer changes of the picture that they are shown.
Landmarks of one part share a heatmap (9 for 98). G_s tells the face from all else, without hair: no
labels of hair are at hand. Among the triangles of source views that hold the target's yaw and pitch
the one with the nearest corners is taken, which need not be Delaunay's.
Input:  rgb (N,3,S,S) in [0,1], points (N,478,3) as `face_maps` has them: the target; sources
(K,3,S,S) and their points (K,478,3): views of one person.
Output: (N,4,S,S) in [0,1]: the swap, and where it is to be laid.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.synthesize.face_maps import CONTOURS, angles, heatmaps, part_of, rotation, turned
from likeness.synthesize.picture_layers import UNet, check_faces, prove_widths
from likeness.types import check

_TURN = math.radians(20.0)
"""Most that one reenactment turns a head; larger turns are made in several."""
_MOST = 4
"""Reenactments in a row at most: each softens the picture."""
_ERODE = (7, 0.6, 3)
"""Kernel at 64 pixels, threshold and repetitions of the soft erosion."""


@dataclass(frozen=True)
class FSGANConfig:
    """Shape of the networks."""

    size: int = 64
    """Side of the crop in pixels."""
    reenact: tuple[int, ...] = (32, 64, 128, 160)
    """Channels of G_r after each halving, down to 4x4."""
    others: tuple[int, ...] = (16, 32, 64, 96)
    """Channels of the other three likewise."""

    def __post_init__(self) -> None:
        prove_widths(self.size, self.reenact)
        prove_widths(self.size, self.others)


class FSGAN(nn.Module):
    """All four networks; see the head of this file."""

    def __init__(self, config: FSGANConfig) -> None:
        super().__init__()
        self.config = config
        self.reenactor = UNet(3 + len(CONTOURS), config.reenact, 3)
        self.segmenter = UNet(3, config.others, 1)
        self.inpainter = UNet(4, config.others, 3)
        self.blender = UNet(7, config.others, 3)
        for part in (self.reenactor, self.inpainter, self.blender):
            # The first answer changes nothing.
            nn.init.normal_(part.head.weight, 0, 1e-3)
            nn.init.zeros_(part.head.bias)  # type: ignore[arg-type]

    def forward(self, rgb: Tensor, points: Tensor, sources: Tensor, told: Tensor) -> Tensor:
        """Swap: reenact the source views around each target's turn, complete, and blend.

        Raises:
            ContractError: pictures or points have another shape, or there is no source.
        """
        check_faces(rgb, points, self.config.size)
        check_faces(sources, told, self.config.size)
        check(len(sources) > 0, "no source view, expected one or more")
        shown = [self._view(one, sources, told) for one in points.split(1)]
        reenacted = torch.cat(shown) if shown else rgb
        face = self.segment(rgb)
        drawn = self.blend(self.inpaint(reenacted, self.segment(reenacted), face), rgb, face)
        return torch.cat([drawn, soft_erosion(face)], 1)

    def reenact(self, rgb: Tensor, told: Tensor, points: Tensor, most: int = _MOST) -> Tensor:
        """Give faces (N,3,S,S) with `told` (N,478,3) the turn and expression of `points`.

        The way is made in equal turns (equation 4): at each the target's landmarks are turned
        toward the source's by what is still to go.

        Args:
            most: turns at most.
        """
        back = rotation(told) @ rotation(points).transpose(1, 2)
        cosine = (back.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
        largest = float(torch.arccos(cosine.clamp(-1, 1)).max()) if len(rgb) else 0.0
        steps = min(max(1, math.ceil(largest / _TURN)), most)
        for step in range(1, steps + 1):
            between = turned(points, part_of(back, 1 - step / steps)) if step < steps else points
            marks = heatmaps(between, self.config.size)
            rgb = _changed(rgb, self.reenactor(torch.cat([rgb * 2 - 1, marks], 1)))
        return rgb

    def segment(self, rgb: Tensor) -> Tensor:
        """Return (N,1,S,S) in [0,1]: where a face is."""
        return torch.sigmoid(self.logits(rgb))

    def logits(self, rgb: Tensor) -> Tensor:
        """Return (N,1,S,S) whose logistic function `segment` is."""
        logits: Tensor = self.segmenter(rgb * 2 - 1)
        return logits.float()

    def inpaint(self, rgb: Tensor, seen: Tensor, wanted: Tensor) -> Tensor:
        """Complete faces (N,3,S,S), seen in one region (N,1,S,S), to fill another."""
        told = torch.cat([(rgb * 2 - 1) * seen, wanted * 2 - 1], 1)
        return _changed(torch.lerp(torch.full_like(rgb, 0.5), rgb, seen), self.inpainter(told))

    def blend(self, face: Tensor, rgb: Tensor, region: Tensor) -> Tensor:
        """Lay faces (N,3,S,S) into a region (N,1,S,S) of targets, in their light."""
        told = torch.cat([(face * 2 - 1) * region, (rgb * 2 - 1) * (1 - region), region], 1)
        return _changed(torch.lerp(rgb, face, region), self.blender(told))

    def _view(self, points: Tensor, sources: Tensor, told: Tensor) -> Tensor:
        """Return (1,3,S,S): the source at one target's turn (1,478,3) (equation 5)."""
        weights = view_weights(angles(rotation(told)), angles(rotation(points))[0])
        answer = torch.zeros_like(sources[:1])
        for index in weights.nonzero()[:, 0].tolist():
            one = slice(index, index + 1)
            answer = answer + weights[index] * self.reenact(sources[one], told[one], points)
        return answer


def _changed(rgb: Tensor, answer: Tensor) -> Tensor:
    """Change pictures in [0,1] by what a network answers."""
    return (rgb + torch.tanh(answer)).clamp(0, 1)


def view_weights(views: Tensor, wanted: Tensor) -> Tensor:
    """Weigh views by barycentric coordinates of their angles.

    Args:
        views: (K,2) yaw and pitch of the source's views.
        wanted: (2,) the target's.

    Returns:
        (K,) of sum 1, at most three of them above 0: of the triangles of views that hold the wanted
        angles the one with the nearest corners; outside of all of them the nearest point between
        two views.
    """
    best = torch.zeros(len(views), dtype=views.dtype, device=views.device)
    away = (views - wanted).norm(dim=1)
    least = math.inf
    for corners in itertools.combinations(range(len(views)), 3):
        shares = _barycentric(views[list(corners)], wanted)
        far = float(away[list(corners)].sum())
        if shares is not None and float(shares.min()) >= 0 and far < least:
            least = far
            best = torch.zeros_like(best)
            best[list(corners)] = shares
    if least < math.inf:
        return best
    best[int(away.argmin())] = 1
    least = float(away.min())
    for a, b in itertools.combinations(range(len(views)), 2):
        way = views[b] - views[a]
        share = ((wanted - views[a]) @ way / way.square().sum().clamp(min=1e-9)).clamp(0, 1)
        far = float((views[a] + share * way - wanted).norm())
        if far < least - 1e-6:
            least = far
            best = torch.zeros_like(best)
            best[a], best[b] = 1 - share, share
    return best


def _barycentric(corners: Tensor, wanted: Tensor) -> Tensor | None:
    """Return (3,) coordinates in a triangle (3,2); None where it has no area."""
    edges = (corners[:2] - corners[2]).T
    if abs(float(torch.linalg.det(edges))) < 1e-6:
        return None
    first = torch.linalg.solve(edges, wanted - corners[2])
    return torch.cat([first, 1 - first.sum(0, keepdim=True)])


def soft_erosion(region: Tensor) -> Tensor:
    """Shrink regions (N,1,S,S) and let them fall off softly, as the paper's code does.

    A cone-shaped filter; the lesser of the region and its filtered self, several times; what stays
    above a threshold counts as whole.
    """
    side, threshold, times = _ERODE
    side = side * region.shape[-1] // 64 // 2 * 2 + 1
    place = torch.arange(side, device=region.device, dtype=region.dtype) - side // 2
    away = torch.hypot(place[:, None], place)
    cone = (away.max() - away)[None, None]
    cone = cone / cone.sum()
    for _ in range(times - 1):
        region = torch.minimum(region, functional.conv2d(region, cone, padding=side // 2))
    region = functional.conv2d(region, cone, padding=side // 2)
    return torch.where(region >= threshold, torch.ones_like(region), region / threshold)
