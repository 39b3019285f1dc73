"""The one literal table of methods: the command line, bundles, docs and benchmarks read it."""

from __future__ import annotations

from collections.abc import Mapping

from likeness.errors import BundleError
from likeness.methods.edit.method import (
    StitchConfig,
    open_stitch,
    prepare_stitch,
    stitch_directions,
)
from likeness.methods.edit.surface import SurfaceConfig, open_surface, surface_directions
from likeness.methods.photo.animation import AnimateConfig
from likeness.methods.photo.live import follow_photo
from likeness.methods.photo.method import open_photo
from likeness.methods.portrait.fast import open_fast, ready_fast
from likeness.methods.portrait.live import follow_fast
from likeness.methods.portrait.spacetime import open_spacetime
from likeness.methods.portrait.tasks import PIX2PIX, FastConfig, PaperConfig
from likeness.methods.portrait.train import train_fast, train_spacetime
from likeness.methods.protocol import Recipe
from likeness.methods.rewrite.adapt import adapt_face2face, adapt_obama
from likeness.methods.rewrite.face2face import Face2FaceConfig, make_face2face, open_face2face
from likeness.methods.rewrite.obama import ObamaConfig, make_obama, open_obama
from likeness.methods.swap.autoencoder.method import open_one_to_one
from likeness.methods.swap.autoencoder.settings import SwapTraining
from likeness.methods.swap.library import LibraryConfig, open_library
from likeness.methods.swap.live_sources import (
    follow_one_to_one,
    follow_photo_swap,
    follow_portrait_swap,
    follow_published,
)
from likeness.methods.swap.mesh import MeshConfig, open_mesh
from likeness.methods.swap.photo import PhotoSwapConfig, open_photo_swap
from likeness.methods.swap.portrait import open_portrait_swap, ready_portrait_swap
from likeness.methods.swap.published import PublishedConfig, open_published
from likeness.methods.swap.survey.portrayed import open_portrayed
from likeness.methods.swap.warp import WarpConfig, open_warp
from likeness.types import Bundle

METHODS: Mapping[str, Recipe] = {
    "reenact.fast": Recipe(
        about="warped keyframes, blended and completed by a small U-Net",
        action="reenact",
        roles=("target", "driver"),
        settings=FastConfig(),
        parts=("generator", "gallery", "plate"),
        open=open_fast,
        ready=ready_fast,
        train=train_fast,
        follow=follow_fast,
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
        follow=follow_photo,
    ),
    "swap.portrait": Recipe(
        about="a trained portrait of the source, drawn over the target's face",
        action="swap",
        roles=("source", "target"),
        settings=None,
        parts=("generator", "gallery", "plate"),
        open=open_portrait_swap,
        ready=ready_portrait_swap,
        follow=follow_portrait_swap,
    ),
    "swap.photo": Recipe(
        about="photos of the source, bent over the target's face, without training",
        action="swap",
        roles=("source", "target"),
        settings=PhotoSwapConfig(),
        parts=(),
        open=open_photo_swap,
        follow=follow_photo_swap,
    ),
    "swap.onnx": Recipe(
        about="a published any-to-any network, run from its ONNX file",
        action="swap",
        roles=("source", "target"),
        settings=PublishedConfig(),
        parts=("generator",),
        open=open_published,
        follow=follow_published,
    ),
    "swap.simswap": Recipe(
        about="SimSwap: one network for any two people",
        action="swap",
        roles=("source", "target"),
        settings=PublishedConfig(),
        parts=("generator",),
        open=open_published,
        follow=follow_published,
    ),
    "swap.faceshifter": Recipe(
        about="FaceShifter's first stage: one network for any two people",
        action="swap",
        roles=("source", "target"),
        settings=PublishedConfig(),
        parts=("generator",),
        open=open_published,
        follow=follow_published,
    ),
    "swap.ipgan": Recipe(
        about="IPGAN: a face drawn anew from who it is and from everything else",
        action="swap",
        roles=("source", "target"),
        settings=PublishedConfig(),
        parts=("generator",),
        open=open_published,
    ),
    "swap.hear": Recipe(
        about="FaceShifter with its second stage, which keeps what lies before the face",
        action="swap",
        roles=("source", "target"),
        settings=PublishedConfig(),
        parts=("generator",),
        open=open_published,
    ),
    "swap.korshunova": Recipe(
        about="style transfer: one network draws one person over any face",
        action="swap",
        roles=("source", "target"),
        settings=PublishedConfig(),
        parts=("generator",),
        open=open_published,
    ),
    "swap.megafs": Recipe(
        about="MegaFS: two codes swapped before StyleGAN2",
        action="swap",
        roles=("source", "target"),
        settings=PublishedConfig(),
        parts=("generator",),
        open=open_published,
    ),
    "swap.cihanet": Recipe(
        about="CihaNet: one stage that decides everywhere what is context, what identity",
        action="swap",
        roles=("source", "target"),
        settings=PublishedConfig(),
        parts=("generator",),
        open=open_published,
    ),
    "swap.rsgan": Recipe(
        about="RSGAN: face and hair as two latents, composed anew",
        action="swap",
        roles=("source", "target"),
        settings=None,
        parts=("generator",),
        open=open_portrayed,
    ),
    "swap.fsnet": Recipe(
        about="FSNet: a latent of the source's face, drawn into the rest of the target",
        action="swap",
        roles=("source", "target"),
        settings=None,
        parts=("generator",),
        open=open_portrayed,
    ),
    "swap.fsgan": Recipe(
        about="FSGAN: reenact the source, segment, inpaint, blend",
        action="swap",
        roles=("source", "target"),
        settings=None,
        parts=("generator",),
        open=open_portrayed,
    ),
    "swap.unifacegan": Recipe(
        about="UniFaceGAN: each part of a face in the source's own look, steady over time",
        action="swap",
        roles=("source", "target"),
        settings=None,
        parts=("generator",),
        open=open_portrayed,
    ),
    "swap.compact": Recipe(
        about="a small network for any two people, learned from exact answers",
        action="swap",
        roles=("source", "target"),
        settings=PublishedConfig(),
        parts=("generator",),
        open=open_published,
    ),
    "swap.df": Recipe(
        about="a shared encoder, and a decoder for each of two people",
        action="swap",
        roles=("source", "target"),
        settings=SwapTraining(arch="df"),
        parts=("generator",),
        open=open_one_to_one,
        follow=follow_one_to_one,
    ),
    "swap.liae": Recipe(
        about="shared encoder and decoder, told apart by what lies between",
        action="swap",
        roles=("source", "target"),
        settings=SwapTraining(arch="liae"),
        parts=("generator",),
        open=open_one_to_one,
        follow=follow_one_to_one,
    ),
    "swap.original": Recipe(
        about="the first autoencoder: one encoder, two decoders",
        action="swap",
        roles=("source", "target"),
        settings=SwapTraining(arch="original"),
        parts=("generator",),
        open=open_one_to_one,
        follow=follow_one_to_one,
    ),
    "swap.comb": Recipe(
        about="one encoder, a decoder for each of any number of people, grown level by level",
        action="swap",
        roles=("source", "target"),
        settings=SwapTraining(arch="comb"),
        parts=("generator",),
        open=open_one_to_one,
        follow=follow_one_to_one,
    ),
    "swap.autoencoder": Recipe(
        about="an imported model of DeepFaceLab",
        action="swap",
        roles=("source", "target"),
        settings=None,
        parts=("generator",),
        open=open_one_to_one,
        follow=follow_one_to_one,
    ),
    "swap.dfm": Recipe(
        about="an imported model of DeepFaceLive",
        action="swap",
        roles=("source", "target"),
        settings=None,
        parts=("generator",),
        open=open_one_to_one,
        follow=follow_one_to_one,
    ),
    "swap.warp": Recipe(
        about="photos of the source on a mesh of landmarks, frame by frame",
        action="swap",
        roles=("source", "target"),
        settings=WarpConfig(),
        parts=(),
        open=open_warp,
    ),
    "swap.mesh": Recipe(
        about="the source's fitted shape and unrolled skin, rendered in the target's light",
        action="swap",
        roles=("source", "target"),
        settings=MeshConfig(),
        parts=(),
        open=open_mesh,
    ),
    "swap.library": Recipe(
        about="from a folder of faces the one nearest in pose, light and seam, relit",
        action="swap",
        roles=("source", "target"),
        settings=LibraryConfig(),
        parts=(),
        open=open_library,
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
    "edit.stitch": Recipe(
        about="edits in the code space of a face generator tuned to the clip: Stitch it in Time",
        action="edit",
        roles=("target",),
        settings=StitchConfig(),
        parts=("generator",),
        open=open_stitch,
        directions=stitch_directions,
        prepare=prepare_stitch,
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
