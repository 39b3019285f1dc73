"""What the generator is told: crops, guide images and warped keyframes."""

from likeness.condition.crop import cut, portrait_crop
from likeness.condition.gallery import Gallery, choose_keyframes, features, pick_keyframes
from likeness.condition.mesh import PortraitMesh
from likeness.condition.paint import GUIDE_NAMES, paint
from likeness.condition.warp import displacements

__all__ = [
    "GUIDE_NAMES",
    "Gallery",
    "PortraitMesh",
    "choose_keyframes",
    "cut",
    "displacements",
    "features",
    "paint",
    "pick_keyframes",
    "portrait_crop",
]
