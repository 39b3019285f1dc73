"""From a camera's frame to a marked picture, as it happens: look, follow, draw, show.

One thread looks (tracking, fit, condition), one for each core draws, each with one frame at a time;
pictures are marked and shown in order. A moment for which nobody is free to draw is dropped and
counted. So nothing queues up, and the delay is that of one frame.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from likeness.composite import composite
from likeness.condition.conditioner import select
from likeness.decode.camera import Camera, Clock, Taken
from likeness.encode.live import LiveOutput
from likeness.errors import ConfigError, TrackError
from likeness.fit import FitConfig
from likeness.fit.causal import CausalFit, calibrate
from likeness.machine import cores
from likeness.plan.live import Acquaintance, LiveMethod, LivePlan, Moment
from likeness.store import load_face_model
from likeness.track import TrackConfig, bytes_of
from likeness.track.landmarks import Face
from likeness.track.link import boxes_of
from likeness.track.readers import open_reader
from likeness.types import FaceTrack, Floats, Shot

_LEAST = 8
"""Frames with a face that make an acquaintance."""
_PATIENT = 10.0
"""How many times the calibration may last while no face is seen."""
_LOST = 0.5
"""Seconds without a face after which what comes is a new beginning."""
_TOLD = 50
"""Frames over which what is told all the time is taken."""


@dataclass(frozen=True)
class LiveConfig:
    """How a person before the camera is looked at."""

    calibrate: float = 2.0
    """Seconds at the beginning from which identity and rest are taken: look straight ahead, blink,
    open the mouth."""
    track: TrackConfig = field(default_factory=lambda: TrackConfig(max_faces=1, even=False))
    fit: FitConfig = field(default_factory=FitConfig)
    model: str = "likeness"
    """Name of the face model."""

    def __post_init__(self) -> None:
        if not 0.2 <= self.calibrate <= 60:
            raise ConfigError(f"calibrate is {self.calibrate}; expected 0.2 to 60 seconds")


@dataclass(frozen=True)
class LiveReport:
    """What a live run has to say."""

    frames: int
    """Frames that were shown."""
    dropped: int
    """Frames of the camera that came too late to be shown, after the calibration."""
    unseen: int
    """Frames that were shown while no face was found: the last one holds still."""
    seconds: float
    """From the first frame shown to the last."""
    delay_ms: dict[str, float]
    """From a frame's being there to its picture's being shown: p50, p90, p99 and max."""
    fps: float
    """Frames shown a second."""


Tell = Callable[[LiveReport], None]
"""Is told about once a second how it goes."""
_Drawn: TypeAlias = tuple[Moment, float, torch.Tensor]
_Coming: TypeAlias = tuple[Moment, float, Future[torch.Tensor]] | Exception | None


class Looker:
    """Looks at a camera's frames one after the other."""

    def __init__(self, camera: Camera, config: LiveConfig) -> None:
        """Open the landmark models."""
        self._camera, self._config = camera, config
        self._reader = open_reader(config.track)
        self._model = load_face_model(config.model)
        self._fit: CausalFit | None = None
        self._began: float | None = None
        self._last: Moment | None = None
        self.missed = 0
        """Frames that the camera gave and nobody took."""
        self.first: Moment | None = None
        """The last moment of the acquaintance."""

    @property
    def rate(self) -> Fraction:
        """Frames a second that the camera gives."""
        return self._camera.clip.fps

    def refresh(self) -> None:
        """Go on from now, after everything was made ready."""
        self._camera.refresh()
        self.missed = 0

    def acquaint(self) -> Acquaintance:
        """Look until the person before the camera is known.

        Raises:
            TrackError: nobody was seen, or the camera ended before.
        """
        seen: list[Floats] = []
        picture: torch.Tensor | None = None
        wanted = self._config.calibrate
        while (taken := self._camera.take()) is not None:
            seconds = self._since(taken)
            face = self._read(taken)
            if face is not None:
                seen.append(face.landmarks)
                picture = taken.frame[0]
            if seconds >= wanted and len(seen) >= _LEAST:
                break
            if seconds >= wanted * _PATIENT:
                break
        if picture is None or len(seen) < _LEAST:
            raise TrackError(
                f"a face was seen in {len(seen)} frames, expected {_LEAST} or more; look straight "
                "into the camera, in good light, with the whole face in the picture"
            )
        track = _track(np.stack(seen))
        size = self._camera.clip.size
        with threadpool_limits(1, "blas"):
            params = calibrate(track, self._model, size, self._config.fit)
        self._fit = CausalFit(params, self._model, size, self._config.fit)
        self.missed = 0
        last = len(seen) - 1
        self.first = Moment(0.0, picture[None], seen[last], select(params, np.array([last])))
        return Acquaintance(Shot(self._camera.clip, track, params), picture)

    def look(self) -> tuple[Moment, float] | None:
        """Return the newest moment, and when its frame was there; None at the end."""
        taken = self._camera.take()
        if taken is None or self._fit is None:
            return None
        self.missed += taken.missed
        seconds, face = self._since(taken), self._read(taken)
        if face is not None:
            params = self._fit(face.landmarks, seconds)
            moment = Moment(seconds, taken.frame, face.landmarks, params)
            self._last = moment
        elif self._last is not None:
            if seconds - self._last.seconds > _LOST:
                self._fit.forget()
            last = self._last
            moment = Moment(seconds, taken.frame, last.landmarks, last.params, seen=False)
        else:
            return self.look()
        return moment, taken.at

    def close(self) -> None:
        """Free the models."""
        self._reader.close()

    def _since(self, taken: Taken) -> float:
        if self._began is None:
            self._began = taken.at
        return taken.at - self._began

    def _read(self, taken: Taken) -> Face | None:
        faces = self._reader.read(bytes_of(taken.frame)[0])
        return max(faces, key=lambda face: face.size, default=None)


def run_live(
    looker: Looker,
    method: LiveMethod[Any],
    plan: LivePlan,
    output: LiveOutput,
    clock: Clock,
    tell: Tell | None = None,
    *,
    threads: bool = True,
    stop: threading.Event | None = None,
) -> LiveReport:
    """Show what the person before the camera does until it ends.

    Args:
        looker: after `Looker.acquaint`.
        method: opened for whom it knows.
        plan: what is settled.
        output: an open one; it marks what it shows.
        clock: the same that the camera goes by.
        tell: called about once a second.
        threads: look and draw side by side; without, one after the other, for tests.
        stop: ends it once it is set.

    Raises:
        MediaError: the camera gives nothing, or the output takes nothing.
    """
    count = _Counted(looker, clock)
    told_at = clock.now()
    with threadpool_limits(1, "blas"):
        if looker.first is not None:
            # Loops are compiled as they are first used, which takes as long as many frames do.
            _drawn(method, plan, looker.first)
        looker.refresh()
        drawing = _beside(looker, method, plan, count) if threads else _each(looker, method, plan)
        with drawing as drawn:
            for moment, at, picture in drawn:
                output.show(picture, count.since_first(moment))
                count.shown(clock.now() - at, moment.seen)
                if tell is not None and clock.now() - told_at >= 1:
                    told_at = clock.now()
                    tell(count.report(_TOLD))
                if output.ended or (stop is not None and stop.is_set()):
                    break
    return count.report()


def _drawn(method: LiveMethod[Any], plan: LivePlan, moment: Moment) -> torch.Tensor:
    """Return the (3,H,W) picture of a moment."""
    return _painted(method, plan, moment, method.condition(moment))


def _painted(method: LiveMethod[Any], plan: LivePlan, moment: Moment, told: Any) -> torch.Tensor:
    under = moment.frame if plan.canvas is None else plan.canvas[None]
    with torch.inference_mode():
        return composite(under, method.synthesize(told))[0]


class _Counted:
    """Counts frames and delays."""

    def __init__(self, looker: Looker, clock: Clock) -> None:
        self._looker, self._clock = looker, clock
        self._delays: list[float] = []
        self._ends: list[float] = []
        self._first: float | None = None
        self._unseen = 0
        self.replaced = 0
        """Moments that were looked at and not drawn."""

    def since_first(self, moment: Moment) -> float:
        if self._first is None:
            self._first = moment.seconds
        return moment.seconds - self._first

    def shown(self, delay: float, seen: bool) -> None:
        self._delays.append(delay)
        self._ends.append(self._clock.now())
        self._unseen += not seen

    def report(self, last: int | None = None) -> LiveReport:
        """Report all frames, or delay and rate of the last ones alone."""
        delays = np.array(self._delays[-last:] if last else self._delays) * 1000
        ends = self._ends[-last:] if last else self._ends
        span = ends[-1] - ends[0] if len(ends) > 1 else 0.0
        points = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
        return LiveReport(
            frames=len(self._delays),
            dropped=self._looker.missed + self.replaced,
            unseen=self._unseen,
            seconds=round(self._ends[-1] - self._ends[0], 3) if self._ends else 0.0,
            delay_ms={
                name: round(float(np.percentile(delays, point)), 1)
                for name, point in points.items()
                if len(delays)
            },
            fps=round((len(ends) - 1) / span, 2) if span > 0 else 0.0,
        )


@contextmanager
def _each(looker: Looker, method: LiveMethod[Any], plan: LivePlan) -> Iterator[Iterator[_Drawn]]:
    """Give moments and their pictures one after the other."""

    def coming() -> Iterator[_Drawn]:
        while (found := looker.look()) is not None:
            yield *found, _drawn(method, plan, found[0])

    yield coming()


@contextmanager
def _beside(
    looker: Looker, method: LiveMethod[Any], plan: LivePlan, count: _Counted
) -> Iterator[Iterator[_Drawn]]:
    """Give them in order, looked at by one thread and drawn by one for each core.

    A moment for which nobody is free to draw is dropped, so that nothing queues up.
    """
    drawers = cores()
    free = threading.Semaphore(drawers)
    coming: queue.SimpleQueue[_Coming] = queue.SimpleQueue()
    ended = threading.Event()
    wait = 0.5 / float(looker.rate)

    def keep_looking() -> None:
        torch.set_num_threads(1)
        try:
            while not ended.is_set() and (found := looker.look()) is not None:
                if not free.acquire(timeout=wait):
                    count.replaced += 1
                    continue
                told = method.condition(found[0])
                coming.put((*found, pool.submit(_painted, method, plan, found[0], told)))
            coming.put(None)
        except Exception as error:  # raised where pictures are waited for
            coming.put(error)

    def drawn() -> Iterator[_Drawn]:
        while (found := coming.get()) is not None:
            if isinstance(found, Exception):
                raise found
            moment, at, picture = found
            yield moment, at, picture.result()
            free.release()

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with ThreadPoolExecutor(drawers, "draw", torch.set_num_threads, (1,)) as pool:
        thread = threading.Thread(target=keep_looking, name="look", daemon=True)
        thread.start()
        try:
            yield drawn()
        finally:
            ended.set()
            thread.join()
            torch.set_num_threads(before)


def _track(landmarks: Floats) -> FaceTrack:
    """Return a track of N frames in which (N,478,3) landmarks were seen."""
    seen = np.ones(len(landmarks), bool)
    return FaceTrack(0, boxes_of(landmarks), landmarks, seen.astype(np.float32), seen)
