"""What a one-to-one swap looks like: the target's faces above, the source's in their place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from likeness.condition.crop import cut
from likeness.condition.face_types import FaceType, face_crop
from likeness.decode import Decoder
from likeness.methods.swap.autoencoder.data import Faces
from likeness.networks import build, face_runner
from likeness.types import Weights, Window

_SHOWN = 6


def preview_of(generator: Weights, target: Sequence[Faces], face_type: FaceType) -> torch.Tensor:
    """Draw the preview of a bundle.

    Args:
        generator: a trained network.
        target: faces of the target.
        face_type: how they are cut.

    Returns:
        (3,2S,kS) RGB in [0,1].
    """
    network = build(generator)
    side = int(network.config.size)  # type: ignore[arg-type]
    run = face_runner(network, torch.device("cpu"))
    places = [(part, row) for part in target for row in range(len(part))]
    chosen = np.linspace(0, len(places) - 1, min(_SHOWN, len(places))).astype(int)
    columns = []
    for part, row in (places[index] for index in chosen):
        time = int(part.times[row])
        with Decoder(part.clip) as decoder:
            frame = decoder.read(Window(time, time + 1))
        given = cut(frame, face_crop(part.points[row : row + 1], face_type, side))
        columns.append(torch.cat([given[0], run(given).rgb[0]], 1))
    return torch.cat(columns, 2)
