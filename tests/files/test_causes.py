"""What the system's errors say, for reading and for writing."""

from __future__ import annotations

import errno
import os

import pytest

from likeness.files import why_unreadable, why_unwritable


@pytest.mark.parametrize(
    ("number", "writing", "reading"),
    [(errno.ENOSPC, "the disk is full: free some space, or", "the disk is full: free some space"),
     (errno.EACCES, "or choose another folder", "or those of its folder"),
     (errno.EROFS, "is read-only: choose another folder", "the file system is read-only"),
     (errno.EIO, "reports a fault: choose another disk", "copy the file from its source"),
     (errno.ENOENT, "no such file or folder: make the folder", "there is no such file or folder")],
)  # fmt: skip
def test_a_remedy_fits_what_was_tried(number: int, writing: str, reading: str) -> None:
    error = OSError(number, os.strerror(number))
    assert writing in why_unwritable(error)
    assert reading in why_unreadable(error)


def test_who_reads_is_not_sent_to_another_disk() -> None:
    for number in errno.errorcode:
        assert "choose another" not in why_unreadable(OSError(number, "x"))


def test_what_is_unknown_speaks_for_itself() -> None:
    error = OSError(errno.EXDEV, "Invalid cross-device link")
    assert why_unwritable(error) == why_unreadable(error) == "Invalid cross-device link"
    assert why_unwritable(ValueError("odd")) == "odd"
    assert why_unreadable(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize("name", ["a\0b", "half a \ud800 character"])
def test_what_cannot_be_a_name_is_told_so(name: str) -> None:
    with pytest.raises(ValueError, match="null byte|surrogates") as caught:
        os.stat(name)
    assert why_unreadable(caught.value) == "its name is no file name"
