"""How unlike a drawn crop is to a filmed one: what tuning brings down.

Paper: Tzaban et al., section 4.3: 10 MSE + LPIPS at [-1,1]. LPIPS's network is nobody's to ship, so
its part is taken by absolute errors band by band (Burt and Adelson's pyramid), and, where asked, by
the features of an identity network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from likeness.errors import ConfigError

Features = Callable[[Tensor], Tensor]
"""Maps aligned crops (N,3,S,S) in [0,1] to features (N,F), with gradients: an identity network."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the parts."""

    mse: float = 10.0
    """Of the squared error in [-1,1], the paper's l2_lambda."""
    bands: float = 4.0
    """Of the absolute error in each band of the pyramid."""
    features: float = 0.1
    """Of the distance between features, where there is a network for them."""

    def __post_init__(self) -> None:
        if min(self.mse, self.bands, self.features) < 0:
            raise ConfigError(
                f"mse {self.mse}, bands {self.bands}, features {self.features}; expected weights "
                "of 0 or more"
            )


@dataclass(frozen=True, eq=False)
class PictureLoss:
    """The loss of N pictures, each for itself."""

    config: LossConfig = LossConfig()
    features: Features | None = None

    def __call__(self, drawn: Tensor, real: Tensor) -> Tensor:
        """Return (N,) for pictures (N,3,S,S) in [0,1]."""
        difference = 2 * (drawn - real)
        answer = self.config.mse * difference.square().mean((1, 2, 3))
        if self.config.bands:
            answer = answer + self.config.bands * _bands(difference)
        if self.features is not None and self.config.features:
            apart = (self.features(drawn) - self.features(real)).square().sum(1)
            answer = answer + self.config.features * (apart + 1e-12).sqrt()
        return answer


def _bands(difference: Tensor) -> Tensor:
    """(N,) mean absolute error over the bands, each counting the same."""
    total, count, rest = difference.new_zeros(len(difference)), 0, difference
    while min(rest.shape[2:]) >= 8:
        low = functional.avg_pool2d(rest, 2)
        again = functional.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)
        if again.shape != rest.shape:
            break
        total = total + (rest - again).abs().mean((1, 2, 3))
        count, rest = count + 1, low
    return (total + rest.abs().mean((1, 2, 3))) / (count + 1)
