"""A child process in which a test may go wrong: limited in time and memory, or killed."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from likeness.errors import LikenessError

_CODES = {0: "ok", 10: "sentence", 11: "crash", 12: "over memory", -9: "killed"}
_ENDS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link"}


def confined(work: Callable[[], Any], seconds: float = 20, megabytes: int = 2000) -> str:
    """Run something in a child; return ok, sentence, crash, over memory, killed or hang."""
    return _awaited(_started(work, megabytes), seconds)


def killed_at(step: int, work: Callable[[], Any]) -> bool:
    """Run something in a child that is killed before its nth rename, removal or new folder.

    Returns:
        False where it ended before that.
    """

    def dying() -> None:
        left = step

        def watch(event: str, _: Any) -> None:
            nonlocal left
            if event in _ENDS:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        work()

    answer = _awaited(_started(dying, 8000), 60)
    assert answer in ("ok", "killed"), answer
    return answer == "killed"


def at_once(count: int, work: Callable[[int], Any]) -> list[str]:
    """Run something in `count` children that begin together; return how each ended."""
    start, go = os.pipe()

    def waiting(number: int) -> Callable[[], None]:
        def begin() -> None:
            os.close(go)
            os.read(start, 1)
            work(number)

        return begin

    children = [_started(waiting(number), 8000) for number in range(count)]
    os.close(go)
    os.close(start)
    return [_awaited(child, 120) for child in children]


def without_disk(limit: int, work: Callable[[], Any]) -> str:
    """Run something in a child that may write no file of more than `limit` bytes."""

    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        work()

    return confined(full)


def forked() -> int:
    """Fork a child that never waits for threads that only its parent has.

    A decoder in a cycle of garbage waits for its threads when it is collected, and a team of
    workers of torch for the answers of its members: both would wait for ever.
    """
    gc.disable()
    child = os.fork()
    if child == 0:
        gc.freeze()
        torch.set_num_threads(1)
    gc.enable()
    return child


def _started(work: Callable[[], Any], megabytes: int) -> int:
    child = forked()
    if child:
        return child
    code = 11
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0])
        most = used * os.sysconf("SC_PAGE_SIZE") + megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        work()
        code = 0
    except LikenessError:
        code = 10
    except MemoryError:
        code = 12
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _awaited(child: int, seconds: float) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return _CODES.get(os.waitstatus_to_exitcode(status), "crash")
        time.sleep(0.002)
    # First ask where it stands (`faulthandler` answers an abort), so that the report can be read.
    os.kill(child, signal.SIGABRT)
    time.sleep(0.5)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hang"
