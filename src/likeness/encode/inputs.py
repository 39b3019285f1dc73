"""Everything that is read for an output, bundles' own clips included."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from likeness.errors import LikenessError
from likeness.store import load_shot


def inputs_of(paths: Iterable[Path | str | None]) -> tuple[Path, ...]:
    """Return inputs together with the clips that bundles and shots among them point to.

    Args:
        paths: what a command was given: clips, sounds, tables, records, references, bundles,
            shots. None stands for one that was left out.

    Returns:
        Those that were given, each followed by the clip that it points to. What is no folder of
        ours, or a damaged one, adds nothing: reading it will say what is wrong with it.
    """
    found: list[Path] = []
    for path in (Path(path) for path in paths if path is not None):
        found.append(path)
        for shot in (path, path / "shot"):
            if (shot / "shot.json").is_file():
                found.extend(_clip_of(shot))
    return tuple(dict.fromkeys(found))


def _clip_of(shot: Path) -> tuple[Path, ...]:
    try:
        return (load_shot(shot).clip.path,)
    except LikenessError:
        return ()
