"""The one literal table of methods: the command line, bundles, docs and benchmarks read it."""

from __future__ import annotations

from collections.abc import Mapping

from likeness.errors import BundleError
from likeness.methods.edit.surface import SurfaceConfig, open_surface, surface_directions
from likeness.methods.photo.animation import AnimateConfig
from likeness.methods.photo.method import open_photo
from likeness.methods.portrait.fast import open_fast
from likeness.methods.portrait.spacetime import open_spacetime
from likeness.methods.portrait.tasks import PIX2PIX, FastConfig, PaperConfig
from likeness.methods.portrait.train import train_fast, train_spacetime
from likeness.methods.protocol import Recipe
from likeness.methods.rewrite.adapt import adapt_face2face, adapt_obama
from likeness.methods.rewrite.face2face import Face2FaceConfig, make_face2face, open_face2face
from likeness.methods.rewrite.obama import ObamaConfig, make_obama, open_obama
from likeness.types import Bundle

METHODS: Mapping[str, Recipe] = {
    "reenact.fast": Recipe(
        about="warped keyframes, blended and completed by a small U-Net",
        action="reenact",
        roles=("target", "driver"),
        settings=FastConfig(),
        parts=("generator", "gallery", "plate"),
        open=open_fast,
        train=train_fast,
    ),
    "reenact.paper": Recipe(
        about="the space-time network of Deep Video Portraits",
        action="reenact",
        roles=("target", "driver"),
        settings=PaperConfig(),
        parts=("generator", "gallery", "plate"),
        open=open_spacetime,
        train=train_spacetime,
    ),
    "reenact.pix2pix": Recipe(
        about="the paper's network on single frames, unrefined",
        action="reenact",
        roles=("target", "driver"),
        settings=PIX2PIX,
        parts=("generator", "gallery", "plate"),
        open=open_spacetime,
        train=train_spacetime,
    ),
    "reenact.face2face": Recipe(
        about="expression alone, rendered into the target's own frames",
        action="reenact",
        roles=("target", "driver"),
        settings=Face2FaceConfig(),
        parts=("skin", "mouths", "plate"),
        open=open_face2face,
        train=make_face2face,
        adapt=adapt_face2face,
    ),
    "reenact.obama": Recipe(
        about="mouths as medians of many, laid into the target's own frames",
        action="reenact",
        roles=("target", "driver"),
        settings=ObamaConfig(),
        parts=("mouths", "teeth", "plate"),
        open=open_obama,
        train=make_obama,
        adapt=adapt_obama,
    ),
    "animate.photo": Recipe(
        about="one photo, bent over a fitted face, without training",
        action="animate",
        roles=("target", "driver"),
        settings=AnimateConfig(),
        parts=("photo",),
        open=open_photo,
    ),
    "edit.surface": Recipe(
        about="edits on the fitted surface, drawn into the clip's own pixels, without training",
        action="edit",
        roles=("target",),
        settings=SurfaceConfig(),
        parts=(),
        open=open_surface,
        directions=surface_directions,
    ),
}
"""Every method by the name that bundles carry."""


def recipe_of(bundle: Bundle, action: str) -> Recipe:
    """Look up the method of a bundle.

    Args:
        bundle: a trained model.
        action: what it is wanted for.

    Raises:
        BundleError: the bundle is of another method or lacks a part.
    """
    able = [name for name, recipe in METHODS.items() if recipe.action == action]
    if bundle.method not in able:
        raise BundleError(
            f"the bundle's method is {bundle.method!r}; expected one of {', '.join(able)}; "
            "train a portrait with `likeness train reenact`"
        )
    recipe = METHODS[bundle.method]
    missing = set(recipe.parts) - set(bundle.networks)
    if missing:
        raise BundleError(f"the bundle lacks {', '.join(sorted(missing))}; train it again")
    return recipe


def presets(action: str) -> dict[str, Recipe]:
    """Return the methods of an action that can be trained, by their short names."""
    return {
        name.partition(".")[2]: recipe
        for name, recipe in METHODS.items()
        if recipe.action == action and recipe.train is not None
    }
