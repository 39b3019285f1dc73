"""Where output goes: proved before the work, written out of sight, put in place when whole.

Convention:
    Nothing is written under its final name before it is whole. Until then it stands beside that
    name under a hidden one, which tells host and process, so that leftovers of a process that was
    killed are told from the work of one that still runs. An output that is a link is written
    through: what the link points at is replaced, and the link stays.

Policy:
    An input is never overwritten, whatever its name (`check_outputs`). What stands under an
    output's name and was not written by this program is kept under another one (`marks`). Every end
    leaves by one way (`one_way_out`).
"""

from likeness.outputs.atomic import atomic_file, kept_aside
from likeness.outputs.ending import Stopped, asked_to_end, one_way_out
from likeness.outputs.guard import check_outputs
from likeness.outputs.names import hidden_name, is_left_behind, real_place, sweep
from likeness.outputs.proof import prove_room

__all__ = [
    "Stopped",
    "asked_to_end",
    "atomic_file",
    "check_outputs",
    "hidden_name",
    "is_left_behind",
    "kept_aside",
    "one_way_out",
    "prove_room",
    "real_place",
    "sweep",
]
