"""Training of RSGAN.

Paper: Natsume et al., RSGAN (arXiv 1804.03447), section 4: both variational autoencoders, the
composer and the discriminators learn at once. L = reconstruction (|composed - picture|)
+ regions (of each separator's own region) + divergence (of both latents from the normal
distribution) + adversarial, which also judges pictures composed of latents that do not belong
together.
Differs: no classifiers of attributes, for which there are no labels; the latents that are mixed for
the adversary are a batch's own, of two people, beside random ones. Hinge losses, SimSwap's two
discriminators for the paper's global and patch one. Absolute differences are means over the bands
of a pyramid, so that eyes are not given up for even skin. No loss asks who is seen: that the face's
latent carries the identity follows from the regions alone, as in the paper.
"""

from __future__ import annotations

import torch

from likeness.methods.swap.simswap.learn import Given, System
from likeness.methods.swap.survey.picture_settings import RSGANTraining
from likeness.methods.swap.survey.pictures import (
    PictureSample,
    PictureTask,
    told_by_faces,
)
from likeness.synthesize.rsgan import RSGAN
from likeness.training.gan import band_error
from likeness.training.loop import Losses


class RSGANTask(PictureTask):
    """RSGAN on many people."""

    def __init__(self, given: Given, config: RSGANTraining) -> None:
        self.network = RSGAN(config.network())
        self.numbers = config.face + config.hair
        super().__init__(given, self.network, config)
        self.config = config

    def losses(self, sample: PictureSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, network, sample = self.config, self.network, self.placed(sample)
        target = sample.target
        region = network.region(target, sample.points)
        latents, parted, diverged = [], [], []
        for part, place, noise in zip(
            (network.face, network.hair),
            (region, 1 - region),
            sample.noise.split((config.face, config.hair), 1),
            strict=True,
        ):
            mean, spread = part(target, place)
            latents.append(mean + noise * (spread / 2).exp())
            diverged.append((mean.square() + spread.exp() - 1 - spread).sum(1).mean() / 2)
            own = torch.sigmoid(part.decoder(latents[-1]))
            parted.append(band_error(place * (own - target)))
        composed = network.compose(latents[0], latents[1])
        # Faces of the others in the batch; the last is one that nobody has.
        face = latents[0].detach().roll(1, 0)
        face = torch.cat([face[:-1], sample.noise[-1:, : config.face]])
        mixed = network.compose(face, latents[1])
        fakes = torch.cat([composed, mixed])
        total = (
            config.reconstruction * band_error(composed - target)
            + config.regions * torch.stack(parted).sum()
            + config.divergence * torch.stack(diverged).sum()
            + config.adversarial * self.fooled(fakes)
        )
        real = torch.cat([target, sample.source])
        return Losses(total, lambda: self.judged(real, fakes.detach()))


RSGAN_SYSTEM = System("rsgan", RSGANTask, told_by_faces)
