"""This user's list of revoked consent records: copies in bundles are refused by it."""

from __future__ import annotations

import json
from pathlib import Path

from likeness.errors import ConsentError
from likeness.provenance.consent import Consent
from likeness.provenance.credentials import user_folder

NAME = "revoked.json"


def revoked_numbers(folder: Path | None = None) -> frozenset[str]:
    """Return the numbers (`Consent.id`) of the records that were revoked here.

    Args:
        folder: Where the list is kept; None is `user_folder()`.

    Raises:
        ConsentError: The list is damaged: what was revoked must not come back by that.
    """
    path = (folder or user_folder()) / NAME
    if not path.exists():
        return frozenset()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
            raise ValueError("expected an object with a key per record")
    except (OSError, ValueError) as error:
        raise ConsentError(
            f"{path}, the list of revoked consents, cannot be read ({error}); restore it, or "
            "remove it and revoke the records again"
        ) from error
    return frozenset(found)


def note_revoked(record: Consent, folder: Path | None = None) -> None:
    """Add a revoked record to the list.

    Args:
        record: With its revocation.
        folder: As in `revoked_numbers`.

    Raises:
        ConsentError: The list cannot be read or written, or the record is not revoked.
    """
    if record.revoked is None:
        raise ConsentError("the record is not revoked; use `likeness consent revoke FILE.toml`")
    folder = folder or user_folder()
    known = revoked_numbers(folder)
    path = folder / NAME
    before = json.loads(path.read_text(encoding="utf-8")) if known else {}
    # No name and no statement: the list outlives the reason to know them.
    content = {**before, record.id: record.revoked.on.isoformat()}
    temporary = folder / f".{NAME}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ConsentError(f"{path} cannot be written ({error.strerror})") from error
