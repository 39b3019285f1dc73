"""Without a home, with a full disk, in a read-only installation: caches are a convenience."""

from __future__ import annotations

import errno
import logging
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from likeness import compiled, doctor, store
from likeness.errors import ConfigError
from likeness.files import cache_folder, data_folder, places
from likeness.provenance.credentials import (
    load_credentials,
    local_anchors,
    trust_anchors,
    user_folder,
)
from likeness.provenance.revoked import revoked_numbers
from tests.store.test_store import make_shot

HOMES = ("HOME", "USERPROFILE", "XDG_DATA_HOME", "XDG_CACHE_HOME")


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No HOME, no entry for the user; returns the working folder."""

    def unknown(_: int) -> Any:
        raise KeyError("no such user")

    for name in HOMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings that are given once are given in every test."""
    monkeypatch.setattr(places, "_told", set())


def test_without_a_home_there_is_no_place_and_no_tilde(homeless: Path) -> None:
    assert data_folder() is None
    assert cache_folder() is None
    assert revoked_numbers() == frozenset()
    assert trust_anchors() == local_anchors() == ()
    for ask in (user_folder, load_credentials):
        with pytest.raises(ConfigError, match="Set XDG_DATA_HOME"):
            ask()
    assert list(homeless.iterdir()) == []


def test_without_a_home_analyses_are_kept_beside_the_clip_or_not_at_all(
    homeless: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shot = make_shot(homeless)
    assert store.cache_shots(shot.clip, "cd" * 32, [shot]) is not None
    assert store.cached_shots(shot.clip, "cd" * 32) is not None
    away = make_shot(Path("/proc/nowhere"))
    with caplog.at_level(logging.WARNING):
        assert store.cache_shots(away.clip, "cd" * 32, [away]) is None
        assert store.cache_shots(away.clip, "ef" * 32, [away]) is None
    assert caplog.text.count("is not kept and will be done again") == 1
    assert not (homeless / "~").exists()


def test_the_places_of_the_user_are_honored(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(homeless / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(homeless / "cache"))
    assert user_folder() == homeless / "data" / "likeness"
    assert cache_folder() == homeless / "cache" / "likeness"
    assert "BEGIN CERTIFICATE" in load_credentials().chain
    assert (homeless / "data" / "likeness" / "local" / "key.pem").is_file()


def test_a_home_that_does_not_exist_is_a_sentence(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/proc/nowhere")
    with pytest.raises(ConfigError, match="every output is signed"):
        load_credentials()
    assert revoked_numbers() == frozenset()


def _doubled(x: float) -> float:
    return 2 * x


def test_loops_compile_where_nothing_can_be_kept(
    homeless: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert compiled.njit(cache=True)(_doubled)(3.0) == 6.0
    assert caplog.text.count("compiled loops are not kept") == 1
    assert compiled.cache_place() is None
    assert not (homeless / "~").exists()


@pytest.mark.parametrize("method", ["load_overload", "save_overload"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), EOFError(), ValueError("bad")])
def test_loops_compile_on_a_full_disk_and_with_a_damaged_cache(
    method: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: Any) -> None:
        raise error

    # What earlier tests kept is not found, so that there is something to save.
    monkeypatch.setattr(compiled.FunctionCache, "load_overload", lambda *_: None)
    monkeypatch.setattr(compiled.FunctionCache, method, fails)
    with caplog.at_level(logging.WARNING):
        assert compiled.njit(cache=True, nogil=True)(_doubled)(4.0) == 8.0
    assert caplog.text.count("compiled loops are not kept") == 1


def test_every_compiled_loop_goes_through_one_door() -> None:
    package = Path(compiled.__file__).parent
    own = [p for p in package.rglob("*.py") if "from numba" in p.read_text(encoding="utf-8")]
    assert own == [package / "compiled.py"]


def test_the_doctor_tells_what_is_not_kept(homeless: Path) -> None:
    parts = {part.name: part for part in doctor.examine().parts}
    cache, signing = parts["cache of analyses"], parts["signing"]
    assert not cache.usable
    assert not cache.needed
    assert "XDG_CACHE_HOME" in cache.mend
    assert not signing.usable
    assert "XDG_DATA_HOME" in signing.mend
    assert parts["compiled loops"].usable
    assert "not kept" in parts["compiled loops"].detail


def test_the_doctor_tells_where_things_are_kept(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(homeless / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(homeless / "cache"))
    parts = {part.name: part for part in doctor.examine().parts}
    assert str(homeless / "cache") in parts["cache of analyses"].detail
    assert str(homeless / "data") in parts["signing"].detail
    assert os.listdir(homeless / "cache" / "likeness") == []
