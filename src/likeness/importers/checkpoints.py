"""A published checkpoint becomes a bundle: read, recognized, renamed, checked strictly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from likeness import config
from likeness.config import nearest, to_json
from likeness.errors import BundleError, ConfigError
from likeness.importers.beside import Beside
from likeness.importers.kinds import KINDS
from likeness.importers.onnx_files import import_onnx
from likeness.importers.published import Family, ImportConfig, Kind, License, Slot, terms
from likeness.importers.readers import Content, read_checkpoint
from likeness.importers.swap_probe import Way, face_finder, probe
from likeness.importers.trees import Flat, below, check_size, find
from likeness.nets.checkpoints import State, shapes_of
from likeness.nets.declared import shapes_only
from likeness.networks import NETWORKS, build
from likeness.recognize.source import parts_of
from likeness.synthesize import simswap
from likeness.synthesize.simswap import SPACES
from likeness.types import Bundle, Weights

ONNX = "onnx"
"""The kind beside those of KINDS: its files stay as they are."""
_EXTRAS = "extras"
_COPIES = 2
"""How often the tensors may hold the file's content: tied weights are written twice."""


def import_checkpoint(kind: str, path: Path, how: ImportConfig | None = None) -> Bundle:
    """Read a published checkpoint.

    Args:
        kind: key of KINDS, or onnx.
        path: the file, or for dfl the folder, as its publisher wrote it.
        how: what the user knows.

    Returns:
        A bundle whose networks `likeness.networks.build` builds; `training["imported"]` tells
        origin, sha256, license and what was left out.

    Raises:
        BundleError: the file is missing, damaged, hostile or of another kind, or its license
            forbids the use.
        ConfigError: no such kind, or a hint that its network does not understand.
    """
    how = how or ImportConfig()
    if kind == ONNX:
        return import_onnx(path, how)
    if kind not in KINDS:
        raise ConfigError(f"unknown kind {kind!r}{nearest(kind, [*KINDS, ONNX])}")
    what = KINDS[kind]
    under = terms(what.license, how, kind)
    content = read_checkpoint(path, what.files)
    networks, used = {}, set()
    for slot in what.slots:
        found = _fill(slot, content, how)
        if found is None and slot.required:
            raise BundleError(
                f"{path.name} holds no {slot.name} of kind {kind!r}; {_looks_like(content, kind)}"
            )
        if found is not None:
            networks[slot.name], keys = found
            used |= keys
    extras = {name: content.flat[name] for name in what.extras if name in content.flat}
    if extras:
        check_size(extras, _COPIES * content.size)
        networks[_EXTRAS] = Weights(_EXTRAS, {}, _plain(extras))
    left_out = len(content.flat) - len(used | set(extras))
    beside = Beside.load(how.beside)
    if kind == "simswap" and how.space is None and beside.bundles:
        networks["generator"], told = _in_its_space(networks["generator"], beside, how)
        content = replace(content, notes={**content.notes, "told": told})
    bundle = _bundle(kind, what, under, content, networks, left_out)
    return beside.joined(bundle, wanted=how.commercial)


def _in_its_space(weights: Weights, beside: Beside, how: ImportConfig) -> tuple[Weights, str]:
    """Try in which numbers a SimSwap sees pictures: its keys do not tell.

    Raises:
        BundleError: trying does not tell either.
    """
    ways: dict[str, Way] = {}
    found: dict[str, Weights] = {}
    for space in SPACES:
        found[space] = replace(weights, config={**weights.config, "space": space})
        network = build(found[space])
        ways[space] = Way(simswap.contract_of(_config(found[space])), network)
    parts = parts_of(beside.networks)
    tried = probe(ways, parts, face_finder(how.probe), "--space")
    return found[tried.best], tried.told()


def _bundle(
    kind: str,
    what: Kind,
    under: License,
    content: Content,
    networks: Mapping[str, Weights],
    left_out: int,
) -> Bundle:
    families = {f.network: f for slot in what.slots for f in slot.families}
    inputs = {
        name: to_json(families[weights.network].inputs(_config(weights)))
        for name, weights in networks.items()
        if weights.network in families
    }
    imported = {
        "kind": kind,
        "about": what.about,
        "uses": list(what.uses),
        "files": dict(content.digests),
        "commercial_use": under.commercial,
        "license_is_the_users_statement": under is not what.license,
        "tensors_left_out": left_out,
        "notes": to_json(content.notes),
    }
    return Bundle(what.method, networks, inputs, {"imported": imported}, under.name)


def _config(weights: Weights) -> Any:
    return config.resolve(NETWORKS[weights.network][1], weights.config)


def _fill(slot: Slot, content: Content, how: ImportConfig) -> tuple[Weights, set[str]] | None:
    """Return the network of a slot and the paths it was made from, or None where there is none."""
    for family in slot.families:
        prefix = _prefix(family, content.flat)
        if prefix is None:
            continue
        state = below(content.flat, prefix, family.parts)
        beside = {key: content.flat[key] for key in family.beside if key in content.flat}
        check_size(state, _COPIES * content.size)
        used = {prefix + key for key in state} | set(beside)
        return _weights(family, {**state, **beside}, content.notes, how), used
    return None


def _prefix(family: Family, flat: Flat) -> str | None:
    for signature in family.signatures:
        prefix = find(flat, signature)
        if prefix is not None:
            return prefix
    return None


def _weights(family: Family, state: State, notes: Mapping[str, Any], how: ImportConfig) -> Weights:
    """Rename a state dict and check it against the network, without building it in memory."""
    known = {**notes, **{key: value for key, value in asdict(how).items() if value}}
    hints = {key: known[key] for key in family.hints if key in known}
    found = family.infer(shapes_of(state), **hints)
    tensors = family.rename(state)
    # On the meta device a network has shapes and no memory: a lie in a header costs nothing.
    with shapes_only():
        expected = shapes_of(NETWORKS[family.network][0](found).state_dict())
    given = shapes_of(tensors)
    wrong = [key for key in expected | given if expected.get(key) != given.get(key)]
    if wrong:
        shown = "; ".join(
            f"{k}: found {given.get(k)}, expected {expected.get(k)}" for k in wrong[:3]
        )
        raise BundleError(
            f"{len(wrong)} of {len(expected)} tensors do not fit {family.network!r} ({shown}); the "
            "file is damaged, or a variant that this version does not know"
        )
    return Weights(family.network, to_json(found), _plain(tensors))


def _plain(tensors: State) -> dict[str, torch.Tensor]:
    """Widen half precision; counters stay whole numbers."""
    return {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}


def _looks_like(content: Content, wanted: str) -> str:
    """Say what a file seems to be."""
    likely = [name for name in recognize(content.flat) if name != wanted]
    if likely:
        other = f"likeness models import {likely[0]} FILE -o NAME.bundle"
        return f"its keys look like {' or '.join(likely)}: try {other}"
    shown = ", ".join(list(content.flat)[:3]) or "nothing"
    return (
        f"found {len(content.flat)} tensors ({shown}, ...), which fit no kind; get the file again"
    )


def recognize(flat: Flat) -> Iterable[str]:
    """Return the kinds whose required networks are among these tensors."""
    return [
        name
        for name, kind in KINDS.items()
        if all(
            any(_prefix(family, flat) is not None for family in slot.families)
            for slot in kind.slots
            if slot.required
        )
    ]
