"""Recognizers and converters of codes among ONNX files."""

from __future__ import annotations

from likeness.config import nearest
from likeness.errors import BundleError, ConfigError
from likeness.importers.onnx_graphs import Found, GraphFacts, side_of
from likeness.importers.published import Input
from likeness.importers.swap_families import (
    CONVERTER,
    CONVERTERS,
    CROSSFACE,
    RECOGNIZER,
    RECOGNIZERS,
    RecognizerFamily,
)
from likeness.nets.onnx_graph import OnnxConverterConfig, OnnxIdentityConfig

_CODE = 512
_SIDE = 112
_LAYERS = 60
"""Convolutions from which on a recognizer is no r50, which has 53."""


def recognizer_found(facts: GraphFacts, digest: str, family: str | None) -> Found | None:
    """Recognize a recognizer: one picture of 112 pixels in, one code out. None where it is none.

    Raises:
        ConfigError: there is no such family.
    """
    pictures = facts.ranked(4)
    # An export may leave the shape of its answer open.
    codes = [shape for shape in facts.outputs.values() if len(shape) <= 2]
    if len(facts.inputs) != 1 or not pictures or len(codes) != len(facts.outputs) or not codes:
        return None
    side = side_of(facts.inputs[pictures[0]], pictures[0])
    if side not in (None, _SIDE):
        raise BundleError(f"the graph {facts.told()}: an ArcFace recognizer reads {_SIDE} pixels")
    row, why = _row(facts, digest, family)
    inside = all(
        any(name.startswith(prefixes) for name in facts.head)
        for prefixes in (("Sub", "_minus"), ("Mul", "_mul"))
    )
    graph = facts.config(pictures, list(facts.outputs)[:1])
    config = OnnxIdentityConfig(
        graph, inside, row.space, row.template, row.enter, row.shrink, _SIDE
    )
    crop = f"five points to the template {row.template}"
    return Found(
        "identity.onnx",
        "onnx_identity",
        "identity",
        f"{row.about}, as an ONNX export",
        "identity codes for swap networks; identity metrics",
        row.license,
        config,
        (Input("rgb", (3, _SIDE, _SIDE), "RGB in [0, 1]", crop, row.template),),
        RECOGNIZER + row.space,
        why,
    )


def _row(facts: GraphFacts, digest: str, family: str | None) -> tuple[RecognizerFamily, str]:
    names = [RECOGNIZER + space for space in RECOGNIZERS]
    if family is not None:
        if family not in names:
            raise ConfigError(f"unknown family {family!r}{nearest(family, names)}")
        return RECOGNIZERS[family.removeprefix(RECOGNIZER)], "as declared"
    for row in RECOGNIZERS.values():
        if digest in row.files:
            return row, "by its sha256"
    if facts.operators.get("Sigmoid"):
        return RECOGNIZERS["simswap"], "by its gates, which InsightFace's recognizers do not have"
    if facts.operators.get("Conv", 0) > _LAYERS:
        return RECOGNIZERS["other"], (
            f"by its depth, which w600k_r50 does not have; if it is another's, pass "
            f"--family {RECOGNIZER}ghost or the like"
        )
    return RECOGNIZERS["w600k"], "by its shape; that its codes are w600k's is assumed"


def converter_found(facts: GraphFacts, digest: str, family: str | None) -> Found | None:
    """Recognize a converter: a code in, a code out. None where it is none.

    Raises:
        ConfigError: there is no such family.
    """
    codes = facts.ranked(2)
    ends = list(facts.outputs.values())
    if len(facts.inputs) != 1 or not codes or len(ends) != 1 or len(ends[0]) not in (0, 2):
        return None
    if {facts.inputs[codes[0]][-1], *(shape[-1] for shape in ends if shape)} - {_CODE, -1}:
        return None
    names = [CONVERTER + to for to in CONVERTERS]
    to, why = "", "by its shape; whose codes come out is not said: --family crossface_... says it"
    if family is not None:
        if family not in names:
            raise ConfigError(f"unknown family {family!r}{nearest(family, names)}")
        to, why = family.removeprefix(CONVERTER), "as declared"
    else:
        for name, files in CONVERTERS.items():
            if digest in files:
                to, why = name, "by its sha256"
    graph = facts.config(codes, list(facts.outputs))
    return Found(
        "identity.converter",
        "onnx_converter",
        "converter",
        f"CrossFace's converter of codes{' to ' + to if to else ''}",
        "codes of w600k for swap networks that understand another recognizer's",
        CROSSFACE,
        OnnxConverterConfig(graph, to),
        (Input("code", (_CODE,), "of the recognizer w600k, as it is"),),
        CONVERTER + to if to else "",
        why,
    )
