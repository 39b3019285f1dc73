"""Digests are enforced, motion is a person's in any format, and no line of text frees from consent.

Each test takes the place of somebody who edits what is not theirs: a file laid in another's place,
a line in bundle.json, an unsigned record under a known name.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from likeness.cli.app import run
from likeness.controls import clip_in, made_from
from likeness.decode import Decoder, find_stored, open_clip, open_stored
from likeness.decode.sound import read_sound
from likeness.errors import BundleError, ConsentError, MediaError
from likeness.export import export
from likeness.fit.edit import motions_of, read_curves
from likeness.importers.arkit import capture_of, read_arkit, write_arkit
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.portrait.tasks import FastConfig
from likeness.plan.performance import performance_of
from likeness.provenance import read_manifest
from likeness.provenance.consent import Consent, Scope, parse_consent, revoke, sign_consent
from likeness.provenance.digests import digest_of
from likeness.provenance.motion import driven_by, open_motion
from likeness.provenance.permission import actor_in, permit, permit_synthesis, permit_training
from likeness.provenance.revoked import note_revoked
from likeness.store import load_bundle, load_shot, read_bundle_index, save_shot
from likeness.store.tables import read_table, write_table
from likeness.types import Bundle, Clip, Shot, Window
from likeness.verbs.reenact import ReenactConfig, reenact
from likeness.verbs.train import train_portrait
from tests.conftest import TODAY, moving_frames, write_clip
from tests.stage import film

DAY = timedelta(days=1)
FAST = FastConfig(batch=2, keyframes=8, apart=2, widths=(8, 8, 8, 8, 8))
SMALL = ReenactTraining(size=64, steps=2, method=FAST)


def agreed(person: str = "Anna", role: str = "target", **scope: object) -> Consent:
    methods = {"methods": ("all",), "start": TODAY - 30 * DAY}
    return Consent(person=person, role=role, statement="Yes.", scope=Scope(**{**methods, **scope}))


def key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def carried(record: Consent, **more: Any) -> dict[str, Any]:
    """A person as a bundle's text has them."""
    entry = {"role": "target", "name": record.person, "consent": record.digest()}
    return {**entry, "record": record.json_values(), **more}


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    """A film of the actor, in a folder of its own."""
    return film(tmp_path_factory.mktemp("film"))


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """48 frames of 128x128 as a camera leaves them: with the actor's time stamps, and no mark."""
    path = tmp_path_factory.mktemp("camera") / "anna.mp4"
    return open_clip(write_clip(path, moving_frames(48, (128, 128)), tones=(440.0,)))


@pytest.fixture(scope="module")
def portrait(shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait of the actor, trained here."""
    path = tmp_path_factory.mktemp("portrait") / "actor.bundle"
    train_portrait(shot, path, SMALL)
    return path


def test_an_exchanged_file_is_refused_wherever_it_is_asked_about(
    camera: Clip, tmp_path: Path
) -> None:
    path = Path(shutil.copy(camera.path, tmp_path / "a.mp4"))
    clip = open_clip(path)
    assert open_stored(clip) is clip
    other = write_clip(tmp_path / "b.mp4", 255 - moving_frames(48, (128, 128)), tones=(440.0,))
    other.replace(path)
    assert np.array_equal(open_clip(path).pts, clip.pts)
    for ask in (open_stored, find_stored, Decoder, read_sound):
        with pytest.raises(MediaError, match=r"another file than the one that was recorded"):
            ask(clip)
    assert actor_in(clip) is None
    path.unlink()
    assert find_stored(clip) is None
    with pytest.raises(MediaError, match="is gone; put it back"):
        open_stored(clip)
    os.mkfifo(path)
    with pytest.raises(MediaError, match="a regular file|no regular file"):
        open_stored(clip)


def test_a_digest_is_computed_once_for_an_unchanged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    first = digest_of(path)
    opened: list[str] = []
    real = open
    monkeypatch.setattr(
        "builtins.open", lambda name, *rest, **more: opened.append(str(name)) or real(name, *rest)
    )
    assert digest_of(path) == first
    assert str(path) not in opened
    stamp = path.stat()
    path.write_bytes(b"abd")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert digest_of(path) != first


def test_pixels_of_a_clip_in_the_actors_place_never_come_out(
    portrait: Path, shot: Shot, camera: Clip, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(portrait, tmp_path / "far" / "away" / "actor.bundle"))
    clip = Path(shutil.copy(camera.path, moved.parent / shot.clip.path.name))
    assert load_bundle(moved).shot.clip.path == clip  # type: ignore[union-attr]
    with pytest.raises(MediaError, match="another file"):
        reenact(moved, None, tmp_path / "no.mp4")
    assert not (tmp_path / "no.mp4").exists()


def test_a_shot_names_its_clip_by_a_way_that_tells_no_folders(
    portrait: Path, shot: Shot, tmp_path: Path
) -> None:
    text = "".join(file.read_text() for file in portrait.rglob("*.json"))
    assert str(shot.clip.path.parent) not in text
    assert json.loads((portrait / "shot" / "shot.json").read_text())["clip"]["absolute"] is None
    save_shot(shot, tmp_path / "a.shot")
    assert load_shot(tmp_path / "a.shot").clip.path == shot.clip.path
    index = json.loads((tmp_path / "a.shot" / "shot.json").read_text())
    index["clip"] |= {"relative": "/etc/hostname", "absolute": "/etc/passwd"}
    (tmp_path / "a.shot" / "shot.json").write_text(json.dumps(index))
    assert load_shot(tmp_path / "a.shot").clip.path == tmp_path / "hostname"


def test_beside_the_bundle_the_recorded_clip_is_found_among_namesakes(
    portrait: Path, shot: Shot, camera: Clip, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(portrait, tmp_path / "one" / "actor.bundle"))
    name = shot.clip.path.name
    shutil.copy(camera.path, moved / name)
    true = Path(shutil.copy(shot.clip.path, tmp_path / "one" / name))
    found = load_bundle(moved).shot
    assert found is not None
    assert found.clip.path == true


def test_a_line_of_text_makes_nobody_an_actor(camera: Clip, portrait: Path) -> None:
    record = agreed()
    forged = {"role": "target", "name": "procedural actor 3", "actor": 3, "consent": "none needed"}
    with pytest.raises(ConsentError, match="no seal made on this machine"):
        permit_synthesis([forged], "reenact")
    with pytest.raises(ConsentError, match="no seal made on this machine"):
        permit_synthesis([{**carried(record), "actor": 3}], "reenact")
    (true,) = read_bundle_index(portrait).people
    assert permit_synthesis([true], "reenact").shown[0]["actor"] == 3
    for change in ({"actor": 4}, {"role": "source"}, {"content": "ab" * 32}, {"actor": True}):
        with pytest.raises(ConsentError, match="no seal made on this machine"):
            permit_synthesis([{**true, **change}], "reenact")
    # The agreement of whoever it is does as well.
    assert permit_synthesis([forged], "reenact", (record,)).shown[0]["consent"] == record.digest()


def test_a_seal_counts_for_its_own_bundle_on_its_own_machine(
    portrait: Path, camera: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Path(shutil.copytree(portrait, tmp_path / "odd.bundle"))
    index = json.loads((odd / "bundle.json").read_text())
    index["training"]["steps"] = 9
    (odd / "bundle.json").write_text(json.dumps(index))
    assert permit_synthesis(load_bundle(odd).people, "reenact").people
    place = json.loads((odd / "shot" / "shot.json").read_text())
    place["clip"]["digest"] = camera.digest
    (odd / "shot" / "shot.json").write_text(json.dumps(place))
    with pytest.raises(ConsentError, match="no seal"):
        permit_synthesis(load_bundle(odd).people, "reenact")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(ConsentError, match="no seal"):
        reenact(portrait, None, tmp_path / "no.mp4")


def test_what_a_bundle_carries_must_be_of_who_is_shown() -> None:
    record = agreed("Anna", "driver")
    with pytest.raises(ConsentError, match="carries the record of Anna as driver"):
        permit_synthesis([carried(record)], "reenact")
    with pytest.raises(ConsentError, match="names 'Ben' as target"):
        permit_synthesis([carried(agreed(), name="Ben")], "reenact")
    with pytest.raises(ConsentError, match="names nobody who agreed to be its target"):
        permit_synthesis([carried(record, role="driver")], "reenact")
    with pytest.raises(ConsentError, match="as 'extra'"):
        permit_synthesis([carried(agreed(), role="extra")], "reenact")
    only = agreed(clips=("ab" * 32,))
    assert permit_synthesis([carried(only, clip="ab" * 32)], "reenact").people
    with pytest.raises(ConsentError, match="covers other clips"):
        permit_synthesis([carried(only)], "reenact")


def test_a_signed_record_is_replaced_by_the_same_key_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    mine, other = key(), key()
    strict = sign_consent(agreed(drivers="consenting"), mine)
    people = [carried(strict)]
    for weak in (agreed(), sign_consent(agreed(), other)):
        with pytest.raises(ConsentError, match="replaced only by one with the same key"):
            permit_synthesis(people, "reenact", (weak,))
    changed = sign_consent(agreed(), mine).model_copy(update={"statement": "More."})
    with pytest.raises(ConsentError, match="changed after it was signed"):
        permit_synthesis(people, "reenact", (changed,))
    newer = sign_consent(agreed(), mine)
    assert permit_synthesis(people, "reenact", (newer,)).shown[0]["consent"] == newer.digest()
    # The same record once more, as its file lies beside the bundle, changes nothing.
    bare = strict.model_copy(update={"signature": None})
    again = permit_synthesis(people, "reenact", (bare,)).people[0]
    assert again["record"]["signature"] is not None
    note_revoked(revoke(strict, TODAY))
    with pytest.raises(ConsentError, match="it was revoked"):
        permit_synthesis(people, "reenact")
    assert permit_synthesis(people, "reenact", (newer,)).people
    with pytest.raises(ConsentError, match="same key"):
        permit_synthesis(people, "reenact", (agreed(),))


def test_what_was_revoked_is_not_lifted_by_an_unsigned_record(
    camera: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    record = agreed()
    people = [carried(record)]
    assert permit_synthesis(people, "reenact", (agreed(),)).people
    with pytest.raises(ConsentError, match="it was revoked on"):
        permit_synthesis(people, "reenact", (revoke(record, TODAY),))
    note_revoked(revoke(record, TODAY))
    with pytest.raises(ConsentError, match="was revoked, and nobody signed it"):
        permit_synthesis(people, "reenact", (agreed(),))
    with pytest.raises(ConsentError, match="one of them was revoked"):
        permit_training(camera, "reenact", (agreed(), record))
    signed = sign_consent(agreed(until=TODAY - DAY), key())
    with pytest.raises(ConsentError, match="it ended on"):
        permit_training(camera, "reenact", (signed, agreed()))


def test_motion_is_a_persons_in_any_format(shot: Shot, camera: Clip, tmp_path: Path) -> None:
    people = [carried(agreed(drivers="consenting"))]
    write_table(shot, tmp_path / "ben.csv")
    write_arkit(capture_of(performance_of(shot, "target")), tmp_path / "phone.csv")
    save_shot(shot, tmp_path / "ben.shot")
    ben = agreed("Ben", "driver")
    for name in ("ben.csv", "phone.csv", "ben.shot"):
        motion = open_motion(tmp_path / name)
        assert motion.clip == shot.clip.digest
        with pytest.raises(ConsentError, match="holds somebody's motion, whatever its format"):
            permit_synthesis(people, "reenact", (), (motion,))
        given = permit_synthesis(people, "reenact", (ben,), (motion,))
        assert [person["role"] for person in given.shown] == ["target", "driver"]
        assert len(permit_synthesis([carried(agreed())], "reenact", (), (motion,)).people) == 1
        limited = agreed("Ben", "driver", clips=(shot.clip.digest,))
        assert permit_synthesis(people, "reenact", (limited,), (motion,)).of("driver")
    assert driven_by(shot.clip.path, shot.clip) is shot.clip
    assert driven_by(tmp_path / "ben.shot", shot.clip) == open_motion(tmp_path / "ben.shot")
    elsewhere = agreed("Ben", "driver", clips=("ab" * 32,))
    with pytest.raises(ConsentError, match="covers other clips"):
        permit_synthesis(people, "reenact", (elsewhere,), (open_motion(tmp_path / "ben.csv"),))
    # All that moves the portrait is asked about, not only the first.
    with pytest.raises(ConsentError, match=r"anna\.mp4 as driver"):
        permit_synthesis(people, "reenact", (), (shot.clip, camera))


def test_tables_say_which_clip_they_were_made_from(shot: Shot, tmp_path: Path) -> None:
    write_table(shot, tmp_path / "a.csv")
    header = (tmp_path / "a.csv").read_text().splitlines()[0].split(",")
    assert header[-1] == made_from(shot.clip.digest)
    assert clip_in(header) == shot.clip.digest
    assert not [name for name in read_table(tmp_path / "a.csv") if name.startswith("made_from")]
    (motion,) = motions_of(read_curves(tmp_path / "a.csv"))
    assert (motion.digest, motion.clip) == (digest_of(tmp_path / "a.csv"), shot.clip.digest)
    write_arkit(capture_of(performance_of(shot, "target")), tmp_path / "p.csv")
    capture = read_arkit(tmp_path / "p.csv")
    assert capture.clip == shot.clip.digest
    write_arkit(capture, tmp_path / "q.csv")
    assert (tmp_path / "q.csv").read_bytes() == (tmp_path / "p.csv").read_bytes()


def test_a_table_of_edits_is_named_in_the_manifest_and_asked_about(
    portrait: Path, shot: Shot, tmp_path: Path
) -> None:
    write_table(shot, tmp_path / "motion.csv")
    edits = read_curves(tmp_path / "motion.csv")
    reenact(portrait, None, tmp_path / "o.mp4", edits=edits)
    found = read_manifest(tmp_path / "o.mp4").ingredients
    assert [(i.role, i.name) for i in found][-1] == ("driver", "motion.csv")
    assert found[-1].sha256 == digest_of(tmp_path / "motion.csv")
    late = agreed("Ben", "driver", until=TODAY - DAY)
    with pytest.raises(ConsentError, match="it ended on"):
        reenact(portrait, None, tmp_path / "no.mp4", edits=edits, consents=(late,))


def test_an_output_moved_by_a_person_is_no_actors_motion(
    portrait: Path, shot: Shot, tmp_path: Path
) -> None:
    write_arkit(capture_of(performance_of(shot, "target")), tmp_path / "p.csv")
    reenact(portrait, tmp_path / "p.csv", tmp_path / "o.mp4", ReenactConfig())
    made = open_clip(tmp_path / "o.mp4")
    assert (actor_in(made), actor_in(made, "driver")) == (3, None)
    assert actor_in(shot.clip, "driver") == 3


def test_a_swap_asks_target_and_source(camera: Clip, shot: Shot) -> None:
    target, source = agreed(), agreed("Ben", "source")
    with pytest.raises(ConsentError, match="as source of swap"):
        permit("swap", (target,), targets=(camera,), sources=(camera,))
    both = permit("swap", (target, source), targets=(camera,), sources=(camera,))
    assert [p["consent"] for p in both.shown] == [target.digest(), source.digest()]
    assert both.of("source")[0]["name"] == "Ben"
    assert permit("swap", (target,), targets=(camera,), sources=(shot.clip,)).of("source")
    picky = agreed("Ben", "source", drivers="consenting")
    with pytest.raises(ConsentError, match="as driver of swap"):
        permit("swap", (target, picky), targets=(camera,), sources=(camera,), drivers=(camera,))


def test_a_revoked_portrait_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx", reason="export needs likeness[export]")
    pytest.importorskip("onnxscript", reason="export needs likeness[export]")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    from tests.test_export import bundle_of

    record = agreed()
    whole = bundle_of("portrait", size=32, widths=[4, 8, 12])
    shows = replace(whole, method="reenact.fast", people=(carried(record),))
    note_revoked(revoke(record, TODAY))
    for bundle, why in (
        (shows, "it was revoked"),
        (replace(shows, people=()), "names nobody who agreed"),
        (replace(shows, people=(carried(agreed(until=TODAY - DAY)),)), "it ended on"),
    ):
        with pytest.raises(ConsentError, match=why):
            export(bundle, tmp_path / "x.onnx")
    assert not list(tmp_path.glob("*.onnx"))
    assert isinstance(whole, Bundle)


def test_a_record_that_ends_before_it_begins_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--person", "A", "--statement", "Yes.", "--scope", "reenact", "--yes"]
    days = ["--start", "2027-05-02", "--until", "2027-05-01"]
    path = tmp_path / "a.toml"
    assert run(["consent", "new", "-o", str(path), *given, *days]) == 2
    assert "it ends on 2027-05-01, before it begins on 2027-05-02" in capsys.readouterr().err
    assert not path.exists()
    days[-1] = "2027-05-02"
    assert run(["consent", "new", "-o", str(path), *given, *days]) == 0
    marked = tmp_path / "marked.toml"
    marked.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert run(["consent", "check", str(marked), "--on", "2027-05-02"]) == 0
    content = agreed().json_values()
    content["scope"] |= {"from": "2027-05-02", "until": "2027-05-01"}
    with pytest.raises(ConsentError, match=r"anna\.toml is no consent record: scope: it ends on"):
        parse_consent(content, "anna.toml")


def test_frames_beyond_the_digest_are_never_decoded(camera: Clip) -> None:
    with Decoder(camera) as decoder:
        assert decoder.read(Window(0, 2)).shape == (2, 3, 128, 128)
    with pytest.raises(MediaError, match="expected abababababab"):
        Decoder(replace(camera, digest="ab" * 32))
    with pytest.raises(BundleError):
        load_shot(camera.path.parent)
