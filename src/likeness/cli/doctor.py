"""`likeness doctor`: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from likeness.cli.options import Options
from likeness.errors import BackendError

EXAMPLE = "Example: likeness doctor --json"


def doctor(*, options: Options = Options()) -> Mapping[str, Any]:  # noqa: B008  # frozen
    """Say what this machine has, what of likeness is usable here, and what mends the rest."""
    from likeness.doctor import examine

    found = examine()
    missing = [part for part in found.parts if not part.usable]
    if not found.healthy and not options.json:
        broken = "; ".join(f"{part.name}: {part.detail} ({part.mend})" for part in missing)
        raise BackendError(f"this machine cannot run likeness: {broken}")
    return {
        "healthy": found.healthy,
        "machine": dataclasses.asdict(found.machine),
        "parts": {part.name: _words(part.usable, part.detail) for part in found.parts},
        "missing": {part.name: part.mend for part in missing},
    }


def _words(usable: bool, detail: str) -> str:
    return detail if usable else f"not usable: {detail}"
