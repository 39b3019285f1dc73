"""Tables as people and spreadsheets save them.

Fields may be parted by commas, semicolons or tabs; where it is not commas, decimal commas are read
as well. A byte order mark, a first line `sep=;` and rows without content are taken, and the rows
are counted so that their reader can say so. Files are read line by line, never whole.
"""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from likeness.errors import LikenessError
from likeness.files.causes import why_unreadable
from likeness.files.regular import open_regular
from likeness.files.texts import encoding_of

FILE_LIMIT = 2**30
"""Largest table in bytes: an hour of a phone's face capture has a fifth of it."""
LINE_LIMIT = 2**18
"""Longest line in characters."""
_SEPARATORS = ",;\t"

log = logging.getLogger("likeness.files")


@dataclass(eq=False)
class Sheet:
    """A table whose rows are still to be read. Not frozen: it counts what it skips."""

    path: Path
    error: type[LikenessError]
    header: tuple[str, ...]
    """Names of the columns without blanks around them; empty where the file is."""
    separator: str
    _lines: Iterator[str] = field(repr=False)
    _before: int = 0
    """Lines of the file above the header's end."""
    empty: int = 0
    """Rows without content that were skipped so far."""

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of the line and its cells, as many as the header has.

        Rows that are shorter end in empty cells. In the end a warning tells how many rows without
        content were skipped.

        Raises:
            error: the file cannot be read further, is no text, or a row has more cells.
        """
        for line, cells in _records(self.path, self.error, self._lines, self.separator):
            if not any(cell.strip() for cell in cells):
                self.empty += 1
                continue
            more = cells[len(self.header) :]
            if any(cell.strip() for cell in more):
                raise self.error(
                    f"{self.path}, line {line + self._before}: {len(cells)} cells, expected "
                    f"{len(self.header)} as in the header; correct the line"
                )
            short = len(self.header) - len(cells)
            yield line + self._before, cells[: len(self.header)] + [""] * short
        if self.empty:
            log.warning("%s: %d rows without content were skipped", self.path.name, self.empty)

    def number(self, line: int, column: str, cell: str) -> float:
        """Return the number in a cell.

        Raises:
            error: it is none, or not finite.
        """
        number = _number(cell.strip(), self.separator != ",")
        if not math.isfinite(number):
            raise self.error(
                f"{self.path}, line {line}: {column} is {cell[:40]!r}"
                f"{'' if math.isnan(number) and cell.strip().lower() != 'nan' else ', not finite'}"
                "; expected numbers or nothing"
            )
        return number


def open_sheet(path: Path, error: type[LikenessError], expected: str) -> Sheet:
    """Open a table and read its header.

    Args:
        path: a text file in UTF-8, or in what its byte order mark says.
        error: what to raise.
        expected: what the table should be, for messages.

    Raises:
        error: the file is missing, no regular file, too large, or no text.
    """
    lines = _lines(path, error, expected)
    before, first = 0, ""
    for line in lines:
        before += 1
        if line[:4].lower() == "sep=":
            first = line[4:5]
        elif line.strip():
            break
    else:
        return Sheet(path, error, (), ",", iter(()), before)
    separator = first if first in tuple(_SEPARATORS) else _separator(line)
    # A name may hold a line feed inside quotes; then the header takes more lines than one.
    again = _chain(line, lines)
    counted = _records(path, error, again, separator)
    last, header = next(counted)
    return Sheet(
        path, error, tuple(cell.strip() for cell in header), separator, again, before + last - 1
    )


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _separator(header: str) -> str:
    counts = [_outside_quotes(header).count(separator) for separator in _SEPARATORS]
    return _SEPARATORS[counts.index(max(counts))]


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _lines(path: Path, error: type[LikenessError], expected: str) -> Iterator[str]:
    with open_regular(path, error, expected, FILE_LIMIT) as file:
        encoding, mark = encoding_of(file.read(4))
        file.seek(mark)
        text = io.TextIOWrapper(file, encoding=encoding, newline="")
        try:
            while line := text.readline(LINE_LIMIT + 1):
                if len(line) > LINE_LIMIT:
                    raise error(
                        f"{path} has a line of more than {LINE_LIMIT} characters; expected "
                        f"{expected}"
                    )
                yield line
        except UnicodeDecodeError as reason:
            raise error(
                f"{path} cannot be read as CSV: it is no text in {encoding.upper()}; save it as "
                "UTF-8"
            ) from reason
        except OSError as reason:
            raise error(f"{path} cannot be read as CSV: {why_unreadable(reason)}") from reason


def _records(
    path: Path, error: type[LikenessError], lines: Iterator[str], separator: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of lines read so far and the cells of a record."""
    reader = csv.reader(lines, delimiter=separator)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as reason:
        raise error(f"{path} cannot be read as CSV ({reason}, line {reader.line_num})") from reason


def _number(cell: str, decimal_commas: bool) -> float:
    """Return a number, NaN where there is none.

    >>> _number("0,25", True), _number("1.234,5", True), _number("0.25", True)
    (0.25, 1234.5, 0.25)
    """
    if "_" in cell or len(cell) > 60:
        return math.nan
    if "," in cell and (decimal_commas or "." not in cell) and cell.count(",") == 1:
        whole, _, part = cell.partition(",")
        cell = f"{whole.replace('.', '')}.{part}"
    try:
        return float(cell)
    except ValueError:
        return math.nan


def columns_of(header: Sequence[str]) -> dict[str, int]:
    """Return where each name stands; of equal names the first.

    >>> columns_of(["a", "b", "a"])
    {'a': 0, 'b': 1}
    """
    places: dict[str, int] = {}
    for index, name in enumerate(header):
        places.setdefault(name, index)
    return places
