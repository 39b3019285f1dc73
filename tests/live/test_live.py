"""Live: nothing looks ahead, what is late is dropped and counted, every frame is marked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from likeness.causal import OneEuro
from likeness.cli.app import run as run_command
from likeness.condition.body import choose_body_keyframes, switch_prices
from likeness.controls import controls_of
from likeness.decode import open_clip
from likeness.decode.camera import FileCamera, Taken, open_camera
from likeness.encode import EncodeConfig, encode
from likeness.encode.live import LiveFile, MarkedDevice, MarkedWindow
from likeness.errors import ContractError, MediaError, TrackError
from likeness.fit import FitConfig
from likeness.fit.causal import CausalFit
from likeness.fit.following import Following
from likeness.live import LiveConfig, Looker, run_live
from likeness.methods.portrait.live import BodyChoice
from likeness.plan.live import LivePlan, Moment
from likeness.provenance.manifest import Manifest
from likeness.provenance.reading import read_manifest
from likeness.provenance.watermark import Detector
from likeness.store import load_face_model
from likeness.types import Clip, Crop, Layer, Shot


class Ticking:
    """A clock that passes only when it is told to."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture
def film(tmp_path: Path, make_clip: Any, frames: Any) -> Path:
    """50 frames at 25 a second."""
    return Path(make_clip(tmp_path / "film.mp4", frames(50, (96, 128))))


def test_the_filter_holds_what_is_still_and_follows_what_moves() -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, 200)
    still = OneEuro(np.array([0.3]))
    answers = np.array([still(np.array([n]), i / 25)[0] for i, n in enumerate(noise)])
    assert answers[50:].std() < 0.6 * noise[50:].std()
    blink = OneEuro(np.array([0.03]))
    signal = [0.0] * 20 + [1.0] * 4
    answers = np.array([blink(np.array([s]), i / 25)[0] for i, s in enumerate(signal)])
    assert answers[20] > 0.9
    assert answers[21] > 0.97
    assert not answers[:20].any()


def test_a_body_is_kept_until_changing_pays() -> None:
    rng = np.random.default_rng(1)
    course = np.cumsum(rng.normal(0, 0.5, (300, 1)), 0)
    unlike = np.square(course - np.linspace(-6, 6, 7)).astype(np.float32)
    apart = np.ones((7, 7), np.float32)
    choice = BodyChoice(switch_prices(apart))
    forward = np.array([choice(row) for row in unlike])
    offline = choose_body_keyframes(unlike, apart)

    def cost(chosen: np.ndarray) -> float:
        switches = switch_prices(apart)[chosen[:-1], chosen[1:]].sum()
        return float(unlike[np.arange(len(chosen)), chosen].sum() + switches)

    assert cost(offline) <= cost(forward) < 2 * cost(offline)
    assert (np.diff(forward) != 0).sum() < (np.diff(unlike.argmin(1)) != 0).sum()


def test_the_fit_of_a_known_person_finds_the_truth_without_looking_ahead(actor_shot: Shot) -> None:
    truth, model = actor_shot.params, load_face_model("likeness")

    def followed(count: int) -> np.ndarray:
        fit = CausalFit(truth, model, actor_shot.clip.size, FitConfig())
        landmarks = actor_shot.track.landmarks[:count]
        found = [controls_of(fit(points, n / 25)) for n, points in enumerate(landmarks)]
        return np.concatenate(found)

    whole = followed(24)
    assert np.array_equal(whole[:10], followed(10))
    error = whole - controls_of(truth)[:24]
    angles = np.sqrt(np.square(error[:, :3]).mean(0))
    assert (angles < [1.5, 2.0, 0.6]).all(), angles
    jaw = truth.expression_names.index("jawOpen")
    assert np.abs(error[:, 10 + jaw]).mean() < 0.12


def test_who_follows_themselves_does_what_they_do(actor_shot: Shot) -> None:
    params = actor_shot.params
    follow = Following(params, actor_shot.track.observed, params)
    controls = controls_of(params)
    for n in range(0, len(params), 5):
        rows = np.array([n])
        one = replace(
            params,
            **{
                name: getattr(params, name)[rows]
                for name in ("expression", "rotation", "translation", "light", "gaze")
            },
        )
        found = controls_of(follow(one, n / 25))[0]
        assert np.abs(found - controls[n])[:3].max() < 0.5, n
        assert np.abs(found - controls[n])[10:].max() < 0.1, n


def test_a_rest_that_is_found_anew_moves_nothing_at_once(actor_shot: Shot) -> None:
    params = actor_shot.params
    first = replace(
        params,
        **{
            name: getattr(params, name)[:8]
            for name in ("expression", "rotation", "translation", "light", "gaze")
        },
    )
    follow = Following(params, actor_shot.track.observed, first)
    still = replace(
        first,
        **{
            name: getattr(first, name)[:1]
            for name in ("expression", "rotation", "translation", "light", "gaze")
        },
    )
    turned = replace(still, rotation=still.rotation + np.float32([0, 0.2, 0]))
    seen = np.stack([controls_of(follow(turned, n / 25))[0] for n in range(500)])
    # Who keeps the head turned is at rest there in the end, without a jump on the way.
    assert np.abs(np.diff(seen[:, 0])).max() < 0.3
    assert abs(seen[-1, 0] - seen[0, 0]) > 5


def test_a_file_plays_by_the_clock_and_late_frames_are_passed_over(film: Path) -> None:
    clock = Ticking()
    camera = FileCamera(film, clock)
    first = camera.take()
    assert isinstance(first, Taken)
    assert (first.at, first.missed) == (100.0, 0)
    second = camera.take()
    assert second is not None
    assert clock.time == pytest.approx(100.04)
    clock.time += 0.13
    third = camera.take()
    assert third is not None
    assert (third.at, third.missed) == (pytest.approx(100.16), 2)
    # A file waits while everything is made ready.
    clock.time += 7
    camera.refresh()
    fourth = camera.take()
    assert fourth is not None
    assert (fourth.at, fourth.missed) == (pytest.approx(clock.time), 0)
    clock.time += 60
    last = camera.take()
    assert last is not None
    assert last.missed == 43
    assert camera.take() is None
    camera.close()


def test_a_camera_that_is_not_there_says_so() -> None:
    with pytest.raises(MediaError, match="camera 97 cannot be opened"):
        open_camera("97", Ticking())


class Tinting:
    """A method that takes a while and paints the whole picture."""

    def __init__(self, clock: Ticking, cost: float) -> None:
        self.clock, self.cost = clock, cost

    def condition(self, moment: Moment) -> Moment:
        self.clock.time += self.cost
        return moment

    def synthesize(self, told: Moment) -> Layer:
        height = told.frame.shape[2]
        whole = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
        rgb = told.frame * 0.7 + 0.1
        alpha = torch.ones((1, 1, height, height))
        return Layer(Crop((height, height), whole), rgb[..., :height], alpha)


class Seeing(Looker):
    """Looks without models: a face is in every frame."""

    def __init__(self, camera: FileCamera, shot: Shot, unseen: tuple[int, ...] = ()) -> None:
        self._camera, self._shot = camera, shot
        self._count, self._unseen = -1, unseen
        self.missed, self.first = 0, None

    def look(self) -> tuple[Moment, float] | None:
        taken = self._camera.take()
        if taken is None:
            return None
        self.missed += taken.missed
        self._count += 1
        seen = self._count not in self._unseen
        landmarks = self._shot.track.landmarks[0]
        return Moment(taken.at - 100, taken.frame, landmarks, self._shot.params, seen), taken.at


def plan_of(film: Path) -> LivePlan:
    clip = open_clip(film)
    like: Clip = replace(clip, path=Path("camera"), audio=())
    return LivePlan("reenact", like, torch.full((3, *clip.size), 0.5), ())


def shown(film: Path, shot: Shot, sink: Any, cost: float, **more: Any) -> Any:
    clock = Ticking()
    camera = FileCamera(film, clock)
    plan = plan_of(film)
    looker = Seeing(camera, shot, **more)
    with sink.open(Manifest("live", "reenact"), plan.like, Fraction(25)) as output:
        told: list[Any] = []
        method = Tinting(clock, cost)
        report = run_live(looker, method, plan, output, clock, told.append, threads=False)
    camera.close()
    assert told
    return report


def test_a_fast_machine_shows_every_frame_at_its_time(
    film: Path, actor_shot: Shot, tmp_path: Path
) -> None:
    output = tmp_path / "out.mp4"
    report = shown(film, actor_shot, LiveFile(output), 0.03, unseen=(5, 6))
    assert (report.frames, report.dropped, report.unseen) == (50, 0, 2)
    assert report.delay_ms == {"p50": 30.0, "p90": 30.0, "p99": 30.0, "max": 30.0}
    assert report.fps == pytest.approx(25, abs=0.1)
    clip = open_clip(output)
    assert len(clip) == 50
    assert float(clip.fps) == pytest.approx(25)
    reading = read_manifest(output)
    assert reading.finding == "valid"


def test_a_slow_machine_drops_frames_and_keeps_time(
    film: Path, actor_shot: Shot, tmp_path: Path
) -> None:
    output = tmp_path / "out.mp4"
    report = shown(film, actor_shot, LiveFile(output), 0.1)
    assert report.frames + report.dropped == 50
    assert 18 <= report.frames <= 21
    assert report.delay_ms["max"] < 145
    times = (open_clip(output).pts * open_clip(output).time_base).astype(float)
    assert np.all(np.diff(times) > 0.07)
    assert times[-1] > 1.7
    seen = Detector((96, 128))
    with av.open(str(output)) as container:
        for picture in container.decode(video=0):
            pixels = torch.from_numpy(picture.to_ndarray(format="rgb24")).permute(2, 0, 1)
            seen.add(pixels[None].float() / 255)
    assert seen.read().present


def test_a_window_is_marked_says_so_and_can_be_closed(film: Path, actor_shot: Shot) -> None:
    images: list[np.ndarray] = []

    class Screen:
        closed = False

        def show(self, image: np.ndarray) -> bool:
            images.append(image)
            return len(images) < 30

        def close(self) -> None:
            self.closed = True

    screen = Screen()
    report = shown(film, actor_shot, MarkedWindow(screen=lambda title: screen), 0.03)
    assert report.frames == 30
    assert screen.closed
    seen = Detector((96, 128))
    for image in images:
        seen.add(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
    assert seen.read().present
    # White letters on black lines, in the lower left corner.
    corner = images[0][80:, :70].astype(int)
    assert corner.max() > 230
    assert corner.min() < 60


def test_a_virtual_camera_gets_marked_raw_pictures(
    film: Path, actor_shot: Shot, tmp_path: Path
) -> None:
    sink = MarkedDevice(2, tmp_path / "raw.nut")
    assert shown(film, actor_shot, sink, 0.03).frames == 50
    seen = Detector((96, 128))
    with av.open(str(tmp_path / "raw.nut")) as container:
        for picture in container.decode(video=0):
            pixels = torch.from_numpy(picture.to_ndarray(format="rgb24")).permute(2, 0, 1)
            seen.add(pixels[None].float() / 255)
    assert seen.read().present


def test_threads_give_the_same_pictures_in_order(film: Path, actor_shot: Shot) -> None:
    clock = Ticking()
    camera, plan, times = FileCamera(film, clock), plan_of(film), []

    class Output:
        ended = False

        def show(self, frame: torch.Tensor, seconds: float) -> None:
            times.append(seconds)

    looker = Seeing(camera, actor_shot)
    report = run_live(looker, Tinting(clock, 0.0), plan, Output(), clock)
    camera.close()
    assert report.frames == len(times)
    assert report.frames + report.dropped == 50
    assert np.all(np.diff(times) > 0)


def test_nobody_before_the_camera_is_told(film: Path) -> None:
    camera = FileCamera(film, Ticking())
    looker = Looker(camera, LiveConfig(calibrate=0.4))
    with pytest.raises(TrackError, match="look straight into the camera"):
        looker.acquaint()
    looker.close()


def test_an_open_end_needs_places_that_go_forward(film: Path, tmp_path: Path) -> None:
    clip = open_clip(film)
    frame = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(1))
    made: Callable[[], Any] = lambda: encode(  # noqa: E731
        tmp_path / "open.mp4", clip, Manifest("open", "render"), open_end=True
    )
    with pytest.raises(ContractError, match="expected one for each"), made() as video:
        video.append(frame)
    with pytest.raises(MediaError, match="increasing"), made() as video:
        video.append(torch.cat([frame, frame]), [4, 4])
    with pytest.raises(MediaError, match="no frame came"), made():
        pass
    with (
        pytest.raises(ContractError, match="places"),
        encode(tmp_path / "whole.mp4", clip, Manifest("whole", "render")) as video,
    ):
        video.append(frame, [0])
    assert list(tmp_path.glob("*.mp4")) == [film]
    with pytest.raises(MediaError, match="expected a video"):
        LiveFile(tmp_path / "%05d.png", EncodeConfig())


@pytest.mark.slow
def test_the_command_line_animates_a_photo_live(
    actor_shot: Shot, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clip, output = str(actor_shot.clip.path), tmp_path / "out.mp4"
    code = run_command(
        ["live", clip, "--camera", clip, "--to", str(output), "--calibrate", "0.4", "--json"]
    )
    out, err = capfd.readouterr()
    assert code == 0, err
    facts = json.loads(out)
    assert facts["frames"] >= 1
    assert set(facts["delay_ms"]) == {"p50", "p90", "p99", "max"}
    assert read_manifest(output).finding == "valid"
