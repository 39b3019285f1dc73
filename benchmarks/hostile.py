"""Hand hostile inputs to every reader, thousands of them, and count what becomes of each.

Run: python benchmarks/hostile.py KIND ... [--count 1000] [--seed 0] [--keep FOLDER]

An input is a small valid file, damaged at random. Each is read in a process of its own, with a
limit on time and on memory. What may happen is that it is read (`ok`) or refused with an error of
the project's tree (`sentence`); any other exception (`traceback`), a signal (`crash`), more than 20
seconds (`hang`) or more than 2 GB (`memory`) is a fault, and its input is kept.

A kind is a module beside this one, named in `KINDS`, with two functions:

    seeds(folder: Path) -> list[Path]     writes small valid inputs
    attempt(path: Path) -> None           reads one as the program would; raises what readers raise
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from likeness.errors import LikenessError

KINDS: dict[str, str] = {"media": "hostile_media"}
"""The module that makes and reads the inputs of each kind."""

SECONDS = 20.0
MEMORY = 2 << 30
_SENTENCE, _TRACEBACK = 10, 11
_EXTREMES = (0, 1, -1, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, -(2**31), 2**32 - 1, 2**30, 3600)

Attempt = Callable[[Path], None]


@dataclass(frozen=True)
class Outcome:
    """What became of one input."""

    what: str
    """ok, sentence, traceback, crash, hang or memory."""
    seconds: float
    peak: int
    """Bytes."""
    detail: str = ""


def damage(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with one to eight faults; half of them lie in its first kilobyte."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if not changed:
            break
        reach = len(changed) if rng.random() < 0.5 else min(len(changed), 1024)
        at = int(rng.integers(0, reach))
        some = int(rng.integers(1, 65))
        match int(rng.integers(0, 8)):
            case 0:
                changed[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                changed[at : at + some] = rng.bytes(some)
            case 2:
                wide = int(rng.choice([1, 2, 4, 8]))
                value = int(rng.choice(_EXTREMES)) % (1 << 8 * wide)
                order = "big" if rng.random() < 0.5 else "little"
                changed[at : at + wide] = value.to_bytes(wide, order)  # type: ignore[arg-type]
            case 3:
                del changed[at : at + some]
            case 4:
                changed[at:at] = changed[at : at + some]
            case 5:
                start = int(rng.integers(0, max(1, len(other))))
                changed[at : at + some] = other[start : start + some]
            case 6:
                del changed[int(rng.integers(0, len(changed))) :]
            case _:
                changed[at : at + some] = bytes([int(rng.choice([0, 255]))]) * some
    return bytes(changed)


def _child(attempt: Attempt, path: Path, answer: int) -> None:
    """Read an input and leave with what happened; never returns."""
    code, text = 0, ""
    try:
        attempt(path)
    except LikenessError as error:
        text = str(error)
        code = _SENTENCE if text.strip() else _TRACEBACK
    except BaseException:
        code, text = _TRACEBACK, traceback.format_exc()
    os.write(answer, text.encode("utf-8", "replace")[-4000:])
    os._exit(code)


def _resident(pid: int) -> int:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def judge(attempt: Attempt, path: Path) -> Outcome:
    """Read one input in a process of its own, within the limits."""
    reading, writing = os.pipe()
    began = time.monotonic()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        _child(attempt, path, writing)
    os.close(writing)
    what = ""
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            break
        if not what and time.monotonic() - began > SECONDS:
            what = "hang"
            os.kill(pid, signal.SIGKILL)
        if not what and _resident(pid) > MEMORY:
            what = "memory"
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    with os.fdopen(reading, "rb") as file:
        detail = file.read().decode("utf-8", "replace")
    peak = usage.ru_maxrss * 1024
    if not what:
        what = "memory" if peak > MEMORY else _named(status)
    return Outcome(what, time.monotonic() - began, peak, detail)


def _named(status: int) -> str:
    if os.WIFSIGNALED(status):
        return "crash"
    return {0: "ok", _SENTENCE: "sentence"}.get(os.WEXITSTATUS(status), "traceback")


def run(kind: str, count: int, seed: int, keep: Path | None) -> tuple[Counter[str], list[Outcome]]:
    """Judge `count` damaged inputs of a kind; return the counts and the outcomes."""
    module = importlib.import_module(KINDS[kind])
    rng = np.random.default_rng(seed)
    counts: Counter[str] = Counter()
    outcomes = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = module.seeds(folder)
        contents = {path: path.read_bytes() for path in seeds}
        for path in seeds:
            whole = judge(module.attempt, path)
            assert whole.what == "ok", f"{path.name} is not read whole: {whole}"
        for number in range(count):
            path = seeds[number % len(seeds)]
            other = seeds[int(rng.integers(len(seeds)))]
            damaged = folder / f"damaged{path.suffix}"
            damaged.write_bytes(damage(contents[path], contents[other], rng))
            outcome = judge(module.attempt, damaged)
            counts[outcome.what] += 1
            outcomes.append(outcome)
            if outcome.what not in ("ok", "sentence"):
                last = outcome.detail.strip().rsplit("\n", 1)[-1]
                print(f"{outcome.what}: {kind} {number} from {path.name}: {last}", flush=True)
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{kind}_{seed}_{number}_{path.name}").write_bytes(damaged.read_bytes())
    return counts, outcomes


def main() -> None:
    """Run the kinds that are named and print a line of counts for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("kinds", nargs="+", choices=sorted(KINDS))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    told = parser.parse_args()
    for kind in told.kinds:
        counts, outcomes = run(kind, told.count, told.seed, told.keep)
        slowest = max((outcome.seconds for outcome in outcomes), default=0.0)
        largest = max((outcome.peak for outcome in outcomes), default=0)
        summed = ", ".join(f"{what} {number}" for what, number in counts.most_common())
        print(f"{kind}: {summed}; slowest {slowest:.1f} s, most memory {largest / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
