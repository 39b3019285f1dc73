"""Where output goes: written beside its final name, and put in place when whole."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from pathlib import Path

from likeness.errors import MediaError
from likeness.provenance.manifest import Manifest, sidecar_of

PICTURE_SUFFIXES = {".png", ".tif", ".tiff", ".exr"}
_NUMBER = re.compile(r"%(?:0(\d+))?d")
_FOLDER_PATTERN = "%05d.png"


def partial_name(output: Path) -> Path:
    """Return an unused hidden name beside `output`, with the same ending."""
    return output.with_name(f".{output.stem}.{secrets.token_hex(4)}.partial{output.suffix}")


def check_place(output: Path, inputs: tuple[Path, ...]) -> None:
    """Make sure that writing `output` can succeed and destroys none of `inputs`.

    Raises:
        MediaError: The folder does not exist, or the output is one of the inputs.
    """
    if not output.parent.is_dir():
        raise MediaError(f"the folder {output.parent} does not exist; make it first")
    for path in inputs:
        same = output.resolve() == path.resolve()
        if same or (output.exists() and path.exists() and output.samefile(path)):
            raise MediaError(f"{output} is an input; an input is never overwritten; rename one")


class AtomicFile:
    """One file that appears when whole."""

    def __init__(self, output: Path) -> None:
        if output.is_dir():
            raise MediaError(f"{output} is a folder; expected the name of a file")
        self.output = output
        self.partial = partial_name(output)

    def commit(self) -> None:
        """Put the whole file in place."""
        os.replace(self.partial, self.output)

    def discard(self) -> None:
        """Remove what was written."""
        self.partial.unlink(missing_ok=True)


class AtomicPictures:
    """Numbered pictures that appear when all are written."""

    def __init__(self, output: Path, inputs: tuple[Path, ...]) -> None:
        named = bool(_NUMBER.search(output.name))
        if not named and output.suffix:
            raise MediaError(f"{output} has no number; expected a pattern such as frame_%05d.png")
        self.folder = output.parent if named else output
        self.pattern = output.name if named else _FOLDER_PATTERN
        self._whole_folder = not named
        self._name = self._expression()
        self._check(inputs)
        self.partial = partial_name(self.folder if self._whole_folder else output)
        self.partial.mkdir()

    @property
    def suffix(self) -> str:
        """Ending of the pictures, lower case."""
        return Path(self.pattern).suffix.lower()

    def _expression(self) -> re.Pattern[str]:
        match = _NUMBER.search(self.pattern)
        if match is None:
            raise MediaError(f"{self.pattern} has no number such as %05d")
        before, after = self.pattern[: match.start()], self.pattern[match.end() :]
        digits = rf"\d{{{match.group(1)},}}" if match.group(1) else r"\d+"
        return re.compile(re.escape(before) + digits + re.escape(after))

    def _check(self, inputs: tuple[Path, ...]) -> None:
        for path in inputs:
            pictures = path if path.is_dir() else path.parent
            hits = path.is_dir() or self._name.fullmatch(path.name) or path.name == self.pattern
            if hits and pictures.resolve() == self.folder.resolve():
                raise MediaError(
                    f"{self.folder / self.pattern} would overwrite the input {path}; choose "
                    "another folder"
                )
        if self._whole_folder and self.folder.exists():
            foreign = [f.name for f in self.folder.iterdir() if not self._name.fullmatch(f.name)]
            if foreign:
                raise MediaError(
                    f"{self.folder} holds other files ({foreign[0]}); expected a new or empty "
                    "folder, or one of an earlier run"
                )

    def path(self, number: int) -> Path:
        """Return where to write picture `number` for now."""
        match = _NUMBER.search(self.pattern)
        width = int(match.group(1) or 1) if match else 1
        return self.partial / _NUMBER.sub(f"{number:0{width}d}", self.pattern, count=1)

    def commit(self) -> None:
        """Put the pictures in place of those of an earlier run."""
        self.folder.mkdir(exist_ok=True)
        written = sorted(self.partial.iterdir())
        names = {file.name for file in written}
        for old in list(self.folder.iterdir()):
            if self._name.fullmatch(old.name) and old.name not in names:
                old.unlink()
        for file in written:
            os.replace(file, self.folder / file.name)
        self.partial.rmdir()

    def discard(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self.partial, ignore_errors=True)


def stage_sidecar(output: Path, manifest: Manifest) -> AtomicFile:
    """Write `OUTPUT.manifest.json` under a hidden name, to be put in place with the output."""
    target = AtomicFile(sidecar_of(output))
    try:
        target.partial.write_text(manifest.json() + "\n", encoding="utf-8")
    except OSError:
        target.discard()
        raise
    return target
