"""The spaces in which a face generator is told what to draw: W, W+ and S, as types.

Papers: Karras et al., StyleGAN (CVPR 2019) for W; Abdal et al., Image2StyleGAN (ICCV 2019) for W+,
one code per layer; Wu et al., StyleSpace (CVPR 2021) for S, what the layers make of their codes.
A tensor does not tell which of them it lives in, and adding a direction of one to a point of
another gives a picture that looks only a little wrong; so each has its own type.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from likeness.types import check


@dataclass(frozen=True, eq=False)
class W:
    """N points in W: one code for all layers."""

    code: Tensor
    """(N,D)."""

    def __post_init__(self) -> None:
        check(self.code.ndim == 2, f"W has shape {tuple(self.code.shape)}, expected (N, D)")

    def truncated(self, average: Tensor, psi: float) -> W:
        """Move toward the average code (D,): psi 1 changes nothing, 0 gives the average face.

        Karras 2019, appendix B: w' = average + psi (w - average).
        """
        return W(torch.lerp(average, self.code, psi))

    def broadcast(self, layers: int) -> WPlus:
        """Give the same code to each of `layers` layers."""
        return WPlus(self.code[:, None].expand(-1, layers, -1))


@dataclass(frozen=True, eq=False)
class WPlus:
    """N points in W+: one code per layer, coarse layers first."""

    codes: Tensor
    """(N,L,D)."""

    def __post_init__(self) -> None:
        check(self.codes.ndim == 3, f"W+ has shape {tuple(self.codes.shape)}, expected (N, L, D)")

    def truncated(self, average: Tensor, psi: float, layers: int | None = None) -> WPlus:
        """Move the first `layers` codes (all by default) toward the average code (D,)."""
        moved = torch.lerp(average, self.codes[:, :layers], psi)
        kept = self.codes[:, len(moved[0]) :]
        return WPlus(torch.cat([moved, kept], 1))


@dataclass(frozen=True, eq=False)
class Styles:
    """N points in S: for every layer the factors of its input channels, before any gain.

    The generator's order: at 4 pixels a convolution and a color layer; at each larger size an
    up-sampling convolution, a convolution and a color layer.
    """

    vectors: tuple[Tensor, ...]
    """(N,C) per layer, where C is the layer's input channels; 26 layers at 1024 pixels."""

    def __post_init__(self) -> None:
        count = len(self.vectors)
        check(count >= 2 and count % 3 == 2, f"S has {count} layers, expected 2, 5, 8, ...")

    def convolutions(self) -> Tensor:
        """Join what the convolutions are told, without the color layers: (N,6048) at 1024 pixels.

        The order in which global directions of StyleCLIP (Patashnik 2021) are given.
        """
        return torch.cat([v for i, v in enumerate(self.vectors) if i % 3 != 1], 1)

    def with_convolutions(self, joined: Tensor) -> Styles:
        """Replace what `convolutions` joins."""
        widths = [v.shape[1] for i, v in enumerate(self.vectors) if i % 3 != 1]
        check(
            joined.ndim == 2 and joined.shape[1] == sum(widths),
            f"styles have shape {tuple(joined.shape)}, expected (N, {sum(widths)})",
        )
        parts = iter(joined.split(widths, 1))
        vectors = tuple(v if i % 3 == 1 else next(parts) for i, v in enumerate(self.vectors))
        return replace(self, vectors=vectors)
