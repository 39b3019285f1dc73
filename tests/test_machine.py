"""The share of a machine that a process has, as containers and schedulers set it."""

import os
import sys
from pathlib import Path

import pytest
import torch

from likeness import machine
from likeness.machine import Hardware, cores, hardware, peak_rss_mb

V2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
V1 = "32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct"
V1_MEMORY = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"


def _system(root: Path, groups: str, mounts: str, files: dict[str, str]) -> Path:
    for name, text in {
        "proc/self/cgroup": groups,
        "proc/self/mountinfo": mounts,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "wanted"),
    [
        ("0::/", V2, {"cpu.max": "200000 100000"}, 2),
        ("0::/", V2, {"cpu.max": "50000 100000"}, 0.5),
        ("0::/", V2, {"cpu.max": "max 100000"}, sys.maxsize),
        # The smallest of all groups around the process holds.
        ("0::/a/b", V2, {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
        ("0::/a/b", V2, {"a/b/cpu.max": "150000 100000", "a/cpu.max": "300000 100000"}, 1.5),
        # The path is the host's, the mount the container's.
        ("0::/../other", V2, {"cpu.max": "400000 100000"}, 4),
        (
            "4:cpu,cpuacct:/box/1",
            V1.format(root="/box/1"),
            {"cpu,cpuacct/cpu.cfs_quota_us": "250000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            2.5,
        ),
        (
            "4:cpu,cpuacct:/box/1",
            V1.format(root="/elsewhere"),
            {"cpu,cpuacct/cpu.cfs_quota_us": "100000", "cpu,cpuacct/cpu.cfs_period_us": "50000"},
            2,
        ),
        (
            "4:cpu,cpuacct:/",
            V1.format(root="/"),
            {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            sys.maxsize,
        ),
        # Both versions are mounted, and only the first has the processor.
        (
            "4:cpu,cpuacct:/\n0::/",
            V1.format(root="/") + "\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
            {"cpu,cpuacct/cpu.cfs_quota_us": "700000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            7,
        ),
        ("nonsense", "nonsense - x\n - cgroup2", {"cpu.max": "x y"}, sys.maxsize),
        ("0::/", V2, {"cpu.max": "0 0"}, sys.maxsize),
    ],
)
def test_the_time_that_control_groups_grant(
    tmp_path: Path, groups: str, mounts: str, files: dict[str, str], wanted: float
) -> None:
    assert machine._quota(_system(tmp_path, groups, mounts, files)) == wanted


def test_a_system_without_control_groups_sets_no_limit(tmp_path: Path) -> None:
    assert machine._quota(tmp_path) == sys.maxsize


@pytest.mark.parametrize(("quota", "wanted"), [(0.5, 1), (1.5, 2), (3.0, 3), (sys.maxsize, 6)])
def test_cores_are_the_smaller_of_affinity_and_quota(
    monkeypatch: pytest.MonkeyPatch, quota: float, wanted: int
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 96)
    monkeypatch.setattr(machine, "_quota", lambda _: quota)
    assert cores() == wanted


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system pins no processes")
def test_cores_follow_the_affinity_of_this_process() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_memory_is_the_smaller_of_machine_and_group(tmp_path: Path) -> None:
    first = _system(
        tmp_path / "1",
        "3:memory:/a",
        V1_MEMORY,
        {"memory/a/memory.limit_in_bytes": str(96 * 2**20)},
    )
    second = _system(tmp_path / "2", "0::/", V2, {"memory.max": str(64 * 2**20)})
    free = _system(tmp_path / "3", "0::/", V2, {"memory.max": "max"})
    assert machine._memory_mb(first) == 96
    assert machine._memory_mb(second) == 64
    assert machine._memory_mb(free) > 96


def test_the_processor_is_named(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: Some Processor 9\n")
    assert machine._processor(tmp_path) == "Some Processor 9"
    assert machine._processor(tmp_path / "none") != ""


def test_a_measurement_names_its_machine() -> None:
    found = hardware()
    assert isinstance(found, Hardware)
    assert found.cores == cores() >= 1
    assert found.threads == torch.get_num_threads()
    assert found.memory_mb > 100
    assert found.processor
    assert 10 < peak_rss_mb() < found.memory_mb * 4
