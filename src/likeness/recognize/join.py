"""Shots of one person are joined across cuts; two faces in one frame are two people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from likeness.errors import TrackError
from likeness.recognize.embedder import Embedder
from likeness.types import Floats, Shot, check


def join(shots: Sequence[Shot], embedder: Embedder) -> tuple[tuple[Shot, ...], ...]:
    """Group the shots of one clip by person.

    The two nearest groups become one as long as the mean distance between their shots is below the
    recognizer's threshold and no frame shows a shot of each. Shots without an identity stay alone.

    Args:
        shots: of one clip, their tracks identified by `embedder`.
        embedder: who tells people apart.

    Returns:
        Groups in the order of their first shot in `shots`, shots by their first frame.

    Raises:
        ContractError: the shots are of several clips, or were identified by another recognizer.
    """
    if not shots:
        return ()
    check(
        len({shot.clip.digest for shot in shots}) == 1,
        "the shots are of several clips; expected those of one, because time tells people apart",
    )
    distances = _distances(shots, embedder)
    groups = [[index] for index in range(len(shots))]
    while True:
        pair = _nearest(groups, distances, embedder.threshold)
        if pair is None:
            break
        groups[pair[0]] += groups.pop(pair[1])
    groups.sort(key=min)
    return tuple(
        tuple(sorted((shots[index] for index in group), key=lambda shot: shot.track.start))
        for group in groups
    )


def most_like(
    code: Floats, shots: Sequence[Shot], embedder: Embedder, whom: str = "the photo"
) -> Shot:
    """Return the shot that shows the person of a code, the nearest of several.

    Args:
        code: (D,) from `embed_faces` or `embed_track`.
        shots: their tracks identified by `embedder`; those that are not are passed over.
        embedder: who tells people apart.
        whom: where the code comes from, for the error.

    Raises:
        TrackError: nobody is like that.
        ContractError: the shots were identified by another recognizer.
    """
    known = [(i, shot.track.identity) for i, shot in enumerate(shots)]
    found = [(float(embedder.distance(code, b)), i) for i, b in known if b is not None]
    if found and min(found)[0] < embedder.threshold:
        return shots[min(found)[1]]
    listed = ", ".join(f"face {i} at {far:.2f}" for far, i in found) or "no face was looked at"
    raise TrackError(
        f"nobody is the person in {whom}: {listed}, expected below {embedder.threshold:g}. Give a"
        " sharper or more frontal photo, or choose the face by its number"
    )


def _distances(shots: Sequence[Shot], embedder: Embedder) -> Floats:
    """(K,K) distances between shots; infinite between two that cannot be one person."""
    distances = np.full((len(shots), len(shots)), np.inf, np.float32)
    for i, a in enumerate(shots):
        for j, b in enumerate(shots[:i]):
            one, other = a.track.identity, b.track.identity
            if one is None or other is None or _together(a, b):
                continue
            distances[i, j] = distances[j, i] = float(embedder.distance(one, other))
    return distances


def _together(a: Shot, b: Shot) -> bool:
    """Tell whether a frame has both faces, seen or filled in."""
    first, second = a.track.window, b.track.window
    return max(first.start, second.start) < min(first.stop, second.stop)


def _nearest(
    groups: Sequence[Sequence[int]], distances: Floats, threshold: float
) -> tuple[int, int] | None:
    """Return the two groups of least mean distance below the threshold, or None."""
    best, pair = threshold, None
    for i, one in enumerate(groups):
        for j in range(i + 1, len(groups)):
            # One infinite distance makes the mean infinite: these two never meet.
            mean = float(distances[np.ix_(one, groups[j])].mean())
            if mean < best:
                best, pair = mean, (i, j)
    return pair
