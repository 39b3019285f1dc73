"""Training of FSNet.

Paper: Natsume et al., FSNet (ACCV 2018, arXiv 1811.12666), section 3: triplets of pictures, two of
one person and one of another. L = face (|face part drawn of the latent - source's own|)
+ reconstruction (|swap - target| where the source is another picture of the target's person)
+ outside (|swap - target| outside of the face, for every pair) + triplet (latents of one person lie
nearer to each other than to another's) + identity + adversarial.
Differs: the paper takes OpenFace for its identity distance, here 1 - cos of the recognizer's codes,
counted from the mean of all people. Hinge losses and SimSwap's two discriminators stand for the
paper's, of the whole and of patches. Weights are ours; the paper's are not known for sure.
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
        latent = network.latent(sample.source, sample.source_points)
        place = network.region(sample.source, sample.source_points)
        drawn = within((network.face(latent) - sample.source).abs(), place)
        region = network.region(target, sample.points)
        result = network.swap(target, sample.points, region, latent)
        error = (result - target).abs()
        close = sample.theta[same:], sample.code[same:]
        total = (
            config.face * drawn
            + config.reconstruction * within(error[:same], region[:same])
            + config.outside * within(error, 1 - region)
            + config.triplet * self._triplet(sample, latent)
            + config.identity * self.likenesses(result[same:], *close).mean()
            + config.adversarial * self.fooled(result)
        )
        real = torch.cat([target, sample.source])
        return Losses(total, lambda: self.judged(real, result.detach()))

    def _triplet(self, sample: PictureSample, latent: Tensor) -> Tensor:
        """Latents of another picture of the source, and of the target where it is another's."""
        twin = self.network.latent(sample.twin, sample.twin_points)
        other = self.network.latent(sample.target[sample.same :], sample.points[sample.same :])
        near = (latent - twin).square().mean(1)[sample.same :]
        far = (latent[sample.same :] - other).square().mean(1)
        return functional.relu(near - far + self.config.margin).mean()


FSNET_SYSTEM = System("fsnet", FSNetTask, told_by_faces)
