"""One actor filmed before and after a cut away is one person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.actor import Actor, Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.decode import open_clip, stream
from likeness.encode import encode
from likeness.errors import MediaError, TrackError
from likeness.methods.swap.view import SwapTarget
from likeness.people import chooser, find_people, find_person
from likeness.plan.edit import plan_edit
from likeness.plan.performance import absent, performance_of
from likeness.provenance.manifest import RENDERED, Manifest
from likeness.provenance.permission import actor_entry
from likeness.store import load_shot, save_shot
from likeness.types import Clip, Timeline


@pytest.fixture(scope="module")
def cut_away(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """36 frames: an actor, a gray card from 12 to 23, the actor again."""
    return with_card(tmp_path_factory.mktemp("people"), 12)


def with_card(folder: Path, length: int) -> Clip:
    """36 frames of an actor, with a gray card in place of some from 12 on."""
    whole = write_actor_clip(
        Actor.from_seed(3), Motion.from_seed(5, 36 / 25), folder / "a.mp4", RenderConfig((192, 192))
    )
    people = (actor_entry(3, "target"),)
    manifest = Manifest("cut.mp4", "render", people=people, digital_source_type=RENDERED)
    with encode(folder / "cut.mp4", whole, manifest, Timeline.of(whole)) as video:
        for window, frames in stream(whole, 1):
            video.append(frames * 0 + 0.5 if 0 <= window.start - 12 < length else frames)
    return open_clip(folder / "cut.mp4")


def test_scenes_of_one_person_are_joined(cut_away: Clip) -> None:
    (person,) = find_people(cut_away)
    assert len(person.track) == 36
    assert person.track.observed.tolist() == [*[True] * 12, *[False] * 12, *[True] * 12]
    (again,) = find_people(cut_away)
    np.testing.assert_array_equal(again.params.rotation, person.params.rotation)


def test_nobody_is_drawn_on_a_card_however_short(tmp_path: Path) -> None:
    (person,) = find_people(with_card(tmp_path, 5))
    away = [12 <= n < 17 for n in range(36)]
    assert (~person.track.observed).tolist() == away
    seconds = np.arange(36) / 25
    # A fifth of a second: as long as a tracker may blink, were it not for the cut.
    assert absent(performance_of(person, "target")).tolist() == away
    assert (~SwapTarget.of(person, seconds.astype(np.float32)).present).tolist() == away
    plan = plan_edit(person, {"age": np.ones(36, np.float32)}, {})
    assert plan.absent is not None
    assert plan.absent.tolist() == away
    save_shot(person, tmp_path / "kept.shot")
    kept = load_shot(tmp_path / "kept.shot")
    assert absent(performance_of(kept, "target")).tolist() == away


@pytest.mark.parametrize("kind", ["garbage", "nobody"])
def test_a_photo_is_looked_at_before_the_clip(
    cut_away: Clip, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = tmp_path / "who.png"
    if kind == "garbage":
        photo.write_bytes(b"no picture" * 99)
    else:
        from PIL import Image

        Image.new("RGB", (96, 96), (90, 120, 80)).save(photo)
    monkeypatch.delattr("likeness.people.find_people")
    with pytest.raises(MediaError if kind == "garbage" else TrackError, match=r"who\.png"):
        find_person(cut_away, f"like={photo}")


def test_a_photo_names_a_person(cut_away: Clip, shared_data: Path) -> None:
    duo = shared_data / "odd" / "duo.mp4"
    if not duo.is_file():
        pytest.skip("no clip of two people at ../shared/data/odd")
    people = find_people(duo)
    assert len(people) == 2
    # Each person's own picture, cut out of the clip, finds that person again.
    from PIL import Image

    from likeness.decode import Decoder
    from likeness.types import Window

    with Decoder(people[0].clip) as decoder:
        frame = (decoder.read(Window(12, 13))[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    for person in people:
        x0, y0, x1, y1 = person.track.boxes[12].astype(int)
        pad = (x1 - x0) // 2
        photo = cut_away.path.with_name("photo.png")
        Image.fromarray(frame[max(0, y0 - pad) : y1 + pad, max(0, x0 - pad) : x1 + pad]).save(photo)
        assert chooser(f"like={photo}")(people) is person
    with pytest.raises(TrackError, match="nobody is the person"):
        chooser(f"like={photo}")(find_people(cut_away))
