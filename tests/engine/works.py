"""Work for the tests of engines: a worker finds it here by its name."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

from likeness.engine import Send
from likeness.errors import TrackError


def count(task: int, send: Send) -> None:
    """Tell the numbers below `task`, each with the process that counted."""
    for number in range(task):
        send((number, os.getpid()))


def pictures(task: int, send: Send) -> None:
    """Tell `task` arrays, which are larger than any pipe holds."""
    for number in range(task):
        send(np.full((64, 64, 64), number, np.float32))


def fail(task: str, send: Send) -> None:
    """Tell something, then fail as the task says."""
    send("before")
    if task == "ours":
        raise TrackError("nobody is seen")
    if task == "theirs":
        raise ZeroDivisionError("a library divides")
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(task: float, send: Send) -> None:
    """Say so, then sleep."""
    send(os.getpid())
    time.sleep(task)


def cores(task: None, send: Send) -> None:
    """Tell which cores this process may use."""
    from likeness.machine import cores as counted

    send(counted())
