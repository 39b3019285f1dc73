"""The procedural actor: a rendered person whose every parameter is known."""

from likeness.actor.actor import Actor, params_of
from likeness.actor.appearance import Appearance
from likeness.actor.motion import EXPRESSIONS, Motion
from likeness.actor.render import Film, RenderConfig, Rendered, Truth, frames, render, truth
from likeness.actor.swapped import with_face_of

__all__ = [
    "EXPRESSIONS",
    "Actor",
    "Appearance",
    "Film",
    "Motion",
    "RenderConfig",
    "Rendered",
    "Truth",
    "frames",
    "params_of",
    "render",
    "truth",
    "with_face_of",
]
