"""`likeness animate`: one photo brought to life, without training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from likeness.cli.options import (
    LongOptions,
    Output,
    Sharing,
    analysis,
    consents,
    foreseen,
    prove_video,
    settings,
    shared_out,
)
from likeness.cli.progress import show_progress

EXAMPLE = """Examples:

- likeness animate anna.jpg ben.mp4 -o anna_as_ben.mp4 --consent anna.toml
- likeness animate family.jpg ben.mp4 -o anna_as_ben.mp4 --face 1 --consent anna.toml
- likeness animate anna.mp4 ben.mp4 --frame 120 -o anna_as_ben.mp4 --consent anna.toml
"""


def animate(
    photo: Path,
    driver: Path,
    /,
    *,
    output: Output,
    frame: int = 0,
    face: str | None = None,
    driver_face: str = "largest",
    pose: float | None = None,
    max_side: int | None = None,
    audio: Literal["driver", "none"] = "driver",
    consent: tuple[Path, ...] = (),
    sharing: Sharing = Sharing(),  # noqa: B008  # frozen
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Let the person in one photo do what a driver does, at once.

    The output has the photo's size, the driver's timeline and the driver's sound. The exit code is
    3 if the driver's face was not seen in some frames; they are listed.

    Args:
        photo: A picture; or a clip, of which one frame is taken.
        driver: A clip or a .shot that gives the motion.
        output: The video to write; its ending chooses the container.
        frame: Which frame of PHOTO, where it is a clip, from 0 on.
        face: Whose face in the photo, where there are several: largest, a number from 0 on (largest
            first), or like=ANOTHER_PHOTO.
        driver_face: Whose motion in the driver: largest, a number from 0 on, or like=PHOTO.
        pose: Share of the driver's head motion that is taken over. [default: 1]
        max_side: Longest side in pixels; larger photos are scaled down. [default: 1024]
        audio: Whose sound lies under the output.
        consent: Records of the person in the photo (role target) and of the driver. Repeat it.
    """
    from likeness.decode import open_clip
    from likeness.encode import EncodeConfig
    from likeness.methods.photo.animation import AnimateConfig
    from likeness.verbs.animate import AnimationConfig, permit_animation
    from likeness.verbs.animate import animate as run
    from likeness.verbs.given import driver_of

    prove_video(output, (photo, driver, *consent), options)
    config = AnimationConfig(
        frame,
        face,
        driver_face,
        audio,
        settings(AnimateConfig, "animate", options, _shown(max_side, pose)),
        analysis(options),
        settings(EncodeConfig, "encode", options),
    )
    records = consents(consent)
    if options.dry_run:
        moved_by = driver_of(driver)
        consent_for = foreseen(lambda: permit_animation(open_clip(photo), moved_by, records))
        plan = {"photo": photo, "driver": driver, "output": output, "consent": consent_for}
        return {"plan": plan, "settings": config}
    with shared_out(sharing) as engine, show_progress(options.progress) as progress:
        report = run(photo, driver, output, config, progress, consents=records, engine=engine)
    return {**report.json(), "fps": report.frames / report.seconds}


def _shown(max_side: int | None, pose: float | None) -> Mapping[str, Any]:
    """Flags of [animate], and of the table motion in it."""
    return {"max_side": max_side, "motion": None if pose is None else {"pose": pose}}
