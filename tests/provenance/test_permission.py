"""Nobody real is trained on or shown without a consent that covers it; actors need none."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import av
import pytest

from likeness.decode import open_clip
from likeness.errors import ConsentError
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.portrait.tasks import FastConfig
from likeness.provenance import clock, read_manifest, trust_anchors
from likeness.provenance.consent import Consent, Scope, revoke
from likeness.provenance.permission import (
    NO_CONSENT,
    Permission,
    actor_in,
    permit_synthesis,
    permit_training,
)
from likeness.provenance.revoked import note_revoked
from likeness.store import load_bundle, read_bundle_index
from likeness.types import Clip, Shot
from likeness.verbs.reenact import reenact
from likeness.verbs.train import train_portrait
from tests.conftest import TODAY

DAY = timedelta(days=1)
FAST = FastConfig(batch=2, keyframes=8, apart=2, widths=(8, 8, 8, 8, 8))
SMALL = ReenactTraining(size=64, steps=2, method=FAST)


def agreed(person: str = "Anna", role: str = "target", **scope: object) -> Consent:
    methods = {"methods": ("reenact",), "start": TODAY - 30 * DAY}
    scopes = Scope(**{**methods, **scope})
    return Consent(person=person, role=role, statement="Yes.", scope=scopes)


@pytest.fixture(scope="module")
def camera(actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> Shot:
    """The actor's clip without its manifest: as any camera's, it shows nobody knows whom."""
    path = tmp_path_factory.mktemp("camera") / "anna.mp4"
    with av.open(str(actor_shot.clip.path)) as reading, av.open(str(path), "w") as writing:
        stream = reading.streams.video[0]
        copy = writing.add_stream_from_template(stream)
        for packet in reading.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                writing.mux(packet)
    return replace(actor_shot, clip=open_clip(path))


@pytest.fixture(scope="module")
def record() -> Consent:
    return agreed(until=TODAY + 30 * DAY)


@pytest.fixture(scope="module")
def bundle(camera: Shot, record: Consent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait of Anna, who agreed."""
    path = tmp_path_factory.mktemp("bundles") / "anna.bundle"
    train_portrait(camera, path, SMALL, (record,))
    return path


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    monkeypatch.setattr(clock, "today", lambda: TODAY + days * DAY)


def test_an_actor_is_known_by_its_signed_manifest_alone(
    actor_shot: Shot, camera: Shot, tmp_path: Path
) -> None:
    assert actor_in(actor_shot.clip) == 3
    assert actor_in(camera.clip) is None
    renamed = shutil.copy(actor_shot.clip.path, tmp_path / "anna.mp4")
    assert actor_in(open_clip(renamed)) == 3
    faked = shutil.copy(camera.clip.path, tmp_path / "actor3_5.mp4")
    shutil.copy(f"{actor_shot.clip.path}.manifest.json", f"{faked}.manifest.json")
    assert actor_in(open_clip(faked)) is None
    data = bytearray(actor_shot.clip.path.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.mp4").write_bytes(data)
    assert actor_in(replace(actor_shot.clip, path=tmp_path / "changed.mp4")) is None
    assert actor_in(replace(actor_shot.clip, path=tmp_path / "missing.mp4")) is None


def test_an_actor_of_another_machine_counts_as_a_person(
    actor_shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert actor_in(actor_shot.clip) is None


def test_training_needs_no_consent_of_an_actor(actor_shot: Shot) -> None:
    (entry,) = permit_training(actor_shot.clip, "reenact", ()).people
    assert (entry["actor"], entry["consent"]) == (3, NO_CONSENT)


def test_training_without_consent_is_refused(camera: Shot, tmp_path: Path) -> None:
    with pytest.raises(ConsentError, match=r"likeness consent new .*--consent FILE\.toml"):
        train_portrait(camera, tmp_path / "no.bundle", SMALL)
    with pytest.raises(ConsentError, match="nobody's consent covers"):
        train_portrait(camera, tmp_path / "no.bundle", SMALL, (agreed(role="driver"),))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("scope", "why"),
    [
        ({"until": TODAY - DAY}, "it ended on"),
        ({"start": TODAY + DAY}, "it holds from"),
        ({"methods": ("dub",)}, "it covers dub, not reenact"),
        ({"clips": ("ab" * 32,)}, "other clips"),
    ],
)
def test_training_beyond_the_consent_is_refused(
    camera: Shot, tmp_path: Path, scope: dict[str, object], why: str
) -> None:
    with pytest.raises(ConsentError, match=why):
        train_portrait(camera, tmp_path / "no.bundle", SMALL, (agreed(**scope),))
    assert list(tmp_path.iterdir()) == []


def test_one_record_that_covers_is_enough(camera: Shot) -> None:
    old, new = agreed(until=TODAY - DAY), agreed(clips=(camera.clip.digest,))
    (entry,) = permit_training(camera.clip, "reenact", (old, new)).people
    assert entry["consent"] == new.digest()


def test_the_consent_travels_in_the_bundle_and_its_hash_in_the_manifest(
    bundle: Path, record: Consent, camera: Shot, tmp_path: Path
) -> None:
    (person,) = read_bundle_index(bundle).people
    assert (person["name"], person["consent"]) == ("Anna", record.digest())
    assert Consent.model_validate(person["record"]) == record
    report = reenact(bundle, None, tmp_path / "o.mp4")
    assert report.manifest == "embedded"
    found = read_manifest(tmp_path / "o.mp4", trust_anchors())
    assert (found.trusted, found.consent) == (True, (record.digest(),))
    assert [i.role for i in found.ingredients] == ["bundle", "target"]
    text = (tmp_path / "o.mp4.manifest.json").read_text()
    assert "Anna" not in text
    assert b"Anna" not in (tmp_path / "o.mp4").read_bytes()


def test_an_actors_output_names_the_actor(actor_shot: Shot, tmp_path: Path, camera: Shot) -> None:
    people = permit_training(actor_shot.clip, "reenact", ()).people
    assert permit_synthesis(people, "reenact").shown == (
        {"role": "target", "actor": 3, "consent": NO_CONSENT},
    )


def test_synthesis_after_the_end_is_refused(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, 31)
    with pytest.raises(ConsentError, match=r"it ended on .*likeness consent new"):
        reenact(bundle, None, tmp_path / "no.mp4")
    assert list(tmp_path.iterdir()) == []
    newer = agreed(until=TODAY + 90 * DAY)
    reenact(bundle, None, tmp_path / "o.mp4", consents=(newer,))
    assert read_manifest(tmp_path / "o.mp4").consent == (newer.digest(),)


def test_synthesis_after_a_revocation_is_refused(
    bundle: Path, record: Consent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user"))
    with pytest.raises(ConsentError, match="it was revoked on"):
        reenact(bundle, None, tmp_path / "no.mp4", consents=(revoke(record, TODAY),))
    # The bundle's own copy knows nothing of it: the list of this user does.
    assert permit_synthesis(read_bundle_index(bundle).people, "reenact").people
    note_revoked(revoke(record, TODAY))
    with pytest.raises(ConsentError, match="it was revoked"):
        reenact(bundle, None, tmp_path / "no.mp4")
    assert not (tmp_path / "no.mp4").exists()


def test_another_persons_consent_does_not_do(bundle: Path) -> None:
    people = load_bundle(bundle).people
    with pytest.raises(ConsentError, match="shows Anna, .*is Ben's"):
        permit_synthesis(people, "reenact", (agreed("Ben"),))
    with pytest.raises(ConsentError, match="it covers reenact, not swap"):
        permit_synthesis(people, "swap")


def test_a_bundle_that_names_nobody_is_refused(bundle: Path, tmp_path: Path) -> None:
    odd = shutil.copytree(bundle, tmp_path / "odd.bundle")
    index = json.loads((odd / "bundle.json").read_text())
    index["people"] = []
    (odd / "bundle.json").write_text(json.dumps(index))
    with pytest.raises(ConsentError, match="names nobody who agreed"):
        reenact(odd, None, tmp_path / "no.mp4")
    index["people"] = [{"role": "target", "name": "Anna", "consent": "ab" * 32}]
    (odd / "bundle.json").write_text(json.dumps(index))
    with pytest.raises(ConsentError, match="names nobody who agreed"):
        reenact(odd, None, tmp_path / "no.mp4")
    reenact(odd, None, tmp_path / "o.mp4", consents=(agreed(),))
    assert read_manifest(tmp_path / "o.mp4").valid


def test_a_driver_is_asked_where_the_target_wants_it(camera: Shot, actor_shot: Shot) -> None:
    strict = permit_training(camera.clip, "reenact", (agreed(drivers="consenting"),)).people
    driver: Clip = camera.clip
    with pytest.raises(ConsentError, match="as driver of reenact"):
        permit_synthesis(strict, "reenact", (), driver)
    ben = agreed("Ben", "driver")
    both = permit_synthesis(strict, "reenact", (ben,), driver)
    assert [person["role"] for person in both.shown] == ["target", "driver"]
    assert both.shown[1]["consent"] == ben.digest()
    actors = permit_synthesis(strict, "reenact", (), actor_shot.clip)
    assert actors.shown[1]["consent"] == NO_CONSENT
    free = permit_training(camera.clip, "reenact", (agreed(),)).people
    assert len(permit_synthesis(free, "reenact", (), driver).people) == 1
    with pytest.raises(ConsentError, match="it ended on"):
        permit_synthesis(free, "reenact", (agreed("Ben", "driver", until=TODAY - DAY),), driver)


def test_nothing_is_rendered_without_a_permission() -> None:
    from likeness.pipeline import render

    with pytest.raises(TypeError, match="permission"):
        render(None, [])  # type: ignore[call-arg, arg-type]
    with pytest.raises(TypeError, match="people"):
        Permission()  # type: ignore[call-arg]
