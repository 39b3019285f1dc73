"""What an animated photo shows: the driver's timeline, the photo's size and color."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from likeness.decode import find_stored
from likeness.errors import MediaError
from likeness.methods.photo.animation import AnimateConfig, Photo, fitted_picture
from likeness.methods.photo.motion import move
from likeness.plan.performance import absences, performance_of, silenced
from likeness.plan.plan import Plan
from likeness.provenance.manifest import Ingredient
from likeness.types import Clip, ColorTags, Shot, Timeline

_SRGB_AS_VIDEO = ColorTags(primaries=1, transfer=1, matrix=1, full_range=False)
"""How a photo becomes video: BT.709, which has sRGB's primaries and nearly its transfer."""


def plan_animation(
    photo: Photo, clip: Clip, driver: Shot, config: AnimateConfig, sound: bool
) -> Plan:
    """Plan a photo that does what a driver does.

    Args:
        photo: with the face that was found in it.
        clip: the file that it was read from.
        driver: who gives the motion; where the clip is gone, the photo does without its pixels.
        config: settings.
        sound: whether the driver's sound lies under the output.

    Raises:
        MediaError: nothing is left of the photo.
        ContractError: photo and driver were fitted with different face models.
    """
    performance = performance_of(driver, "driver")
    there = find_stored(driver.clip) is not None
    heard = sound and there and performance.timeline.sound is not None
    timeline = performance.timeline if heard else silenced(performance.timeline)
    picture, _ = fitted_picture(photo.picture, config.max_side)
    return Plan(
        action="animate",
        shot=Shot(clip, photo.track, photo.params),
        like=stand_in(clip, (picture.shape[1], picture.shape[2]), timeline),
        timeline=timeline,
        guessed=performance.guessed,
        ingredients=(
            Ingredient("target", clip.path.name, clip.digest),
            performance.ingredient,
        ),
        stream=driver.clip if there else None,
        shown=np.arange(len(timeline)) if there else None,
        canvas=picture,
        driver=driver,
        warnings=(*absences(performance), *_limits_reached(photo, driver, config)),
    )


def stand_in(photo: Clip, size: tuple[int, int], timeline: Timeline) -> Clip:
    """Return what the output shall look like as a clip: the photo's, at the output's size."""
    if min(size) < 2:
        raise MediaError(f"{photo.path.name} is {photo.size[1]}x{photo.size[0]} pixels; too small")
    moving = len(photo) > 1
    return Clip(
        path=photo.path,
        digest=photo.digest,
        size=size,
        pts=timeline.pts,
        time_base=timeline.time_base,
        last_duration=timeline.last_duration,
        color=photo.color if moving else _SRGB_AS_VIDEO,
        pixel_aspect=photo.pixel_aspect if moving else Fraction(1),
    )


def _limits_reached(photo: Photo, driver: Shot, config: AnimateConfig) -> tuple[str, ...]:
    """Say in words what the photo can't follow."""
    share = float(move(driver, photo.params, config.motion).held.mean())
    if share == 0:
        return ()
    return (
        f"the driver's head turns more than {config.motion.turn_limit:g} degrees from rest in "
        f"{share:.0%} of frames; a photo does not show the far side of a head, so it was turned "
        "less",
    )
