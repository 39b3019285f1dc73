"""One way out for every end: Ctrl-C, termination and a closed terminal unwind like an error."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Stopped(BaseException):
    """The process was asked to end.

    No `Exception`, so that nothing that handles errors takes it for one, and no
    `KeyboardInterrupt`, which libraries answer by ending the process in their own way.
    """

    def __init__(self, number: int) -> None:
        """Remember which signal it was."""
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """What the process returns, by habit of shells: 128 and the signal's number."""
        return 128 + self.number

    def __str__(self) -> str:
        """Say what happened and how to go on."""
        how = "interrupted" if self.number == signal.SIGINT else signal.Signals(self.number).name
        return (
            f"stopped ({how}); unfinished files were removed; a long command goes on with --resume"
        )


@contextlib.contextmanager
def one_way_out() -> Iterator[None]:
    """Within the block, let every signal that asks for an end raise `Stopped` in the main thread.

    Whatever cleans up on an error then cleans up on SIGINT, SIGTERM and SIGHUP as well. Signals
    that were ignored before (as under nohup) stay ignored. While the first one unwinds, further
    ones are ignored, but for a second Ctrl-C, which gives up cleaning. Outside the main thread
    nothing is changed, as signals are none of its business.

    Raises:
        Stopped: a signal came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        if signal.SIGINT in before:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        raise Stopped(number)

    before = {
        number: handler
        for number in _SIGNALS
        if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }
    try:
        for number in before:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def asked_to_end() -> Iterator[threading.Event]:
    """Within the block, let the first signal that asks for an end set an event instead.

    For work without an end of its own, which being asked is the usual way to finish. A second
    signal does what it did outside the block.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        for other, handler in before.items():
            signal.signal(other, handler)

    before = {
        number: handler
        for number in _SIGNALS
        if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }
    try:
        for number in before:
            signal.signal(number, ask)
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
