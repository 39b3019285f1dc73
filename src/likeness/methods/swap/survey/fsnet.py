"""Training of FSNet.

Paper: Natsume et al., FSNet (ACCV 2018, arXiv 1811.12666), section 3: triplets of pictures, two of
one person and one of another. L = face (|face part drawn of the latent - source's own|)
+ reconstruction (|swap - target| where the source is another picture of the target's person)
+ outside (|swap - target| outside of the face, for every pair) + triplet (latents of one person lie
nearer to each other than to another's) + identity + adversarial.
Differs: the paper takes OpenFace for its identity distance, here 1 - cos of the recognizer's codes,
counted from the mean of all people. Hinge losses and SimSwap's two discriminators stand for the
paper's, of the whole and of patches. Differences inside of faces are means over the bands of a
pyramid, so that eyes are not given up for even skin. Weights are ours; the paper's are not known.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from likeness.methods.swap.simswap.learn import Given, System
from likeness.methods.swap.survey.picture_settings import FSNetTraining
from likeness.methods.swap.survey.pictures import (
    PictureSample,
    PictureTask,
    told_by_faces,
    within,
)
from likeness.synthesize.fsnet import FSNet
from likeness.training.gan import band_error
from likeness.training.loop import Losses


class FSNetTask(PictureTask):
    """FSNet on many people."""

    def __init__(self, given: Given, config: FSNetTraining) -> None:
        self.network = FSNet(config.network())
        super().__init__(given, self.network, config)
        self.config = config

    def losses(self, sample: PictureSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, network, sample = self.config, self.network, self.placed(sample)
        target, same = sample.target, sample.same
        latent, twin, other = self._latents(sample)
        place = network.region(sample.source, sample.source_points)
        drawn = _banded(network.face(latent) - sample.source, place)
        region = network.region(target, sample.points)
        result = network.swap(target, sample.points, region, latent)
        error = (result - target).abs()
        close = sample.theta[same:], sample.code[same:]
        total = (
            config.face * drawn
            + config.reconstruction * _banded(result[:same] - target[:same], region[:same])
            + config.outside * within(error, 1 - region)
            + config.triplet * self._triplet(latent[same:], twin[same:], other)
            + config.identity * self.likenesses(result[same:], *close).mean()
            + config.adversarial * self.fooled(result)
        )
        real = torch.cat([target, sample.source])
        return Losses(total, lambda: self.judged(real, result.detach()))

    def _latents(self, sample: PictureSample) -> list[Tensor]:
        """Latents of the sources, of other pictures of them, and of targets of another person."""
        shown = [sample.source, sample.twin, sample.target[sample.same :]]
        points = [sample.source_points, sample.twin_points, sample.points[sample.same :]]
        # At once: their level is that of the batch.
        found: Tensor = self.network.latent(torch.cat(shown), torch.cat(points))
        return list(found.split([len(one) for one in shown]))

    def _triplet(self, latent: Tensor, twin: Tensor, other: Tensor) -> Tensor:
        near, far = ((latent - one).square().mean(1) for one in (twin, other))
        return functional.relu(near - far + self.config.margin).mean()


def _banded(difference: Tensor, region: Tensor) -> Tensor:
    """Mean absolute error over the bands of a pyramid, inside a region (N,1,S,S)."""
    return band_error(region * difference) / region.mean().clamp(min=1e-3)


FSNET_SYSTEM = System("fsnet", FSNetTask, told_by_faces)
