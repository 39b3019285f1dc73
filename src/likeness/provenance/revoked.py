"""This user's list of revoked consent records: copies in bundles are refused by it."""

from __future__ import annotations

import json
from pathlib import Path

from likeness.errors import ConsentError
from likeness.files import data_folder, locked, read_json, replaced, why_unwritable
from likeness.provenance.consent import Consent
from likeness.provenance.credentials import user_folder

NAME = "revoked.json"


def revoked_numbers(folder: Path | None = None) -> frozenset[str]:
    """Return the numbers (`Consent.id`) of the records that were revoked here.

    Args:
        folder: Where the list is kept; None is `user_folder()`. Where no home folder is known
            there is no list, and nothing was revoked here.

    Raises:
        ConsentError: The list is damaged: what was revoked must not come back by that.
    """
    folder = folder or data_folder()
    return frozenset(_listed(folder / NAME)) if folder is not None else frozenset()


def _listed(path: Path) -> dict[str, str]:
    """Return the day of revocation by number."""
    if not path.exists() and not path.is_symlink():
        return {}
    try:
        found = read_json(path, ConsentError)
        if not isinstance(found, dict):
            raise ConsentError(f"it holds {type(found).__name__}, expected an object")
    except ConsentError as error:
        raise ConsentError(
            f"{path}, the list of revoked consents, cannot be read ({error}); restore it, or "
            "remove it and revoke the records again"
        ) from error
    return found


def note_revoked(record: Consent, folder: Path | None = None) -> None:
    """Add a revoked record to the list; of any number of processes that do so none is lost.

    Args:
        record: With its revocation.
        folder: As in `revoked_numbers`.

    Raises:
        ConsentError: The list cannot be read or written, or the record is not revoked.
        ConfigError: No home folder is known, so there is no place for the list.
    """
    if record.revoked is None:
        raise ConsentError("the record is not revoked; use `likeness consent revoke FILE.toml`")
    folder = folder or user_folder()
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Read, changed and written under one lock: an entry that is lost here is a withdrawal that
        # is forgotten.
        with locked(folder):
            # No name and no statement: the list outlives the reason to know them.
            content = {**_listed(path), record.id: record.revoked.on.isoformat()}
            with replaced(path) as temporary:
                temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConsentError(f"{path} cannot be written: {why_unwritable(error)}") from error
