"""How a published swap network is fed and what it answers: what its file does not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from likeness.errors import ConfigError
from likeness.nets.layers import imagenet_from_rgb
from likeness.types import check

Range = Literal["unit", "signed", "imagenet"]
"""unit: [0, 1]. signed: [-1, 1]. imagenet: ImageNet's mean 0 and deviation 1."""
Form = Literal["raw", "unit", "mapped", "sum"]

_ENTER: Mapping[str, Callable[[Tensor], Tensor]] = {
    "unit": lambda rgb: rgb,
    "signed": lambda rgb: rgb * 2 - 1,
    "imagenet": imagenet_from_rgb,
}


@dataclass(frozen=True)
class SwapContract:
    """One family's way to be called."""

    family: str
    """Its name in the table of families."""
    size: int
    """Side of the crop in pixels."""
    template: str
    """Key of `condition.align.TEMPLATES`, scaled to the size."""
    enter: Range = "unit"
    """What it reads."""
    leave: Literal["unit", "signed"] = "unit"
    """What it answers."""
    channels: Literal["rgb", "bgr"] = "rgb"
    """Their order, in and out."""
    source: Literal["code", "picture", "faces", "none"] = "code"
    """What it is told of the source by. faces: pictures of it, and the landmarks of both sides.
    none: it draws one person alone, who is in its weights."""
    own: bool = False
    """Whether the target's own code comes after the source's."""
    form: Form = "unit"
    """What becomes of the recognizer's code. raw: nothing. unit: length 1. mapped: length 1, times
    the file's map, length 1 again. sum: length 1, plus that of the `adapter`."""
    space: str = "w600k"
    """Whose codes it understands: the `space` of a recognizer."""
    converter: str = ""
    """Destination of the converter that stands in for that recognizer; empty where none does."""
    adapter: str = ""
    """`space` of a second recognizer whose codes are added."""
    source_size: int = 0
    """Side of the source's picture in pixels, where it is told by one."""
    source_template: str = ""
    """How that picture is laid."""
    mask: bool = False
    """Whether it answers where its face shall lie, beside the face."""
    center: tuple[float, ...] = ()
    """For raw codes: what is taken off, the mean of the people that it was trained on."""
    spread: float = 1.0
    """For raw codes: what they are divided by afterward."""
    turned: tuple[str, ...] = ()
    """Keys of `condition.align.TURNED` that it was trained with beside its template."""

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 4096 or not 0 <= self.source_size <= 4096:
            raise ConfigError(
                f"sides are {self.size} and {self.source_size} pixels, expected 1 to 4096"
            )

        if not self.spread > 0:
            raise ConfigError(f"spread is {self.spread:g}, expected a number above 0")

    def counted(self, codes: Tensor) -> Tensor:
        """Count raw codes (N,D) as the network was told them in training.

        Raises:
            ContractError: the center is of codes of another length.
        """
        if self.center:
            check(
                len(self.center) == codes.shape[1],
                f"the center has {len(self.center)} numbers, the codes {codes.shape[1]}",
            )
            codes = codes - codes.new_tensor(self.center)
        return codes / self.spread

    def entered(self, rgb: Tensor) -> Tensor:
        """Turn RGB (N,3,h,w) in [0,1] into what the network reads."""
        x = _ENTER[self.enter](rgb)
        return x.flip(1) if self.channels == "bgr" else x

    def left(self, answer: Tensor) -> Tensor:
        """Turn the network's answer (N,3,h,w) into RGB in [0,1]."""
        x = answer * 0.5 + 0.5 if self.leave == "signed" else answer
        return (x.flip(1) if self.channels == "bgr" else x).clamp(0, 1)
