"""Standard output and error that cost no work: closed, full, or short of characters."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast


class _Lasting:
    """A text stream whose end is no error of whoever writes to it.

    What its encoding lacks is written out as an escape. The first failure is kept, and nothing
    more is written.
    """

    def __init__(self, stream: TextIO) -> None:
        self.failure: OSError | None = None
        self._stream = stream

    def write(self, text: str) -> int:
        if self.failure is None:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            shown = text.encode(encoding, "backslashreplace").decode(encoding)
            try:
                self._stream.write(shown)
            except OSError as error:
                self._end(error)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._end(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _end(self, error: OSError) -> None:
        self.failure = error
        # What Python still holds would fail a second time as it leaves, and change the exit code.
        with contextlib.suppress(OSError, ValueError):
            _to_nowhere(self._stream.fileno())


@contextlib.contextmanager
def lasting_streams() -> Iterator[None]:
    """Let standard output and error outlast whoever listens, while the block runs.

    A reader that has gone (a closed pipe) wanted no more and is told nothing. Where standard
    output ends for another reason (a full disk), standard error says so.
    """
    out, err = _lasting(sys.stdout, 1), _lasting(sys.stderr, 2)
    with (
        contextlib.redirect_stdout(cast(TextIO, out)),
        contextlib.redirect_stderr(cast(TextIO, err)),
    ):
        try:
            yield
        finally:
            out.flush()
            if out.failure is not None and out.failure.errno != errno.EPIPE:
                from likeness.files import why_unwritable

                err.write(
                    "likeness: the answer could not be written to standard output: "
                    f"{why_unwritable(out.failure)}. Files that the command wrote are not "
                    "concerned.\n"
                )
            err.flush()


def _lasting(stream: TextIO | None, number: int) -> _Lasting:
    if stream is None:
        # Closed before we began: a file opened later would get its number, and the words of a
        # library written in C would land in that file.
        try:
            os.fstat(number)
        except OSError:
            _to_nowhere(number)
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - lives as long as we do
    return _Lasting(stream)


def _to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
