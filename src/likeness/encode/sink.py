"""Where frames may go: everything that takes frames takes a manifest first."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from likeness.encode.coders import EncodeConfig
from likeness.encode.writer import Encoder, encode
from likeness.provenance.manifest import Manifest
from likeness.types import Clip, Timeline


class Sink(Protocol):
    """A marked output before it is opened."""

    @property
    def title(self) -> str:
        """What the manifest calls it."""
        ...

    @property
    def location(self) -> str:
        """Path or address, for reports."""
        ...

    def open(
        self, manifest: Manifest, like: Clip, timeline: Timeline
    ) -> AbstractContextManager[Encoder]:
        """Open it for the frames of a timeline, in the size and color of `like`."""
        ...


@dataclass(frozen=True)
class MarkedFile:
    """A video file, or a sequence of pictures, as `encode` takes its name."""

    output: Path
    config: EncodeConfig = field(default_factory=EncodeConfig)
    inputs: tuple[Path, ...] = ()
    """Everything that is read for it and must not be overwritten."""

    @property
    def title(self) -> str:
        """The file's name."""
        return self.output.name

    @property
    def location(self) -> str:
        """The file's path."""
        return str(self.output)

    def open(
        self, manifest: Manifest, like: Clip, timeline: Timeline
    ) -> AbstractContextManager[Encoder]:
        """Open the file under a hidden name; it appears when whole."""
        return encode(self.output, like, manifest, timeline, self.config, inputs=self.inputs)
