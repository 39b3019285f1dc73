"""Pseudo-targets: pairs with answers from photos and clips of real people.

Papers: ReliableSwap (Yuan et al., arXiv 2306.05356) and DreamID (arXiv 2504.14509): of one person
two pictures A1 and A2, of another B; T' is A2 with B's face on it, made by some other swap. A
network that is shown T' and told who A1 is has to give back A2, which no swap ever touched.
Here T' comes from the method `photo`, with the finish of every swap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from likeness.composite.blend import composite
from likeness.composite.finish_settings import FinishConfig
from likeness.condition.align import Template, aligned_crop
from likeness.condition.crop import cut
from likeness.decode import Decoder
from likeness.errors import TrackError
from likeness.methods.photo.animation import Photo
from likeness.methods.swap.compact.pairs import Faces, Pairs, asked
from likeness.methods.swap.method import Swapped, seconds_of
from likeness.methods.swap.photo import PhotoSwapConfig, photo_swapper
from likeness.methods.swap.photos import photos_in
from likeness.methods.swap.simswap.people import lies
from likeness.methods.swap.view import Swapper, SwapTarget, moved
from likeness.recognize.source import Describer
from likeness.types import Crop, Floats, Ints, Progress, Shot, Timeline, Window, silent

_PEOPLE = 2


class _Album:
    """Rows of `Faces`, as they come in."""

    def __init__(self) -> None:
        self.pictures: list[torch.Tensor] = []
        self.cover: list[torch.Tensor] = []
        self.theta: list[Floats] = []
        self.people: list[int] = []
        self.real: list[bool] = []

    def add(
        self, picture: torch.Tensor, cover: torch.Tensor, theta: Floats, person: int, real: bool
    ) -> int:
        """Keep one face and return its row."""
        self.pictures.append(picture)
        self.cover.append(cover)
        self.theta.append(theta)
        self.people.append(person)
        self.real.append(real)
        return len(self.real) - 1

    def faces(self) -> Faces:
        """Return all of them."""
        return Faces(
            _bytes(torch.cat(self.pictures)),
            _bytes(torch.cat(self.cover)),
            torch.from_numpy(np.concatenate(self.theta)),
            np.array(self.people),
            np.array(self.real),
        )


def pairs_of_people(
    people: Mapping[str, Sequence[Shot]],
    template: Template,
    recognizer: Describer,
    most: int,
    pseudo: int,
    progress: Progress = silent,
) -> Pairs:
    """Make pairs with answers of real people.

    Args:
        people: photos (clips of one frame) and clips by person, looked at.
        template: how the crops lie.
        recognizer: who says who they are.
        most: pictures of each person at most.
        pseudo: how many of them get another person's face, to be undone.
        progress: called as ("pairs", done, total).

    Raises:
        TrackError: these are fewer than two people, or nobody is to get another's face.
        MediaError: a clip cannot be read.
    """
    if len(people) < _PEOPLE or pseudo < 1:
        raise TrackError(
            f"{len(people)} person has faces that can be used, and {pseudo} pictures of each are "
            f"to be changed; expected at least {_PEOPLE} people and one picture"
        )
    album, shown, wanted = _Album(), list[int](), list[int]()
    photos = [photos_in(shots[0], 1)[0] for shots in people.values()]
    for person, shots in enumerate(people.values()):
        # Everybody gets the faces of those who come next.
        others = [photos[(person + step) % len(photos)] for step in range(1, len(photos))]
        share = max(1, most // len(shots))
        left = pseudo
        for shot in shots:
            changed = min(left, share, int(shot.track.observed.sum()))
            left -= changed
            rows = _spread(np.flatnonzero(shot.track.observed), share)
            for index, row in enumerate(rows.tolist()):
                # After n of them n more people have had their turn.
                other = others[(len(shown) + index) % len(others)] if index < changed else None
                found = _taken(album, person, shot, row, other, (template, recognizer.template))
                if found is not None:
                    shown.append(found[0])
                    wanted.append(found[1])
        progress("pairs", person + 1, len(people))
    return asked(album.faces(), np.array(shown), np.array(wanted), recognizer)


def _taken(
    album: _Album,
    person: int,
    shot: Shot,
    row: int,
    other: Photo | None,
    templates: tuple[Template, Template],
) -> tuple[int, int] | None:
    """Keep one picture of a person, and the same with another's face; return both rows."""
    landmarks = shot.track.landmarks[row : row + 1]
    crop = aligned_crop(landmarks, templates[0])
    theta = lies(crop, aligned_crop(landmarks, templates[1]))
    at = shot.track.start + row
    with Decoder(shot.clip) as decoder:
        frame = decoder.read(Window(at, at + 1))
    picture = cut(frame, crop)
    if other is None:
        album.add(picture, torch.zeros_like(picture[:, :1]), theta, person, True)
        return None
    changed, cover = with_face(frame, shot, at, other, crop)
    real = album.add(picture, cover, theta, person, True)
    # Whose face was put there is nobody's business: the pair is read in one direction only.
    return album.add(changed, cover, theta, person, False), real


def with_face(
    frame: torch.Tensor, shot: Shot, at: int, photo: Photo, crop: Crop
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put a photo's face on a frame (1,3,H,W), as the method `photo` does; see `swapped_by`."""
    return swapped_by(photo_swapper((photo,), shot, PhotoSwapConfig()), frame, shot, at, crop)


def swapped_by(
    swapper: Swapper, frame: torch.Tensor, shot: Shot, at: int, crop: Crop
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put a face on a frame (1,3,H,W), with the finish of every swap.

    Returns:
        (1,3,h,w) RGB and (1,1,h,w) where it was put, in the crop.
    """
    method = Swapped(
        swapper,
        SwapTarget.of(shot, seconds_of(Timeline.of(shot.clip))),
        FinishConfig(),
    )
    layer = method.synthesize(method.condition(Window(at, at + 1), frame))
    painted = composite(frame.clone(), layer)
    return cut(painted, crop), moved(layer.alpha, layer.crop, crop).clamp(0, 1)


def _spread(rows: Ints, count: int) -> Ints:
    chosen = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    return np.asarray(rows[chosen], np.int64)


def _bytes(pictures: torch.Tensor) -> NDArray[np.uint8]:
    return np.asarray((pictures.clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy(), np.uint8)
