"""Training of FSGAN: all four networks at once, each on what the others answer.

Paper: Nirkin et al., FSGAN (ICCV 2019, arXiv 1908.05932), section 3 and 4. G_r: a source reenacted
as another picture of its person, against that picture. G_s: cross entropy. G_c: pictures of faces
with a hole, against themselves. G_b: the completed face and the target, against their Poisson blend
(equation 7). L = pixels |.| + features + adversarial for G_r, G_c and G_b, 0.1 of the entropy.
Differs: trained together, not one after the other; features are the recognizer's, not VGG's; hinge
losses, one pair of discriminators for all; labels of G_s are outlines of landmarks. Holes are what
another face's outline leaves over, and an ellipse. At most two turns in a row are learned through.
Sources are not tuned to before use (the paper's 800 steps for each).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from likeness.composite.poisson import blend_poisson
from likeness.methods.swap.simswap.learn import Given, System
from likeness.methods.swap.survey.picture_settings import FSGANTraining
from likeness.methods.swap.survey.pictures import (
    PictureSample,
    PictureTask,
    told_by_faces,
    within,
)
from likeness.synthesize.face_maps import hull
from likeness.synthesize.fsgan import FSGAN
from likeness.training.loop import Losses

_TURNS = 2


class FSGANTask(PictureTask):
    """FSGAN on many people."""

    numbers = 4
    """Place and extent of an ellipse."""

    def __init__(self, given: Given, config: FSGANTraining) -> None:
        self.network = FSGAN(config.network())
        super().__init__(given, self.network, config)
        self.config = config

    def losses(self, sample: PictureSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, network, sample = self.config, self.network, self.placed(sample)
        target, same = sample.target, sample.same
        pair = sample.source[:same], sample.source_points[:same], sample.points[:same]
        reenacted = network.reenact(*pair, most=_TURNS)
        face = hull(sample.points, config.size)
        entropy = functional.binary_cross_entropy_with_logits(network.logits(target), face)
        seen = torch.minimum(face, face.roll(1, 0)) * (1 - ellipses(sample.noise, config.size))
        completed = network.inpaint(target, seen, face)
        swap, wanted = self._blended(sample, reenacted, face)
        blended = network.blend(swap, target, face)
        total = (
            self._near(reenacted, target[:same])
            + config.pixels * within((completed - target).abs(), face)
            + config.features * self.features(torch.lerp(target, completed, face), target)
            + self._near(blended, wanted)
            + config.segmentation * entropy
            + config.adversarial * self.fooled(torch.cat([reenacted, completed * face]))
            + config.blending * config.adversarial * self.fooled(blended)
        )
        fakes = torch.cat([reenacted, blended]).detach()
        real = torch.cat([target, sample.source])
        return Losses(total, lambda: self.judged(real, fakes))

    def _near(self, result: Tensor, wanted: Tensor) -> Tensor:
        pixels = (result - wanted).abs().mean()
        return self.config.pixels * pixels + self.config.features * self.features(result, wanted)

    @torch.no_grad()
    def _blended(
        self, sample: PictureSample, reenacted: Tensor, face: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return completed faces of the sources, and their Poisson blends with the targets."""
        network, same = self.network, sample.same
        others = sample.source[same:], sample.source_points[same:], sample.points[same:]
        shown = torch.cat([reenacted.detach(), network.reenact(*others, most=_TURNS)])
        completed = network.inpaint(shown, network.segment(shown), face)
        under, over, alpha = (
            np.ascontiguousarray(x.permute(0, 2, 3, 1).cpu().numpy())
            for x in (sample.target, completed, face)
        )
        blends = [
            blend_poisson(a, b, m[..., 0]) for a, b, m in zip(under, over, alpha, strict=True)
        ]
        wanted = torch.from_numpy(np.stack(blends)).permute(0, 3, 1, 2).to(completed)
        return completed, wanted


def ellipses(noise: Tensor, size: int) -> Tensor:
    """Return (N,1,size,size): an ellipse each, of place and extent that noise (N,4) says."""
    center = (torch.arange(size, device=noise.device) + 0.5) / size
    middle = 0.5 + 0.15 * noise[:, :2]
    extent = 0.12 * torch.exp(0.4 * noise[:, 2:])
    across = (center - middle[:, :1]) / extent[:, :1]
    along = (center - middle[:, 1:]) / extent[:, 1:]
    return ((across[:, None, :].square() + along[:, :, None].square()) < 1)[:, None].to(noise.dtype)


FSGAN_SYSTEM = System("fsgan", FSGANTask, told_by_faces)
