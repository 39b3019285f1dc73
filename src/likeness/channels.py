"""How many channels a sound track has, asked so that nothing is freed twice.

PyAV hands out a copy of a track's channel layout that shares memory with the track's codec context
where channels stand in an order of their own (`chan` in MOV and CAF, labels in MXF). Both free it,
and the process ends. Decoded frames take their layout from the context, so the same happens once a
frame.
"""

from __future__ import annotations

from typing import Any

_STANDARD = {
    "mono", "stereo", "2.1", "3.0", "3.0(back)", "4.0", "quad", "quad(side)", "3.1", "5.0",
    "5.0(side)", "4.1", "5.1", "5.1(side)", "6.0", "6.1", "7.0", "7.1", "7.1(wide)",
}  # fmt: skip


def plain_channels(context: Any) -> int:
    """Give a track a layout without memory of its own, and return its number of channels.

    To be called before anything else asks for the layout or the number of channels, and before the
    first frame is decoded. What PyAV handed out becomes the only owner of the shared memory, as
    soon as the context is given another layout; a standard one stays as it is, and of any other
    only the number of channels is kept.

    Args:
        context: an `av.AudioCodecContext` for decoding that is not open.
    """
    found = context.layout
    count = int(found.nb_channels)
    name = found.name
    context.layout = name if name in _STANDARD else f"{max(count, 1)} channels"
    return count
