"""Reenactment: a portrait of one person does what FaceParams say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from likeness.composite import soft_rectangle
from likeness.condition.conditioner import PortraitConditioner, Underlay, select
from likeness.condition.crop import cut
from likeness.condition.gallery import Gallery
from likeness.condition.matte import Layers
from likeness.condition.mesh import PortraitMesh
from likeness.errors import BundleError
from likeness.geometry import whole_square
from likeness.methods.editors import EDITORS
from likeness.methods.protocol import METHODS, Editor
from likeness.networks import build, prepared
from likeness.provenance.manifest import COMPOSITE, SYNTHETIC, Ingredient, Manifest
from likeness.provenance.permission import Permission
from likeness.store import load_face_model
from likeness.synthesize.portrait import Portrait
from likeness.synthesize.portrait_cpu import PortraitCPU
from likeness.synthesize.spacetime import Spacetime
from likeness.types import (
    Bundle,
    Condition,
    FaceParams,
    Floats,
    Ints,
    Layer,
    Shot,
    Weights,
    Window,
    check,
)

CPU = torch.device("cpu")
_PARTS = ("generator", "gallery")
"""What a bundle with a network holds, besides the plate."""


@dataclass(frozen=True, eq=False)
class PortraitModel:
    """A loaded portrait: the target, its guide and its generator."""

    method: str
    shot: Shot
    train_frames: Ints
    """(M,) frames of the shot that training used."""
    conditioner: PortraitConditioner
    gallery: Gallery | None
    """Keyframes; None for an editor."""
    generator: nn.Module | None
    """The network; None for an editor."""
    plate: torch.Tensor
    """(3,H,W) the target's scene as a full frame, median over the clip."""
    people: tuple[Mapping[str, Any], ...] = ()
    device: torch.device = CPU
    """Where the generator runs."""
    compiled: PortraitCPU | None = None
    """The same generator as compiled loops, where it runs on a CPU."""
    editor: Editor | None = None
    """What paints into the target's own frames, for methods that draw no frames of their own."""

    @property
    def target(self) -> FaceParams:
        """What the target does in the frames that training saw."""
        return select(self.shot.params, self.train_frames)

    @cached_property
    def inside(self) -> torch.Tensor:
        """(1,1,h,w) alpha of the square, which fades where it ends inside the frame."""
        return soft_rectangle(self.conditioner.crop(1), self.conditioner.frame_size)

    def draw(self, condition: Condition) -> torch.Tensor:
        """Return (N,3,h,w) RGB in [0,1], on the CPU."""
        if self.editor is not None:
            return self.editor.draw(condition)
        assert self.generator is not None  # noqa: S101 - there is one or the other
        if self.compiled and condition.keyframes is not None and condition.code is not None:
            return self.compiled(condition.keyframes, condition.maps, condition.code).clamp_(0, 1)
        condition = condition.to(self.device)
        with torch.inference_mode():
            if condition.keyframes is None:
                with torch.autocast(condition.maps.device.type, torch.bfloat16):
                    drawn = self.generator(condition.maps)
            else:
                drawn = self.generator(condition.keyframes, condition.maps, condition.code)
            return cast(torch.Tensor, drawn).clamp(0, 1).cpu()

    def choose_body_keyframes(self, params: FaceParams) -> Ints | None:
        """(N,) keyframes that lend the body over a whole performance; None where there are none."""
        if self.gallery is None or isinstance(self.generator, Spacetime):
            return None
        return self.conditioner.choose_body_keyframes(self.gallery, params)

    def condition(
        self,
        params: FaceParams,
        window: Window,
        crops: torch.Tensor | None = None,
        *,
        own: FaceParams | None = None,
        body_keyframes: Ints | None = None,
    ) -> Condition:
        """Tell the generator about a window of params.

        Args:
            params: a timeline of wanted faces.
            window: frames of it.
            crops: (N,3,h,w) the target's own frames there; an editor needs them.
            own: what the target does in the crops; with both, a portrait takes the body from there.
            body_keyframes: what `choose_body_keyframes` says of `params`, found anew without it.
        """
        if self.editor is not None:
            check(crops is not None, f"{self.method} changes frames, expected the target's own")
            assert crops is not None  # noqa: S101 - narrows the type after the check
            return self.editor.condition(params, window, crops)
        assert self.gallery is not None  # noqa: S101 - there is one or the other
        if isinstance(self.generator, Spacetime):
            shape = self.generator.config
            frames = np.arange(window.start - shape.window + 1, window.stop).clip(0)
            return self.conditioner.from_window(
                select(params, frames), shape.window, shape.channels
            )
        frames = np.arange(window.start, window.stop)
        wanted = select(params, frames)
        if crops is not None and own is not None:
            return self.conditioner.from_keyframes(self.gallery, wanted, Underlay(crops, own))
        body_keyframes = (
            self.choose_body_keyframes(params) if body_keyframes is None else body_keyframes
        )
        assert body_keyframes is not None  # noqa: S101 - there is a gallery
        return self.conditioner.from_keyframes(self.gallery, wanted, body_keyframes[frames])


def conditioner_of(
    shot: Shot, train_frames: Ints, crop_from_frame: Floats, side: int
) -> PortraitConditioner:
    """Build the conditioner of a target from the frames that training may see."""
    model = load_face_model(shot.params.model)
    params = select(shot.params, train_frames)
    size = shot.clip.size
    mesh = PortraitMesh.fitted(model, params, crop_from_frame, size)
    return PortraitConditioner(
        mesh, params.albedo, params.light.mean(0), crop_from_frame, size, side
    )


def open_portrait(bundle: Bundle, device: torch.device = CPU) -> PortraitModel:
    """Turn a bundle of reenactment into something that draws.

    Raises:
        BundleError: the bundle is of another method or lacks a part.
    """
    if bundle.method not in METHODS or bundle.shot is None:
        raise BundleError(
            f"the bundle's method is {bundle.method!r}; expected one of {', '.join(METHODS)}; "
            "train a portrait with `likeness train reenact`"
        )
    recipe = METHODS[bundle.method]
    edits = EDITORS.get(bundle.method)
    missing = set(edits.parts if edits else _PARTS) | {"plate"}
    missing -= set(bundle.networks)
    if missing:
        raise BundleError(f"the bundle lacks {', '.join(sorted(missing))}; train it again")
    train_frames = np.arange(*bundle.training["frames"], dtype=np.int64)
    crop_from_frame = np.array(bundle.input["crop_from_frame"], np.float32)
    conditioner = conditioner_of(
        bundle.shot, train_frames, crop_from_frame, int(bundle.input["size"])
    )
    plate = bundle.networks["plate"].tensors["picture"].float() / 255
    if edits:
        editor = edits.open(bundle.networks, conditioner, bundle.shot)
        known = (
            bundle.method,
            bundle.shot,
            train_frames,
            conditioner,
            None,
            None,
            plate,
            bundle.people,
        )
        return PortraitModel(*known, editor=editor)
    generator = build(bundle.networks["generator"], recipe.network)
    gallery = _gallery(bundle, bundle.shot, conditioner, generator)
    generator = prepared(generator, torch.float32).to(device)
    compiled = None
    if isinstance(generator, Portrait) and device.type == "cpu":
        compiled = PortraitCPU(generator)
    return PortraitModel(
        bundle.method,
        bundle.shot,
        train_frames,
        conditioner,
        gallery,
        generator,
        plate,
        bundle.people,
        device,
        compiled,
    )


def _gallery(
    bundle: Bundle, shot: Shot, conditioner: PortraitConditioner, generator: nn.Module
) -> Gallery:
    """Make the keyframes of a bundle ready, for the fast portrait as layers over its plate."""
    kept = bundle.networks["gallery"].tensors
    times, layers = kept["times"].numpy(), None
    if isinstance(generator, Portrait):
        if "mattes" not in kept:
            raise BundleError("the bundle's keyframes lack their mattes; train it again")
        layers = Layers(kept["mattes"], generator.plate[0])
    return conditioner.gallery(select(shot.params, times), kept["pictures"], times, layers)


@dataclass(frozen=True, eq=False)
class Reenact:
    """The method in the pipeline's slots."""

    portrait: PortraitModel
    params: FaceParams
    """One per frame of the output's timeline."""
    permission: Permission
    """Who agreed; there is no synthesis without one."""
    ingredients: tuple[Ingredient, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    own: FaceParams | None = None
    """What the target does in the N frames beneath, where these are the target's own clip."""
    body_keyframes: Ints | None = field(init=False)
    """(N,) keyframes that lend the body where no frame beneath does."""

    def __post_init__(self) -> None:
        # Settled over the whole performance, so that every window is drawn alike.
        body_keyframes = (
            self.portrait.choose_body_keyframes(self.params) if self.own is None else None
        )
        object.__setattr__(self, "body_keyframes", body_keyframes)

    def manifest(self, title: str) -> Manifest:
        """State what the output is made from."""
        whole = whole_square(self.portrait.conditioner.crop(1), self.portrait.shot.clip.size)
        height, width = self.portrait.shot.clip.size
        covers = whole is not None and whole[2] >= max(height, width)
        return Manifest(
            title=title,
            action="reenact",
            ingredients=self.ingredients,
            settings=self.settings,
            people=self.permission.shown,
            digital_source_type=SYNTHETIC if covers else COMPOSITE,
        )

    def condition(self, window: Window, frames: torch.Tensor) -> Condition:
        """Paint guides and choose keyframes; the target's own frames lend body or more."""
        if self.own is None and self.portrait.editor is None:
            return self.portrait.condition(self.params, window, body_keyframes=self.body_keyframes)
        crops = cut(frames, self.portrait.conditioner.crop(len(window)))
        rows = np.arange(window.start, window.stop)
        own = None if self.own is None else select(self.own, rows)
        return self.portrait.condition(self.params, window, crops, own=own)

    def synthesize(self, condition: Condition) -> Layer:
        """Draw the crop; it covers the square, softly where the square ends inside the frame."""
        rgb = self.portrait.draw(condition)
        if self.portrait.editor is not None:
            return Layer(condition.crop, rgb, self.portrait.editor.alpha(condition))
        return Layer(condition.crop, rgb, self.portrait.inside.expand(len(rgb), -1, -1, -1))


def weights_of(network: str, module_config: Any, tensors: Mapping[str, torch.Tensor]) -> Weights:
    """Pack a network for a bundle."""
    packed = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return Weights(network, asdict(module_config), packed)
