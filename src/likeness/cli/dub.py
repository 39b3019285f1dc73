"""`likeness dub`: a portrait's mouth follows new speech."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from likeness.cli.options import (
    LongOptions,
    Output,
    analysis,
    consents,
    device,
    foreseen,
    prove_video,
    settings,
)
from likeness.cli.progress import show_progress

if TYPE_CHECKING:
    from likeness.provenance.consent import Consent
    from likeness.provenance.permission import Material

EXAMPLE = """Examples:

- likeness dub anna.bundle voice_actor.mp4 -o anna_in_french.mp4
- likeness dub anna.bundle speech.wav -o anna_says.mp4
- likeness dub anna.bundle interview.mp4 -o anna_says.mp4 --face 1
"""


def dub(
    bundle: Path,
    speech: Path,
    /,
    *,
    output: Output,
    by: Annotated[Literal["auto", "face", "sound"] | None, Parameter(name="--from")] = None,
    face: str | None = None,
    absolute: bool = False,
    minutes: float | None = None,
    consent: tuple[Path, ...] = (),
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Let only the mouth follow new speech, and lay its sound under the target's clip.

    The output runs on the target's timeline: longer speech is cut, after shorter speech the mouth
    rests. The exit code is 3 if a face was not seen in some frames; they are listed.

    Args:
        bundle: A portrait from likeness train reenact; its clip has to be where it was.
        speech: A clip in which somebody speaks, or a sound file.
        output: The video to write; its ending chooses the container.
        by: What moves the mouth: the face in the new clip, its sound alone, or the face where there
            is one. By sound, the target's own clip has to hold speech to learn from. [default:
            auto]
        face: Who speaks in the new clip: largest, a number from 0 on in the order of likeness
            track, or like=PHOTO. [default: largest]
        absolute: Copy the speaker's mouth instead of adding its change from rest.
        minutes: Time for learning the target's voice, once per clip. [default: 1]
        consent: Records besides the bundle's: a newer one of the target, the speaker's. Repeat it.
    """
    from likeness.encode import EncodeConfig
    from likeness.fit.transfer import TransferConfig
    from likeness.methods.portrait.speech import SpeechTraining
    from likeness.verbs.dub import DubConfig
    from likeness.verbs.dub import dub as run
    from likeness.verbs.given import speech_of

    taken = {"mode": "mouth", "absolute": absolute or None}
    learned = {"minutes": minutes, "seed": options.seed}
    config = DubConfig(
        by or "auto",
        face or "largest",
        settings(TransferConfig, "transfer", options, taken),
        settings(SpeechTraining, "speech", options, learned),
        analysis(options),
        settings(EncodeConfig, "encode", options),
    )
    records = consents(consent)
    prove_video(output, (bundle, speech, *consent), options)
    if options.dry_run:
        said = speech_of(speech)
        plan = {"bundle": bundle, "speech": speech, "output": output, "by": config.by}
        return {"plan": {**plan, "consent": _consent(bundle, said, records)}, "settings": config}
    with show_progress(options.progress) as progress:
        report = run(
            bundle, speech, output, config, progress, consents=records, device=device(options)
        )
    return {**report.json(), "fps": report.frames / report.seconds}


def _consent(bundle: Path, speech: Material, records: tuple[Consent, ...]) -> Any:
    """Foresee on whose consent the dub would be made."""
    from likeness.provenance.permission import permit_synthesis
    from likeness.store import read_bundle_index

    people = read_bundle_index(bundle).people
    return foreseen(lambda: permit_synthesis(people, "dub", records, speech))
