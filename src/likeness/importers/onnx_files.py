"""ONNX files as bundles: published swap networks, the recognizers they need, and .dfm files.

A file stays what it is and is run by onnxruntime. What it is is read from its graph (`onnx_graphs`,
`onnx_swaps`, `onnx_recognizers`), from its digest, or, where families look alike, by trying
(`swap_probe`). Files that point at other files, or use operators from elsewhere than ONNX and
onnxruntime, are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from likeness.condition.face_types import EXTENTS
from likeness.config import to_json
from likeness.errors import BackendError, BundleError
from likeness.files import read_regular
from likeness.importers.beside import Beside
from likeness.importers.meter import reason
from likeness.importers.onnx_graphs import Found, GraphFacts, facts_of, map_of
from likeness.importers.onnx_parts import check_parts
from likeness.importers.onnx_recognizers import converter_found, recognizer_found
from likeness.importers.onnx_swaps import Wiring, candidates, declared, swap_found, wiring_of
from likeness.importers.published import ImportConfig, Input, License, terms
from likeness.importers.swap_families import SwapFamily
from likeness.importers.swap_probe import Way, face_finder, probe
from likeness.nets.onnx_graph import open_session
from likeness.recognize.source import parts_of
from likeness.store.files import sha256_of
from likeness.synthesize.onnx_swap import OnnxOneToOneConfig, OnnxSwap
from likeness.types import Bundle, Weights

FILE_LIMIT = 2**31 - 1
"""Largest file in bytes: protocol buffers end there."""
_MORPH = 0.75
"""DeepFaceLive's own default."""
_TRAINER = License("the trainer's own terms, which the file does not state", commercial=False)


def import_onnx(path: Path, how: ImportConfig) -> Bundle:
    """Read an ONNX file.

    Raises:
        BackendError: onnx or onnxruntime is not installed.
        BundleError: missing, damaged, hostile, of no known kind, of several that look alike, or not
            for this use.
        ConfigError: the family that is declared is not known.
    """
    if not path.is_file():
        raise BundleError(f"no file at {path}; give the path of an .onnx or .dfm file")
    content = read_regular(path, BundleError, "an .onnx or .dfm file", FILE_LIMIT)
    if not content:
        raise BundleError(f"{path} is empty; expected an .onnx or .dfm file: get it again")
    model, digest = _parse(content, path), sha256_of(path)
    beside = Beside.load(how.beside)
    # Opened without optimization: that checks the file and computes nothing.
    open_session(content, optimized=False)
    file = {"graph.file": torch.frombuffer(bytearray(content), dtype=torch.uint8)}
    found = _recognize(model, file, digest, beside, how)
    under = terms(found.license, how, f"{path.name}, {found.about}")
    weights = Weights(found.network, to_json(found.config), {**file, **found.tensors})
    imported = {
        "kind": "onnx",
        "about": found.about,
        "uses": [found.uses],
        "files": {path.name: digest},
        "commercial_use": under.commercial,
        "license_is_the_users_statement": under is not found.license,
        "tensors_left_out": 0,
        "notes": {
            "producer": model.producer_name[:80],
            "family": found.family,
            "told": found.why,
            **_face_type(model),
        },
    }
    inputs = {found.slot: to_json(found.inputs)}
    # A one-to-one network shows somebody, whoever it is: they lend their face as a source.
    people = ({"role": "source"},) if found.method == "swap.dfm" else ()
    networks = {found.slot: weights}
    bundle = Bundle(found.method, networks, inputs, {"imported": imported}, under.name, people)
    if found.network != "onnx_swap":
        return bundle
    return beside.joined(bundle, found.config.contract.adapter, wanted=how.commercial)


def _face_type(model: Any) -> dict[str, str]:
    """Return how faces are cut for a one-to-one network, where our own export has noted it."""
    told = {entry.key: str(entry.value) for entry in model.metadata_props}.get("face_type", "")
    return {"face_type": told} if told in EXTENTS else {}


def _parse(content: bytes, path: Path) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise BackendError("ONNX files need onnx; run: pip install 'likeness[onnx]'") from error
    try:
        model = onnx.ModelProto.FromString(content)
    except (DecodeError, ValueError, RecursionError) as error:
        raise BundleError(f"{path} is no ONNX file ({reason(error)}); get it again") from error
    if not model.graph.node or not model.graph.input or not model.graph.output:
        raise BundleError(f"{path} holds no graph with inputs and outputs: this is no ONNX model")
    check_parts(model, path)
    return model


def _recognize(
    model: Any,
    file: Mapping[str, torch.Tensor],
    digest: str,
    beside: Beside,
    how: ImportConfig,
) -> Found:
    """Tell what a graph is by its inputs and outputs."""
    facts = facts_of(model, len(file["graph.file"]))
    if any(name.startswith("in_face") for name in facts.inputs):
        return _one_to_one(facts)
    found = recognizer_found(facts, digest, how.family) or converter_found(
        facts, digest, how.family
    )
    if found is not None:
        return found
    wiring = wiring_of(facts)
    if wiring is None:
        raise BundleError(
            f"the graph {facts.told()}; expected a swap network's picture and code or two pictures,"
            " ArcFace's picture alone, a converter's code, or a .dfm's in_face:0"
        )
    if how.family is not None:
        rows, why = [declared(how.family, wiring)], "as declared"
    else:
        rows, why = candidates(facts, wiring, digest)
    maps = beside.code_map if wiring.code_map is None else map_of(model, wiring.code_map)
    if len(rows) == 1:
        return _with_map(swap_found(rows[0], wiring, facts, why), maps)
    parts = parts_of(beside.networks)
    ways = _as_each(rows, wiring, facts, file)
    tried = probe(ways, parts, face_finder(how.probe), "--family")
    row = next(one for one in rows if one.name == tried.best)
    return swap_found(row, wiring, facts, tried.told())


def _as_each(
    rows: Sequence[SwapFamily],
    wiring: Wiring,
    facts: GraphFacts,
    file: Mapping[str, torch.Tensor],
) -> dict[str, Way]:
    """Build the network to be called in the way of each family; all share the open graph."""
    networks = [OnnxSwap(wiring.config(row, facts)) for row in rows]
    networks[0].graph.file = file["graph.file"]
    for network in networks[1:]:
        if network.graph.config == networks[0].graph.config:
            network.graph = networks[0].graph
        else:
            network.graph.file = file["graph.file"]
    pairs = zip(rows, networks, strict=True)
    return {row.name: Way(row.contract, network) for row, network in pairs}


def _with_map(found: Found, code_map: torch.Tensor | None) -> Found:
    if found.config.contract.form != "mapped":
        return found
    if code_map is None:
        raise BundleError(
            f"{found.family} maps codes, and the file holds no map: none is called emap or buff2fs,"
            " and none of (512, 512) is left unread; pass an imported inswapper with --with "
            "INSWAPPER.bundle"
        )
    return replace(found, tensors={"emap": code_map})


def _one_to_one(facts: GraphFacts) -> Found:
    pictures = facts.ranked(4)
    others = [name for name in facts.inputs if name not in pictures]
    side = facts.inputs[pictures[0]][1] if pictures else 0
    shape = facts.inputs[pictures[0]][1:] if pictures else ()
    if len(pictures) != 1 or len(others) > 1 or shape != (side, side, 3) or side < 1:
        raise BundleError(
            f"the .dfm {facts.told()}, expected in_face:0 (N, side, side, 3) and at most a morph "
            "value"
        )
    # The morph value is one number for all samples, so samples go one by one.
    graph = facts.config([*pictures, *others], _masked_face(facts))
    if others:
        graph = replace(graph, batch=1)
    return Found(
        "swap.dfm",
        "onnx_one_to_one",
        "generator",
        "one-to-one swap of DeepFaceLab as a .dfm file",
        "one-to-one face swap",
        _TRAINER,
        OnnxOneToOneConfig(graph, side, _MORPH if others else None),
        (
            Input(
                "rgb",
                (3, side, side),
                "RGB in [0, 1]",
                "DeepFaceLab's whole-face alignment",
                "whole_face",
            ),
        ),
        "dfm",
        "by its input in_face",
    )


def _masked_face(facts: GraphFacts) -> list[str]:
    """Return a .dfm's outputs in order: target's mask, face, its mask; by name, else by place."""
    names = list(facts.outputs)
    if len(names) != 3:
        raise BundleError(
            f"the .dfm {facts.told()}, expected three outputs: a mask, a face and its mask"
        )
    by_name = {
        "out_face_mask": [n for n in names if n.startswith("out_face_mask")],
        "out_celeb_face": [n for n in names if n.partition(":")[0] == "out_celeb_face"],
        "out_celeb_face_mask": [n for n in names if n.startswith("out_celeb_face_mask")],
    }
    if all(len(found) == 1 for found in by_name.values()):
        return [found[0] for found in by_name.values()]
    return names
