"""The plan of an output: whom it changes, what lies under each frame, and when it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from likeness.composite.finish import FinishConfig
from likeness.condition.conditioner import select
from likeness.decode import find_stored
from likeness.errors import ContractError
from likeness.fit.transfer import Transfer
from likeness.plan.performance import Performance, performance_of
from likeness.provenance.manifest import Ingredient
from likeness.types import Bools, Clip, FaceParams, Floats, Ints, Shot, Timeline, Window, check


@dataclass(frozen=True, eq=False)
class Plan:
    """M frames of an output before any of them is drawn."""

    action: str
    """What is done, for the manifest: reenact, dub, animate, swap, edit."""
    shot: Shot
    """The person that is changed."""
    like: Clip
    """Whose size, color and pixel aspect the output has."""
    timeline: Timeline
    """When each of the M frames is shown, and the sound under them."""
    guessed: Bools
    """(M,) True where a face was not seen, so that what it does had to be guessed."""
    ingredients: tuple[Ingredient, ...]
    """What the output is made from."""
    stream: Clip | None = None
    """Whose frames are decoded for the methods; None where nothing has to be."""
    shown: Ints | None = None
    """(M,) frame of `stream` for each frame of the output."""
    canvas: torch.Tensor | None = None
    """(3,H,W) RGB in [0,1] that lies under the layers in place of the decoded frames."""
    params: FaceParams | None = None
    """What the face shall do in the M frames; None where a method takes it from the frames."""
    underlay: FaceParams | None = None
    """What the target does itself in the M decoded frames, where a method may keep its body."""
    absent: Bools | None = None
    """(M,) True where the target is not in the picture: these frames stay as they were decoded."""
    lower_face: bool = False
    """Whether the lower face is all that may be painted."""
    finish: FinishConfig | None = None
    """How a swapped face is laid into the frames."""
    driver: Shot | None = None
    """Who gives the motion, where a method looks at their frames."""
    strengths: Mapping[str, Floats] = field(default_factory=dict)
    """(M,) how strong each direction of a semantic edit is."""
    whole: bool = False
    """Whether every pixel is painted by a model."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Resolved settings as JSON values, for the manifest."""
    transfer: Transfer | None = None
    """What was taken from the driver, and what was held back."""
    overrun: int = 0
    """Frames after the end of the shorter performance, which was extrapolated."""
    warnings: tuple[str, ...] = ()
    """What a person should know before trusting the output, in words."""

    def __post_init__(self) -> None:
        count = len(self.timeline)
        check(len(self.guessed) == count, f"{len(self.guessed)} facts for {count} frames")
        check(self.absent is None or len(self.absent) == count, "every frame is absent or not")
        check((self.stream is None) == (self.shown is None), "a stream needs its frames")
        check(self.shown is None or len(self.shown) == count, "every frame shows one")
        check(self.stream is not None or self.canvas is not None, "nothing lies under the layers")
        for name, strength in self.strengths.items():
            check(len(strength) == count, f"{name} has {len(strength)} strengths, not {count}")
        for params in (self.params, self.underlay):
            check(params is None or len(params) == count, f"params are not of {count} frames")

    def __len__(self) -> int:
        return len(self.timeline)

    @property
    def wanted(self) -> FaceParams:
        """What the face shall do; the plan is of a method that follows params."""
        if self.params is None:
            raise ContractError("the plan says nothing of the face, expected params for its frames")
        return self.params

    def target_at(self, window: Window) -> tuple[FaceParams, Bools]:
        """Return what the target does in the decoded frames of a window, and where it was seen.

        Returns:
            Params of N frames, and (N,) False where the face was guessed: there is none to be
            changed.
        """
        check(self.shown is not None, "nothing is decoded, expected the target's own frames")
        rows = np.asarray(self.shown)[window.start : window.stop] - self.shot.track.start
        inside = rows.clip(0, len(self.shot.track) - 1)
        seen = (rows == inside) & self.shot.track.observed[inside]
        return select(self.shot.params, inside), seen


def frames_beneath(shot: Shot, timeline: Timeline) -> Ints | None:
    """Choose which frame of a target's clip lies under each of M frames of another timeline.

    By time stamp: the frame that is on screen at that moment.

    Returns:
        (M,) frames of the clip; None where the clip is gone or too short, because changing from
        its frames to something else in the middle would be a jump.
    """
    clip = shot.clip
    times = (timeline.pts - timeline.pts[0]) * float(timeline.time_base)
    kept = (clip.pts - clip.pts[0]) * float(clip.time_base)
    lasting = float(clip.last_duration * clip.time_base)
    if times[-1] >= kept[-1] + lasting or find_stored(clip) is None:
        return None
    # Half a millisecond forgives rounded time stamps.
    return np.asarray(np.searchsorted(kept, times + 5e-4, "right") - 1, np.int64)


def repetition(shot: Shot) -> Plan:
    """Plan a target who does again what it does in its own clip, frame by frame."""
    own: Performance = performance_of(shot, "target")
    return Plan(
        action="reenact",
        shot=shot,
        like=shot.clip,
        timeline=own.timeline,
        guessed=own.guessed,
        ingredients=(own.ingredient,),
        stream=shot.clip,
        shown=np.arange(len(shot.clip)),
        params=own.params,
    )
