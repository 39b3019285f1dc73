"""What a pickle of weights may name and call, and what stands in its place here.

Every stand-in takes the `Meter` first and charges it for what it copies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from likeness.importers.foreign_arrays import Array, DType, are_sizes, array_of_buffer, scalar
from likeness.importers.meter import Meter, plain, refuse
from likeness.importers.records import Name, StandIn, StorageRecord, TensorRecord

CLASSES = re.compile(
    r"torch\.nn\.(modules(\.\w+)*|parallel\.data_parallel)\.[A-Z]\w*"
    r"|models(\.arcface_models)?\.(ResNet|IRBlock|SEBlock|Bottleneck|BasicBlock)"
    r"|(dnnlib(\.util)?\.EasyDict|argparse\.Namespace|collections\.defaultdict)"
    r"|torch\.(\w+Storage|device|Size|float16|float32|float64|bfloat16|u?int\d+|bool)"
    r"|numpy\.ndarray"
)
"""Classes that may be named: they become stand-ins, whatever the file says they should do."""

_KEYS = (str, int, float, bool, bytes, type(None))
"""Types that may be keys: hashing anything nested could be made to exhaust the C stack."""
_KEY_RANGE = 2**63
"""Whole numbers beyond it can be chosen so that all of them collide, which makes a dict crawl."""
_LONGEST = 200


def pairs(items: list[Any]) -> dict[Any, Any]:
    """Make a dict of alternating keys and values.

    Raises:
        BundleError: a key is nested or a huge number.
    """
    for key in items[::2]:
        if not isinstance(key, _KEYS):
            raise refuse("uses a nested key")
        if isinstance(key, int) and not -_KEY_RANGE <= key < _KEY_RANGE:
            raise refuse("uses a key with too many digits")
    return dict(zip(items[::2], items[1::2], strict=True))


def _listed(meter: Meter, items: Any = (), /) -> list[Any]:
    """A list, or a set, which is kept as a list."""
    if not isinstance(items, list | tuple):
        raise refuse("makes a list of what is none")
    meter.items(len(items))
    return list(items)


def _sized(meter: Meter, size: Any) -> tuple[Any, ...]:
    return tuple(_listed(meter, size))


def _mapping(meter: Meter, given: Any = (), /) -> dict[Any, Any]:
    if not isinstance(given, list | tuple):
        raise refuse("makes a dict of what are no pairs")
    meter.entries(len(given))
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in given):
        raise refuse("makes a dict of what are no pairs")
    return pairs([value for pair in given for value in pair])


def _tensor(
    meter: Meter, storage: Any, offset: Any, size: Any, stride: Any, *_: Any
) -> TensorRecord:
    sizes = are_sizes((offset,)) and are_sizes(size) and are_sizes(stride)
    if not isinstance(storage, StorageRecord) or not sizes or len(size) != len(stride):
        raise refuse("describes a tensor by something other than a storage and numbers")
    meter.tensor()
    return TensorRecord(storage, offset, size, stride)


def _nested(meter: Meter, content: Any) -> StorageRecord:
    if not isinstance(content, bytes):
        raise refuse("holds a storage that is no bytes")
    # It will be read once for every time that it stands somewhere, shared or not.
    meter.charge(2 * len(content))
    meter.tensor()
    return StorageRecord("", "", -1, content)


def _encoded(meter: Meter, text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise refuse("encodes text in an unusual way")
    meter.charge(len(text))
    return text.encode("latin-1")


def _persistent_object(meter: Meter, meta: Any) -> StandIn:
    """A stylegan2-ada object: class name and state are kept, its module's source text is not."""
    facts = meta.state if isinstance(meta, StandIn) else meta
    state = facts.get("state") if isinstance(facts, dict) else None
    if not isinstance(facts, dict) or not isinstance(state, dict):
        raise refuse("holds a persistent object without a state")
    named = facts.get("class_name", "")
    if not isinstance(named, str) or len(named) > _LONGEST:
        raise refuse(f"calls the class of a persistent object {plain(named)}")
    meter.entries(len(state))
    return StandIn(f"persistent.{named}", dict(state))


def _reconstructor(_meter: Meter, what: Any, *_: Any) -> StandIn:
    if not isinstance(what, Name) or not CLASSES.fullmatch(what.text):
        raise refuse("reconstructs an object of a class that is not admitted")
    return StandIn(what.text)


def _nothing(*_: Any) -> None:
    """A device, or an object without content: nothing of it is needed."""


CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": lambda *_: {},
    "builtins.set": _listed,
    "builtins.frozenset": _listed,
    "builtins.list": _listed,
    "builtins.object": _nothing,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda _, data, *rest: data,
    "torch._utils._rebuild_parameter_with_state": lambda _, data, *rest: data,
    "torch.storage._load_from_bytes": _nested,
    "torch.Size": _sized,
    "torch.device": _nothing,
    "_codecs.encode": _encoded,
    "copyreg._reconstructor": _reconstructor,
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent_object,
    "numpy.core.multiarray._reconstruct": lambda *_: Array(),
    "numpy.core.multiarray.scalar": scalar,
    "numpy.core.numeric._frombuffer": array_of_buffer,
    "numpy.dtype": lambda _, code, *rest: DType(code),
}
"""What may be called, and what stands in its place here; the `Meter` comes first."""
