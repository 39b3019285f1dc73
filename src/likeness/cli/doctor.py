"""`likeness doctor`: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from likeness.cli.options import Options

EXAMPLE = "Example: likeness doctor --json"


def doctor(*, options: Options = Options()) -> Mapping[str, Any]:  # noqa: B008  # frozen
    """Say what this machine has, what of likeness is usable here, and what mends the rest.

    The exit code is 1 if something is missing that has no stand-in.
    """
    from likeness.doctor import examine

    found = examine()
    return {
        "healthy": found.healthy,
        "machine": dataclasses.asdict(found.machine),
        "parts": {
            part.name: part.detail if part.usable else f"not usable: {part.detail}"
            for part in found.parts
        },
        "missing": {part.name: part.mend for part in found.parts if not part.usable},
    }
