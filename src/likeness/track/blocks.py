"""Hand frames on in blocks that a shot is divided into from its first frame on.

Windows of decoded frames lie as a clip, or a part of it, was cut; blocks lie as its shots do, so
that what is found block by block is the same whatever part it was found in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from likeness.track.detect import Image
from likeness.track.landmarks import Face
from likeness.types import Window

Block = tuple[Window, list[Image], bool]
"""Frames, their pictures, and whether the first begins a new shot."""


class Blocks:
    """Gathers pictures that follow each other into blocks."""

    def __init__(self, length: int) -> None:
        """Make blocks of `length` frames; the last one of a shot may be shorter."""
        self._length = length
        self._start = 0
        self._images: list[Image] = []
        self._begins = False

    def add(self, start: int, images: Sequence[Image], cuts: Sequence[bool]) -> Iterator[Block]:
        """Take the pictures from frame `start` on and yield the blocks that are complete.

        Args:
            start: number of the first frame; the one after the last that was added.
            images: (H,W,3) uint8 RGB each.
            cuts: whether a new shot begins there.
        """
        for index, (image, cut) in enumerate(zip(images, cuts, strict=True), start):
            if cut or len(self._images) == self._length:
                yield from self.rest()
                self._begins = cut
            if not self._images:
                self._start = index
            self._images.append(image)

    def rest(self) -> Iterator[Block]:
        """Yield what is left when no more pictures come."""
        if self._images:
            stop = self._start + len(self._images)
            yield Window(self._start, stop), self._images, self._begins
        self._images, self._begins = [], False


def by_shots(
    images: Sequence[Image],
    cuts: Sequence[bool],
    forget: Callable[[], None],
    read: Callable[[Sequence[Image]], list[list[Face]]],
) -> list[list[Face]]:
    """Read frames shot by shot.

    Args:
        images: (H,W,3) uint8 RGB each, which follow each other.
        cuts: whether a new shot begins there.
        forget: called before a new shot.
        read: reads frames of one shot.
    """
    found: list[list[Face]] = []
    while len(found) < len(images):
        at = len(found)
        if cuts[at]:
            forget()
        stop = next((i for i in range(at + 1, len(images)) if cuts[i]), len(images))
        found += read(images[at:stop])
    return found
