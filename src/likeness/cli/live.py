"""`likeness live`: as it happens, from a camera to a window, a file or a virtual camera."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likeness.cli.options import (
    LongOptions,
    consents,
    device,
    foreseen,
    prove_video,
    settings,
)

if TYPE_CHECKING:
    from likeness.encode.live import LiveSink
    from likeness.live import LiveReport

EXAMPLE = """Examples:

- likeness live anna.bundle
- likeness live anna.jpg --camera 0 --to v4l2:2 --consent anna.toml
- likeness live anna.bundle --camera ben.mp4 --to anna_live.mp4 --json
- likeness live anna.jpg --swap --consent anna.toml --consent me.toml
"""
_DEVICE = re.compile(r"v4l2:(\d+)")


def live(
    shown: Path,
    /,
    *,
    camera: str = "0",
    to: str = "window",
    swap: bool = False,
    calibrate: float | None = None,
    face: str | None = None,
    consent: tuple[Path, ...] = (),
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Let whoever is before the camera move a portrait or a photo, as it happens.

    In the first seconds look straight ahead, blink and open your mouth: who you are and how you
    look at rest is taken from them. Rate and delay are told all the time on standard error. Every
    frame is marked; a window and a virtual camera also say so in the picture. Ctrl-C, or closing
    the window, ends it.

    Args:
        shown: A portrait from likeness train reenact, or a photo; for a swap also a folder of
            photos or a bundle from likeness train swap.
        camera: A camera's number; a file, which plays as if it were one; or - for a video on
            standard input.
        to: window; v4l2:N for a virtual camera; or a video file.
        swap: Lay the face over yours, in place of moving its picture: shown lends its face, and
            whoever is before the camera is changed and asked for consent as the target.
        calibrate: Seconds from which the person before the camera is known. [default: 2]
        face: Whose face in a photo, where there are several: largest, a number from 0 on, or
            like=ANOTHER_PHOTO.
        consent: Records of the person shown, besides the bundle's, and of the driver. Repeat it.
    """
    from likeness.composite.finish_settings import FinishConfig
    from likeness.live import LiveConfig
    from likeness.methods.photo.animation import AnimateConfig
    from likeness.outputs import asked_to_end
    from likeness.verbs.live import live as run
    from likeness.verbs.live_shown import LiveSettings, permitted

    config = LiveSettings(
        swap,
        face,
        settings(FinishConfig, "finish", options),
        settings(LiveConfig, "live", options, {"calibrate": calibrate}),
        settings(AnimateConfig, "animate", options),
    )
    read = [shown, *consent, *([] if camera == "-" or camera.isdecimal() else [Path(camera)])]
    sink, records = _sink(to, read, options), consents(consent)
    if options.dry_run:
        plan = {"shown": shown, "camera": camera, "to": to, "swap": swap}
        asked = foreseen(lambda: permitted(shown, records, swap))
        return {"plan": {**plan, "consent": asked}, "settings": config}
    tell = _Teller(options.progress)
    where = device(options)
    with asked_to_end() as stop:
        report = run(shown, camera, sink, config, tell, consents=records, device=where, stop=stop)
    tell.end()
    return {"output": to, **_facts(report)}


def _sink(to: str, read: list[Path], options: LongOptions) -> LiveSink:
    from likeness.encode import EncodeConfig, inputs_of
    from likeness.encode.live import LiveFile, MarkedDevice, MarkedWindow

    if to == "window":
        return MarkedWindow()
    if found := _DEVICE.fullmatch(to):
        return MarkedDevice(int(found[1]))
    prove_video(Path(to), read, options)
    encoding = settings(EncodeConfig, "encode", options)
    return LiveFile(Path(to), encoding, inputs_of((*read, options.config)))


def _facts(report: LiveReport) -> dict[str, Any]:
    from likeness.config import to_json

    return dict(to_json(report))


class _Teller:
    """Tells how it goes: in one line of a terminal, in lines elsewhere, as JSON for programs."""

    def __init__(self, how: str) -> None:
        self._how = how
        self._open = False

    def __call__(self, report: LiveReport) -> None:
        facts = _facts(report)
        if self._how == "none":
            return
        if self._how == "json":
            line = json.dumps({"stage": "live", **facts})
        else:
            delay = facts["delay_ms"]
            line = (
                f"{facts['fps']:5.1f} frames a second, delay {delay['p50']:4.0f} ms (nine of ten "
                f"below {delay['p90']:.0f}), {facts['dropped']} of "
                f"{facts['dropped'] + facts['frames']} dropped"
            )
        self._open = sys.stderr.isatty() and self._how != "json"
        print(line, end="\r" if self._open else "\n", file=sys.stderr, flush=True)

    def end(self) -> None:
        """End a line that is open."""
        if self._open:
            print(file=sys.stderr)
