"""Numbered pictures: which names they get, and which pictures stand there already."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from likeness.encode.ours import Stamps, own_pictures
from likeness.errors import MediaError
from likeness.outputs.guard import NUMBER

_FOLDER_PATTERN = "%05d.png"


class Numbered:
    """The names of a picture sequence: a pattern in a folder, or a whole folder."""

    def __init__(self, output: Path) -> None:
        """Read the folder and pattern of an output.

        Raises:
            MediaError: the name has an ending and no number.
        """
        named = bool(NUMBER.search(output.name))
        if not named and output.suffix:
            raise MediaError(f"{output} has no number; expected a pattern such as frame_%05d.png")
        self.output = output
        self.folder = output.parent if named else output
        self.pattern = output.name if named else _FOLDER_PATTERN
        self.whole_folder = not named
        self._name = self._expression()

    @property
    def suffix(self) -> str:
        """Ending of the pictures, lower case."""
        return Path(self.pattern).suffix.lower()

    def _expression(self) -> re.Pattern[str]:
        match = NUMBER.search(self.pattern)
        if match is None:
            raise MediaError(f"{self.pattern} has no number such as %05d")
        before, after = self.pattern[: match.start()], self.pattern[match.end() :]
        digits = rf"(\d{{{match.group(1)},}})" if match.group(1) else r"(\d+)"
        return re.compile(re.escape(before) + digits + re.escape(after))

    def name(self, number: int) -> str:
        """Return the file name of picture `number`."""
        match = NUMBER.search(self.pattern)
        width = int(match.group(1) or 1) if match else 1
        return NUMBER.sub(f"{number:0{width}d}", self.pattern, count=1)

    def standing(self) -> list[Path]:
        """Return the pictures that stand there, in the order of their numbers."""
        if not self.folder.is_dir():
            return []
        found = ((self._name.fullmatch(f.name), f) for f in self.folder.iterdir())
        numbered = [(int(match.group(1)), f.name, f) for match, f in found if match]
        return [file for _, _, file in sorted(numbered)]

    def check_inputs(self, inputs: Iterable[Path]) -> None:
        """Make sure that no input is a picture, pattern or folder that the output would mix with.

        Raises:
            MediaError: one is.
        """
        for path in inputs:
            pictures = path if path.is_dir() else path.parent
            hits = path.is_dir() or self._name.fullmatch(path.name) or path.name == self.pattern
            if hits and pictures.resolve() == self.folder.resolve():
                raise MediaError(
                    f"{self.folder / self.pattern} would overwrite the input {path}; choose "
                    "another folder"
                )

    def prove_ours(self) -> Stamps:
        """Return the stamps of the pictures that will be replaced or removed.

        Raises:
            MediaError: they, or other files in a whole folder, are not of an earlier run.
        """
        if self.whole_folder and self.folder.exists():
            if not self.folder.is_dir():
                raise MediaError(f"{self.folder} is a file; expected a folder for pictures")
            foreign = [f.name for f in self.folder.iterdir() if not self._name.fullmatch(f.name)]
            if foreign:
                raise MediaError(
                    f"{self.folder} holds other files ({foreign[0]}); expected a new or empty "
                    "folder, or one of an earlier run"
                )
        return own_pictures(self.standing(), self.output)
