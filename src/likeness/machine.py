"""What this machine lets the process use: cores, memory, and what it is called in a measurement.

A container or a scheduler may give a process a share of a machine. The system's own counts name
the whole machine then, and as many workers as that would wait for each other.
"""

from __future__ import annotations

import math
import os
import platform
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ROOT = Path("/")


@dataclass(frozen=True)
class Hardware:
    """The machine as a measurement names it."""

    processor: str
    """Model name of the processor."""
    cores: int
    """Cores that this process may use."""
    memory_mb: int
    """Memory that this process may use, in MiB; 0 where the system does not tell."""
    threads: int
    """Threads that one torch operation uses."""
    system: str
    """Operating system, its release, and the processor's architecture."""


def hardware() -> Hardware:
    """Describe the machine under this process."""
    # Loaded on use: counting cores needs no tensors.
    import torch

    return Hardware(
        processor=_processor(_ROOT),
        cores=cores(),
        memory_mb=_memory_mb(_ROOT),
        threads=torch.get_num_threads(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
    )


def cores() -> int:
    """Return how many cores this process may use, at least 1.

    That is the smaller of the cores that it may run on (affinity, which cpusets set) and of the
    time that its control groups grant it (version 1 or 2), begun cores counted whole.
    """
    counted = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min(counted, math.ceil(_quota(_ROOT))))


def peak_rss_mb() -> float:
    """Return the largest memory that this process has held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts KiB, macOS bytes.
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def load_average() -> float | None:
    """Return how many threads of all processes have wanted a core in the last minute, on average.

    None where the system does not tell. A measurement begun above a few tenths was not alone.
    """
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _quota(root: Path) -> float:
    """Cores' worth of time that control groups grant; the largest int where they set no limit."""
    granted: list[float] = []
    for folder in _groups("cpu", root):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        if not quota:
            quota = _text(folder / "cpu.cfs_quota_us")
            period = _text(folder / "cpu.cfs_period_us")
        # "max" and -1 stand for no limit.
        if quota.isdecimal() and period.isdecimal() and int(quota) > 0 and int(period) > 0:
            granted.append(int(quota) / int(period))
    return min(granted, default=sys.maxsize)


def _memory_mb(root: Path) -> int:
    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):
        found = []
    for folder in _groups("memory", root):
        limit = _text(folder / "memory.max") or _text(folder / "memory.limit_in_bytes")
        if limit.isdecimal() and int(limit) > 0:
            found.append(int(limit))
    return min(found, default=0) // 2**20


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Yield the folders of this process's control group and of those around it.

    A limit holds for everything below it, so each of them counts.
    """
    memberships: dict[str, str] = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        memberships |= dict.fromkeys(controllers.split(","), path)
    for line in _text(root / "proc/self/mountinfo").splitlines():
        mount, _, kind = line.partition(" - ")
        fields, kinds = mount.split(), kind.split()
        if len(fields) < 5 or len(kinds) < 3:
            continue
        # Version 2 has one tree for all controllers, which /proc lists without a name.
        name = "" if kinds[0] == "cgroup2" else controller
        if not kinds[0].startswith("cgroup") or name not in memberships:
            continue
        if name and controller not in kinds[2].split(","):
            continue
        top = root / fields[4].lstrip("/")
        below = PurePosixPath(memberships[name])
        # A container sees its own group as the root of the mount, whatever the host calls it.
        inside = below.is_relative_to(fields[3]) and ".." not in below.parts
        folder = top / below.relative_to(fields[3]) if inside else top
        yield folder
        while folder != top:
            folder = folder.parent
            yield folder


def _processor(root: Path) -> str:
    for line in _text(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "Hardware") and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def _text(path: Path) -> str:
    """Contents of a small file of the system; empty where it is missing or closed to us."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
