"""Killed at any step, or written by many at once: nothing is lost, nothing is left over."""

from __future__ import annotations

import secrets
from datetime import date
from pathlib import Path

import pytest
import torch

from likeness import store
from likeness.errors import BundleError, ConsentError
from likeness.provenance.consent import Consent, Scope, revoke
from likeness.provenance.credentials import load_credentials
from likeness.provenance.revoked import note_revoked, revoked_numbers
from likeness.store.folders import recover
from likeness.types import Bundle, Weights
from tests.confined import at_once, killed_at, without_disk
from tests.store.test_store import make_shot

WRITERS = 80


def bundle(number: int) -> Bundle:
    weights = Weights("portrait", {}, {"w": torch.full((4,), float(number))})
    return Bundle("reenact.fast", {"portrait": weights}, {}, {"steps": number}, "none")


def steps(path: Path) -> object:
    return store.load_bundle(path).training["steps"]


def hidden(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("."))


def test_a_replaced_bundle_survives_every_kill_with_its_resume_state(tmp_path: Path) -> None:
    kills = 0
    for step in range(40):
        folder = tmp_path / str(step)
        path = folder / "a.bundle"
        store.save_bundle(bundle(1), path)
        store.save_state(path / "resume", {"m": torch.ones(3)}, {"step": 7})
        killed = killed_at(step, lambda path=path: store.save_bundle(bundle(2), path))
        state = store.load_state(path / "resume")
        assert state is not None, f"the state is lost after a kill at step {step}"
        assert state[1] == {"step": 7}
        assert steps(path) in ((1, 2) if killed else (2,))
        assert hidden(folder) == [], f"left over after a kill at step {step}"
        kills += killed
        if not killed:
            break
    assert kills >= 6


def test_leftovers_of_older_versions_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    store.save_bundle(bundle(1), path)
    store.save_state(path / "resume", {"m": torch.ones(3)}, {"step": 7})
    old = tmp_path / ".a.bundle.k3j_x9ab.old"
    old.mkdir()
    path.rename(old / "before")
    assert store.has_state(path / "resume")
    assert steps(path) == 1
    assert hidden(tmp_path) == []


def test_a_run_begun_anew_in_the_meantime_does_not_hide_the_state(tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    store.save_bundle(bundle(1), path)
    store.save_state(path / "resume", {"m": torch.ones(3)}, {"step": 7})
    path.rename(tmp_path / ".a.bundle.0123abcd.old")
    (path / "resume").mkdir(parents=True)
    (path / "resume" / "0123.crops").write_bytes(b"x")
    state = store.load_state(path / "resume")
    assert state is not None
    assert state[1] == {"step": 7}
    assert steps(path) == 1


def test_a_folder_that_somebody_works_in_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    store.save_bundle(bundle(1), path)
    with store.folders.whole_folder(path, "bundle.json") as folder:
        recover(path)
        assert folder.is_dir()
        (folder / "bundle.json").write_bytes((path / "bundle.json").read_bytes())
        (folder / "portrait.safetensors").write_bytes((path / "portrait.safetensors").read_bytes())
    assert steps(path) == 1
    assert hidden(tmp_path) == []


def test_a_state_survives_every_kill_while_it_is_replaced(tmp_path: Path) -> None:
    for step in range(20):
        path = tmp_path / str(step) / "resume"
        store.save_state(path, {"m": torch.ones(3)}, {"step": 1})
        new = torch.zeros(3)
        killed = killed_at(
            step, lambda path=path, new=new: store.save_state(path, {"m": new}, {"step": 2})
        )
        state = store.load_state(path)
        assert state is not None
        assert float(state[0]["m"][0]) == 2 - state[1]["step"]
        store.save_state(path, {"m": torch.ones(3)}, {"step": 3})
        assert len(list(path.iterdir())) == 2
        if not killed:
            break
    assert step >= 3


def test_a_state_is_there_or_gone_at_every_kill_while_it_is_removed(tmp_path: Path) -> None:
    for step in range(20):
        bundle_path = tmp_path / str(step) / "a.bundle"
        path = bundle_path / "resume"
        store.save_bundle(bundle(1), bundle_path)
        store.save_state(path, {"m": torch.ones(3)}, {"step": 1})
        store.save_state(path / "phase1", {"m": torch.ones(3)}, {"step": 2})
        killed = killed_at(step, lambda path=path: store.remove_state(path))
        whole = store.load_state(path)
        assert whole is None or whole[1] == {"step": 1}
        assert (store.load_state(path / "phase1") is None) == (whole is None)
        assert hidden(bundle_path) == []
        store.save_bundle(bundle(2), bundle_path)
        if not killed:
            assert whole is None
            break
    assert step >= 3


def test_an_index_without_its_tensors_counts_as_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.save_state(tmp_path, {"m": torch.ones(3)}, {"step": 1})
    next(tmp_path.glob("state_*")).unlink()
    assert store.load_state(tmp_path) is None
    assert "was being removed" in caplog.text


@pytest.mark.parametrize("name", ["notes.txt", "other.safetensors", "pictures"])
def test_what_is_not_ours_is_never_replaced(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    store.save_bundle(bundle(1), path)
    (path / name).mkdir() if name == "pictures" else (path / name).write_text("mine")
    with pytest.raises(BundleError, match=f"also holds {name}"):
        store.save_bundle(bundle(2), path)
    assert (path / name).exists()
    assert steps(path) == 1


def test_a_link_to_a_bundle_is_written_through(tmp_path: Path) -> None:
    store.save_bundle(bundle(1), tmp_path / "real.bundle")
    (tmp_path / "a.bundle").symlink_to("real.bundle")
    store.save_bundle(bundle(2), tmp_path / "a.bundle")
    assert (tmp_path / "a.bundle").is_symlink()
    assert steps(tmp_path / "real.bundle") == 2


def records(count: int) -> list[Consent]:
    scope = Scope(methods=("all",), start=date(2026, 1, 1))
    return [
        revoke(
            Consent(
                id=secrets.token_hex(16), person="A", role="target", statement="b", scope=scope
            ),
            date(2026, 2, 1),
        )
        for _ in range(count)
    ]


def test_no_revocation_is_lost_among_many(tmp_path: Path) -> None:
    known = records(WRITERS)
    ends = at_once(WRITERS, lambda number: note_revoked(known[number], tmp_path / "user"))
    assert set(ends) == {"ok"}
    assert revoked_numbers(tmp_path / "user") == {record.id for record in known}
    assert [file.name for file in (tmp_path / "user").iterdir()] == ["revoked.json"]


def test_a_revocation_survives_every_kill(tmp_path: Path) -> None:
    known = records(8)
    for step in range(8):
        killed = killed_at(step, lambda step=step: note_revoked(known[step], tmp_path))
        found = revoked_numbers(tmp_path)
        if not killed:
            assert known[step].id in found
            break
    note_revoked(known[-1], tmp_path)
    assert known[-1].id in revoked_numbers(tmp_path)


def test_many_make_one_chain(tmp_path: Path) -> None:
    folder = tmp_path / "user"

    def sign(number: int) -> None:
        (tmp_path / f"{number}.pem").write_text(load_credentials(folder).chain)

    assert set(at_once(WRITERS, sign)) == {"ok"}
    assert len({(tmp_path / f"{number}.pem").read_text() for number in range(WRITERS)}) == 1
    assert [entry.name for entry in folder.iterdir()] == ["local"]


def test_a_chain_half_made_is_swept(tmp_path: Path) -> None:
    for step in range(12):
        folder = tmp_path / str(step)
        killed = killed_at(step, lambda folder=folder: load_credentials(folder))
        assert "BEGIN CERTIFICATE" in load_credentials(folder).chain
        assert [entry.name for entry in folder.iterdir()] == ["local"]
        if not killed:
            break
    assert step >= 2


def test_many_save_one_state_and_one_cache(tmp_path: Path) -> None:
    path = tmp_path / "resume"

    def save(number: int) -> None:
        store.save_state(path, {"m": torch.full((50,), float(number))}, {"step": number})
        assert store.load_state(path) is not None

    assert set(at_once(20, save)) == {"ok"}
    state = store.load_state(path)
    assert state is not None
    assert float(state[0]["m"][0]) == state[1]["step"]
    assert len(list(path.iterdir())) == 2
    shot = make_shot(tmp_path)
    ends = at_once(20, lambda _: store.cache_shots(shot.clip, "cd" * 32, [shot]))
    assert set(ends) == {"ok"}
    assert store.cached_shots(shot.clip, "cd" * 32) is not None
    assert hidden(tmp_path / ".likeness") == []


def test_a_full_disk_costs_the_cache_and_nothing_else(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)

    def analyzed() -> None:
        assert store.cache_shots(shot.clip, "cd" * 32, [shot]) is None
        assert store.cached_shots(shot.clip, "cd" * 32) is None

    assert without_disk(4000, analyzed) == "ok"
    assert hidden(tmp_path / ".likeness") == []


def test_a_full_disk_is_named_and_keeps_what_was(tmp_path: Path) -> None:
    shot, path, table = make_shot(tmp_path), tmp_path / "a.shot", tmp_path / "a.csv"
    store.save_shot(shot, path)
    store.save_state(tmp_path / "resume", {"m": torch.ones(3)}, {"step": 1})
    note_revoked(records(1)[0], tmp_path)

    def told() -> None:
        larger = {"m": torch.ones(9999)}
        with pytest.raises(BundleError, match="larger than"):
            store.save_state(tmp_path / "resume", larger, {"step": 2})
        with pytest.raises(BundleError, match="larger than"):
            store.save_shot(shot, path)
        with pytest.raises(BundleError, match="larger than"):
            store.write_table(shot, table)
        with pytest.raises(ConsentError, match="larger than"):
            note_revoked(records(1)[0], tmp_path)

    assert without_disk(60, told) == "ok"
    assert store.load_shot(path).params.focal == shot.params.focal
    state = store.load_state(tmp_path / "resume")
    assert state is not None
    assert state[1] == {"step": 1}
    assert len(list((tmp_path / "resume").iterdir())) == 2
    assert not table.exists()
    assert len(revoked_numbers(tmp_path)) == 1
    assert hidden(tmp_path) == []
