"""Painted frames of a plan, in order: by threads of this process, or shared out among workers.

Windows are the same whoever paints them, and a method answers for a frame alike whatever window it
comes in: both ways give the same numbers. Painted frames are handed on to the one encoder and are
nowhere kept without its mark.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import torch
from threadpoolctl import threadpool_limits

from likeness.composite import composite
from likeness.decode.reordered import stream_reordered
from likeness.engine import Engine, Send, WorkerError
from likeness.parallel import in_order
from likeness.plan.plan import Plan
from likeness.types import Method, Window, check

_WINDOW = 4
"""Frames per step of the stream: enough to fill a network, little enough to hold."""
_AHEAD = 2
"""Windows of each worker that wait to be encoded."""
_LOSSES = 2
"""How often the share of a worker that was lost is given to another."""

Opening: TypeAlias = Callable[[], Method[Any]]
"""Makes a method ready for its plan, in whichever process paints."""
Painted: TypeAlias = tuple[Window, torch.Tensor]


def paint(
    frames: torch.Tensor,
    methods: Sequence[Method[Any]],
    window: Window,
    canvas: torch.Tensor | None = None,
) -> torch.Tensor:
    """Condition, synthesize, composite, for each person that is changed.

    Args:
        frames: (N,3,H,W) RGB in [0,1]: the decoded frames of the window.
        methods: one per person; later ones lie over earlier ones.
        window: N frames of the output.
        canvas: (3,H',W') that lies under the layers in place of the frames.

    Returns:
        (N,3,H',W'); where no layer paints, what lay there, bit for bit.
    """
    painted = frames if canvas is None else canvas.expand(len(window), -1, -1, -1)
    for method in methods:
        painted = composite(painted, method.synthesize(method.condition(window, frames)))
    return painted


def painted_here(
    plan: Plan, methods: Sequence[Method[Any]], windows: slice = slice(None)
) -> Iterator[Painted]:
    """Yield the frames of a plan, (n,3,H,W) per window, painted by one thread for each core.

    Args:
        plan: what is shown when.
        methods: opened for it.
        windows: which of its windows; all by default.
    """
    with threadpool_limits(1, "blas"):
        yield from in_order(partial(_painted, plan, methods), frames_of(plan, windows))


def painted_by(engine: Engine, plan: Plan, openings: Sequence[Opening]) -> Iterator[Painted]:
    """Yield the same from an engine's workers, which take turns window by window.

    Each of them opens the methods once, decodes what lies under its own windows, and waits while
    `_AHEAD` of them are not yet taken.

    Args:
        engine: whose workers paint.
        plan: what is shown when.
        openings: what opens the methods.

    Raises:
        WorkerError: a share was lost several times.
        LikenessError: what painting raised.
    """
    places = engine.workers
    shares = [_Share(plan, tuple(openings), place, places) for place in range(places)]
    readers = [_Reader(engine, share) for share in shares]
    try:
        turn, expected = 0, 0
        while expected < len(plan):
            window, frames = readers[turn % places].take()
            check(window.start == expected, f"window {window.start} came before {expected}")
            yield window, frames
            turn, expected = turn + 1, window.stop
    finally:
        for reader in readers:
            reader.stop()


@dataclass(frozen=True)
class _Share:
    """Every so many windows of a plan, from one on."""

    plan: Plan
    openings: tuple[Opening, ...]
    place: int
    places: int
    done: int = 0
    """Windows of the share that are painted already."""


def paint_share(task: _Share, send: Send) -> None:
    """Paint a share in a worker; tells (first frame, frames as an array) per window."""
    windows = slice(task.place + task.done * task.places, None, task.places)
    # Products of several threads are rounded otherwise.
    with threadpool_limits(1, "blas"):
        methods = [opening() for opening in task.openings]
        for window, frames in painted_here(task.plan, methods, windows):
            send((window.start, frames.contiguous().numpy()))


class _Reader:
    """Listens to a worker, a few windows ahead."""

    def __init__(self, engine: Engine, share: _Share) -> None:
        self._engine, self._share = engine, share
        self._heard: queue.Queue[Painted | BaseException] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="share", daemon=True)
        self._thread.start()

    def take(self) -> Painted:
        """Wait for the next window.

        Raises:
            LikenessError: painting it failed.
        """
        heard = self._heard.get()
        if isinstance(heard, BaseException):
            raise heard
        return heard

    def stop(self) -> None:
        """End the work, whoever still does it."""
        self._stopped.set()
        while not self._heard.empty():
            self._heard.get_nowait()
        self._thread.join()

    def _listen(self) -> None:
        share, losses = self._share, 0
        while not self._stopped.is_set():
            try:
                for start, array in self._engine.run(paint_share, share):
                    # Arrays from a cluster's memory may only be read.
                    pixels = torch.from_numpy(array if array.flags.writeable else array.copy())
                    self._put((Window(start, start + len(pixels)), pixels))
                    share = replace(share, done=share.done + 1)
                    if self._stopped.is_set():
                        return
                return
            except WorkerError as error:
                losses += 1
                if losses > _LOSSES:
                    self._put(error)
                    return
            except Exception as error:  # told where it is waited for
                self._put(error)
                return

    def _put(self, item: Painted | BaseException) -> None:
        while not self._stopped.is_set():
            try:
                self._heard.put(item, timeout=0.5)
                return
            except queue.Full:
                continue


def _painted(
    plan: Plan, methods: Sequence[Method[Any]], window: Window, frames: torch.Tensor
) -> torch.Tensor:
    painted = paint(frames, methods, window, plan.canvas)
    if plan.absent is None:
        return painted
    gone = torch.from_numpy(plan.absent[window.start : window.stop])
    return torch.where(gone[:, None, None, None], frames, painted) if gone.any() else painted


def frames_of(plan: Plan, windows: slice = slice(None)) -> Iterator[Painted]:
    """Yield the frames that a plan shows, (n,3,H,W) per window; its canvas where it shows none."""
    if plan.stream is not None and plan.shown is not None:
        yield from stream_reordered(plan.stream, plan.shown, _WINDOW, windows)
        return
    canvas = torch.as_tensor(plan.canvas)
    for start in range(0, len(plan), _WINDOW)[windows]:
        window = Window(start, min(start + _WINDOW, len(plan)))
        yield window, canvas.expand(len(window), -1, -1, -1)
