"""Which family of swap networks a graph belongs to: by digest, by its names, by its shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from likeness.config import nearest
from likeness.errors import BundleError, ConfigError
from likeness.importers.onnx_graphs import Found, GraphFacts, map_name, side_of
from likeness.importers.published import Input
from likeness.importers.swap_families import SWAPS, SwapFamily
from likeness.nets.onnx_graph import OnnxGraphConfig
from likeness.synthesize.onnx_swap import OnnxSwapConfig

_CODE = 512
_MASK = "mask"


@dataclass(frozen=True)
class Wiring:
    """What a graph's inputs and outputs are, whatever its family."""

    target: str
    """Input of the target's picture."""
    source: str
    """Input of the source's code or picture."""
    face: str
    """Output of the swapped face."""
    mask: str | None
    """Output of where it shall lie."""
    pictures: bool
    """Whether the source is told by a picture."""
    side: int | None
    """Of the target's picture; None where it is free."""
    source_side: int | None
    code_map: str | None
    """Initializer of the map of codes."""

    def config(self, row: SwapFamily, facts: GraphFacts) -> OnnxSwapConfig:
        """Say how the graph is run as a member of a family."""
        outputs = [self.face, *([self.mask] if row.contract.mask and self.mask else [])]
        graph: OnnxGraphConfig = facts.config((self.target, self.source), outputs)
        return OnnxSwapConfig(graph, row.contract, _CODE)


def wiring_of(facts: GraphFacts) -> Wiring | None:
    """Match inputs by name, rank and size; None where this is no swap network.

    Raises:
        BundleError: it takes two pictures and nothing tells which is the source's, or pictures and
            codes are not of the sizes that any network has.
    """
    pictures, codes = facts.ranked(4), facts.ranked(2)
    if len(facts.inputs) != 2 or not pictures or len(pictures) + len(codes) != 2:
        return None
    face = _face(facts)
    if face is None:
        return None
    masks = [name for name in facts.outputs if name != face and _is_mask(name, facts)]
    mask = masks[0] if masks else None
    if codes:
        target, source = pictures[0], codes[0]
        if facts.inputs[source][1] not in (_CODE, -1):
            raise BundleError(
                f"the source's code {source!r} has {facts.inputs[source][1]} numbers, expected "
                f"{_CODE}; no swap network that is known here takes these"
            )
        side = side_of(facts.inputs[target], target)
        return Wiring(target, source, face, mask, False, side, None, map_name(facts, _CODE))
    target, source = _pictures(facts, pictures)
    side, source_side = (side_of(facts.inputs[name], name) for name in (target, source))
    return Wiring(target, source, face, mask, True, side, source_side, None)


def _face(facts: GraphFacts) -> str | None:
    """Find the output that is a picture: where several could be it, one by a known name."""
    could = [
        name
        for name, shape in facts.outputs.items()
        if name != _MASK and (not shape or (len(shape) == 4 and shape[1] in (3, -1)))
    ]
    known = ["output", *(name for row in SWAPS.values() for name in row.outputs)]
    named = [name for name in known if name in could]
    if named:
        return named[0]
    return could[0] if len(could) == 1 or (could and len(facts.outputs) == 1) else None


def _is_mask(name: str, facts: GraphFacts) -> bool:
    shape = facts.outputs[name]
    return name == _MASK or (len(shape) == 4 and shape[1] == 1)


def _pictures(facts: GraphFacts, names: Sequence[str]) -> tuple[str, str]:
    """Tell the target's picture from the source's."""
    if "source" in names:
        return next(name for name in names if name != "source"), "source"
    sides = [facts.inputs[name][2] for name in names]
    if sides[0] == sides[1] or min(sides) < 1:
        raise BundleError(
            f"the graph takes two pictures, {' and '.join(names)}, and nothing tells which is the "
            "source's; expected one to be called source"
        )
    return names[sides.index(max(sides))], names[sides.index(min(sides))]


def misfit(row: SwapFamily, wiring: Wiring) -> str:
    """Say why a graph is not of a family; empty where it could be."""
    contract = row.contract
    if (contract.source == "picture") != wiring.pictures:
        return f"it is told of the source by a {'picture' if wiring.pictures else 'code'}"
    if wiring.side not in (None, contract.size):
        return f"its pictures have {wiring.side} pixels, not {contract.size}"
    if wiring.pictures and wiring.source_side not in (None, contract.source_size):
        return f"the source's picture has {wiring.source_side} pixels, not {contract.source_size}"
    if contract.mask and wiring.mask is None:
        return "it answers without a mask"
    return ""


def candidates(facts: GraphFacts, wiring: Wiring, digest: str) -> tuple[list[SwapFamily], str]:
    """Return the families that a graph could be of, and how they were told.

    Args:
        facts: the graph.
        wiring: its inputs and outputs.
        digest: sha256 of its file.

    Raises:
        BundleError: it is of none.
    """
    known = [row for row in SWAPS.values() if digest in row.files]
    if known:
        return known, "by its sha256"
    fitting = [row for row in SWAPS.values() if not misfit(row, wiring)]
    named = [
        row
        for row in fitting
        if (row.inputs and set(row.inputs) <= facts.inputs.keys())
        or (set(row.outputs) & facts.outputs.keys())
    ]
    if named:
        return named, "by the names of its inputs and outputs"
    # What has names of its own would have been told by them, so far as its files are known to.
    fitting = [row for row in fitting if not row.inputs]
    if wiring.code_map is not None:
        mapped = [row for row in fitting if row.contract.form == "mapped"]
        called = [row for row in mapped if wiring.code_map in row.maps]
        return (called or mapped[:1] or _none(facts)), "by its map of codes"
    fitting = [row for row in fitting if row.contract.form != "mapped"]
    if wiring.mask is not None:
        return [r for r in fitting if r.contract.mask] or _none(facts), "by its mask"
    return fitting or _none(facts), "by its inputs and their sizes"


def _none(facts: GraphFacts) -> list[SwapFamily]:
    raise BundleError(
        f"the graph {facts.told()}, which is no swap network that is known here: at 128 pixels one "
        "has inswapper's map of codes (512, 512), by the name emap or buff2fs or as the initializer"
        f" of that size that no node reads; known are {', '.join(SWAPS)}"
    )


def declared(name: str, wiring: Wiring) -> SwapFamily:
    """Look up the family that the user names.

    Raises:
        ConfigError: there is none of that name.
        BundleError: the graph cannot be of it.
    """
    if name not in SWAPS:
        raise ConfigError(f"unknown family {name!r}{nearest(name, SWAPS)}")
    reason = misfit(SWAPS[name], wiring)
    if reason:
        raise BundleError(
            f"the file is no {name}: {reason}; leave --family out to have it recognized"
        )
    return SWAPS[name]


def swap_found(row: SwapFamily, wiring: Wiring, facts: GraphFacts, why: str) -> Found:
    """Describe a swap network of a family."""
    contract, config = row.contract, wiring.config(row, facts)
    picture = Input(
        "rgb",
        (3, contract.size, contract.size),
        "RGB in [0, 1]",
        f"five points to the template {contract.template}",
        contract.template,
    )
    if contract.source == "picture":
        side = contract.source_size
        source = Input(
            "source",
            (3, side, side),
            "RGB in [0, 1]",
            f"the source's face, to the template {contract.source_template}",
            contract.source_template,
        )
    else:
        source = Input("code", (config.code,), _code_told(row))
    return Found(
        "swap.onnx",
        "onnx_swap",
        "generator",
        row.about,
        _uses(row),
        row.license,
        config,
        (picture, source),
        row.name,
        why,
    )


_FORMS: dict[str, str] = {
    "raw": "as it is",
    "unit": "of length 1",
    "mapped": "of length 1, mapped by the file's own matrix, of length 1 again",
    "sum": "of length 1, plus that of the second recognizer",
}


def _code_told(row: SwapFamily) -> str:
    return f"of the recognizer {row.contract.space}, {_FORMS[row.contract.form]}"


def _uses(row: SwapFamily) -> str:
    if row.contract.source == "picture":
        return "any-to-any face swap, from a picture of the source"
    needs = f"the recognizer {row.contract.space}"
    if row.contract.adapter:
        needs += f" and {row.contract.adapter}"
    if row.contract.converter:
        needs += f", or w600k and CrossFace's converter to {row.contract.converter}"
    return f"any-to-any face swap, together with {needs}"
