"""Follow known faces without looking for others all the time.

MediaPipe's face mesh runs its detector in every frame in which it follows fewer faces than it was
opened for: with room for four and one person in view, that is a third of all work. A mesh opened
for as many faces as there are never looks, and reads the same numbers. So people are counted once a
run of frames, and a run into which somebody new has come is read again from its first frame.
"""

from __future__ import annotations

from collections.abc import Sequence

from likeness.track.blocks import by_shots
from likeness.track.config import TrackConfig
from likeness.track.detect import Image, Lookout
from likeness.track.landmarks import BundledReader, Face, Mesh


class FollowingReader(BundledReader):
    """The bundled reader, looking for newcomers at the end of each run only.

    What is read depends on where runs end; give it those of `track.blocks`, which begin at cuts, so
    that it does not depend on how a clip was cut into parts. Runs of one frame are read as
    `BundledReader` reads them, and every run is where nobody is known yet.
    """

    def __init__(self, config: TrackConfig) -> None:
        super().__init__(config)
        self._few: dict[int, Mesh] = {}
        self._lookout: Lookout | None = None
        self._before: Image | None = None
        """The frame before the next run."""
        self._count = 0
        """Faces in it that a mesh follows."""
        self._warm: Mesh | None = None
        """The mesh that has read it."""

    def read(self, image: Image) -> list[Face]:
        """Return the faces in a (H,W,3) uint8 RGB image."""
        return self._read_part([image])[0]

    def read_run(self, images: Sequence[Image], cuts: Sequence[bool]) -> list[list[Face]]:
        """Read frames that follow each other; at the end of the run newcomers are looked for."""
        return by_shots(images, cuts, self.reset, self._read_part)

    def reset(self) -> None:
        """Forget where faces were."""
        super().reset()
        self._before, self._count, self._warm = None, 0, None

    def close(self) -> None:
        """Free the models."""
        super().close()
        for mesh in self._few.values():
            mesh.close()
        if self._lookout is not None:
            self._lookout.close()

    def _read_part(self, images: Sequence[Image]) -> list[list[Face]]:
        """Read frames of one shot."""
        if self._before is None and len(images) > 1:
            # Who is there is counted in the first frame.
            return self._read_part(images[:1]) + self._read_part(images[1:])
        count, most = max(1, self._count), self._config.max_faces
        boxes, found = self._boxes, []
        if len(images) > 1 and count < most:
            found = self._followed(self._mesh_of(count), images)
            known = [face.box for face in found[-1]]
            if self._looking().stranger(images[-1], known) and self._more(images[-1], count):
                self._boxes, found = boxes, []
        found = found or self._followed(self._direct, images)
        self._before = images[-1]
        return found

    def _followed(self, mesh: Mesh, images: Sequence[Image]) -> list[list[Face]]:
        """Read with a mesh that is shown the frame before first, if it does not know it yet."""
        if mesh is not self._warm:
            mesh.reset()
            if self._before is not None:
                mesh.read(self._before)
        found = []
        for image in images:
            faces = mesh.read(image)
            found.append(self._with_small(image, faces))
        self._count, self._warm = len(faces), mesh
        return found

    def _more(self, image: Image, count: int) -> bool:
        """Return whether more faces than those followed can be read; a detector errs at times."""
        self._direct.reset()
        return len(self._direct.read(image)) > count

    def _mesh_of(self, count: int) -> Mesh:
        if count not in self._few:
            self._few[count] = Mesh(self._config, count)
        return self._few[count]

    def _looking(self) -> Lookout:
        if self._lookout is None:
            self._lookout = Lookout(self._config.min_confidence)
        return self._lookout
