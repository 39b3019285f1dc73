"""Files made to do harm, by the thousand: pickles, state dicts, ONNX, bundles and text.

Inputs are honest files with damage in them, and files put together from a grammar of what the
readers understand. Every input is read in a process of its own with limits on time and memory, and
counted: ok, sentence (an error of the tree), crash, hang, or over memory. What is neither ok nor a
sentence is kept with the seed that makes it again.

    python benchmarks/hostile_files.py --inputs 10000 --workers 2 [--kind pickles] [--keep DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import pickle
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

SECONDS = 20
"""A reader that computes longer hangs, and so does one that lasts longer on a machine at rest."""
PATIENCE = 6
"""How many times as long it may last where others keep the machine busy."""
MEMORY = 2 * 2**30
"""Bytes of address space that a reader may add to what is there when it starts."""
OUTCOMES = ("ok", "sentence", "crash", "hang", "over memory")
_CODES = {0: "ok", 10: "sentence", 11: "crash", 12: "over memory"}
Make = Callable[[random.Random, Path], Path]
"""Write one input into a folder and return its path."""
Read = Callable[[Path], object]


@dataclass(frozen=True)
class Kind:
    """One kind of hostile file."""

    make: Make
    read: Read


# What anything may be replaced by.

NUMBERS = (0, 1, -1, 2, 7, 255, 2**16, 10**9, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**40, 0.5)
TEXTS = ("", "x", "a" * 5000, "../../etc/passwd", "\x1b[2J", "\ud800", "nan", "1/0", "1e999999999")


def nasty(rng: random.Random, depth: int = 0) -> Any:
    """Return a JSON value that nobody expects."""
    pick = rng.randrange(8)
    if pick < 3:
        return rng.choice(NUMBERS)
    if pick < 5:
        return rng.choice(TEXTS)
    if pick == 5:
        return rng.choice((None, True, float("inf"), float("nan"), 1e308))
    if depth > 3:
        return []
    if pick == 6:
        return [nasty(rng, depth + 1) for _ in range(rng.choice((0, 1, 2, 3, 500)))]
    return {rng.choice(TEXTS)[:20]: nasty(rng, depth + 1) for _ in range(rng.randrange(4))}


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Return bytes with flips, cuts, copies and insertions."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(len(data) + 1)
        pick = rng.randrange(5)
        if pick == 0 and place < len(data):
            data[place] = rng.randrange(256)
        elif pick == 1:
            del data[place : place + rng.choice((1, 4, 100, 10**6))]
        elif pick == 2:
            data[place:place] = data[place : place + rng.choice((1, 20, 500))] * rng.choice((1, 9))
        elif pick == 3:
            data[place:place] = rng.choice((b"\xff" * 8, b"\0" * 8, b"9" * 5000, b"[" * 5000))
        elif place < len(data):
            data[place] ^= 1 << rng.randrange(8)
    return bytes(data)


def replaced(rng: random.Random, tree: Any) -> Any:
    """Return a JSON tree in which a value was replaced, dropped, doubled or renamed."""
    tree = json.loads(json.dumps(tree))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        node = tree
        while True:
            keys = list(node) if isinstance(node, dict) else range(len(node))
            if not keys:
                break
            key = rng.choice(list(keys))
            inner = node[key]
            if isinstance(inner, dict | list) and inner and rng.random() < 0.75:
                node = inner
                continue
            pick = rng.randrange(4)
            if pick == 0 and isinstance(node, dict):
                del node[key]
            elif pick == 1 and isinstance(node, dict):
                node[rng.choice(TEXTS)[:30]] = inner
            else:
                node[key] = nasty(rng)
            break
    return tree


# Pickles and state dicts.

_GLOBALS = (
    "collections OrderedDict", "builtins set", "builtins list", "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter", "torch FloatStorage", "torch Size", "_codecs encode",
    "numpy.core.multiarray _reconstruct", "numpy.core.numeric _frombuffer", "numpy ndarray",
    "numpy dtype", "numpy.core.multiarray scalar", "torch.storage _load_from_bytes",
    "torch.nn.modules.linear Linear", "copyreg _reconstructor", "collections defaultdict",
    "torch_utils.persistence _reconstruct_persistent_obj", "os system",
)  # fmt: skip


def _opcode(rng: random.Random) -> bytes:
    """Return one opcode with its argument; those that build from shared objects come often."""
    number = rng.choice((0, 1, 3, 255))
    text = rng.choice((b"a", b"weight", b"latin1", b"f4", b"<", b"storage", b"cpu"))
    simple = rng.choice([b"(", b"}", b"]", b")", b"N", b"\x88", b"0", b"1", b"2", b"\x8f", b"t",
                         b"l", b"d", b"\x85", b"\x86", b"\x87", b"a", b"e", b"u", b"s", b"\x90",
                         b"\x91", b"\x94", b"b", b"R", b"R", b"R", b"\x81", b"Q"])  # fmt: skip
    big = bytes(rng.choice((4, 64, 50_000)))
    return rng.choice([
        simple, simple, simple, simple,
        b"K" + bytes([number]), b"h" + bytes([rng.randrange(6)]), b"h" + bytes([rng.randrange(6)]),
        b"q" + bytes([rng.randrange(6)]), b"X" + struct.pack("<I", len(text)) + text,
        b"B" + struct.pack("<I", len(big)) + big, b"\x8a\x08" + rng.randbytes(8),
        b"c" + rng.choice(_GLOBALS).replace(" ", "\n").encode() + b"\n",
        b"p" + str(rng.choice((5, 2**61 - 1, 10**30))).encode() + b"\n",
        b"I" + b"9" * rng.choice((3, 300, 5000)) + b"\n", b"G" + rng.randbytes(8),
    ])  # fmt: skip


def _bomb(rng: random.Random) -> bytes:
    """Return a pickle that does one thing to a shared object, again and again."""
    count, size = rng.choice((100, 5000, 60_000)), rng.choice((100, 10_000, 500_000))
    text = b"X" + struct.pack("<I", size) + b"a" * size + b"q\x00"
    data = b"B" + struct.pack("<I", size) + bytes(size) + b"q\x00"
    many = b"(" + b"K\x01" * size + b"tq\x00"
    entries = b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(min(size, 9999)))
    entries = b"}(" + entries + b"uq\x00"
    shared = {
        "encode": text + b"0c_codecs\nencode\nq\x01" + b"0h\x01h\x00X\x06\0\0\0latin1\x86R" * count,
        "frombuffer": data + b"cnumpy\ndtype\nX\x02\0\0\0u1\x85Rq\x02"
        + b"cnumpy.core.numeric\n_frombuffer\nq\x01"
        + (b"0h\x01(h\x00h\x02J" + struct.pack("<i", size) + b"\x85X\x01\0\0\0CtR") * count,
        "set": many + b"cbuiltins\nset\nq\x01" + b"h\x01h\x00\x85R" * count,
        "ordered": b"(" + b"K\x01K\x02\x86" * size + b"lq\x00"
        + b"ccollections\nOrderedDict\nq\x01" + b"h\x01h\x00\x85R" * count,
        "size": many + b"ctorch\nSize\nq\x01" + b"h\x01h\x00\x85R" * count,
        "arguments": many + b"ctorch\ndevice\nq\x01" + b"0h\x01h\x00R" * count,
        "state": entries + b"ctorch.nn.modules.linear\nLinear\n)\x81h\x00b" * count,
        "nested": data + b"ctorch.storage\n_load_from_bytes\nq\x01" + b"h\x01h\x00\x85R" * count,
        "chain": b"]q\x00" + b"]h\x00aq\x00" * count,
        "pyramid": b"]q\x00" + b"(h\x00h\x00h\x00h\x00lq\x00" * min(count, 3000),
        "keys": b"}(" + b"".join(
            b"\x8a\x11" + ((2**61 - 1) * i).to_bytes(17, "little", signed=True) + b"N"
            for i in range(1, count)) + b"u",
        "memo": b"N" + b"".join(b"p%d\n" % ((2**61 - 1) * i) for i in range(1, count)),
        "format": b"]q\x00" + b"(h\x00h\x00h\x00h\x00tq\x00" * 40 + b"0cnumpy\ndtype\nh\x00\x85R",
        "named": b"}X\x05\0\0\0state}sX\x0a\0\0\0class_name]q\x00" + b"(h\x00h\x00h\x00tq\x00" * 40
        + b"sq\x01ctorch_utils.persistence\n_reconstruct_persistent_obj\nh\x01\x85R",
    }  # fmt: skip
    return b"\x80\x02(" + rng.choice(list(shared.values())) + b"."


@cache
def _honest_pickles() -> tuple[bytes, ...]:
    stream = io.BytesIO()
    torch.save(
        {"a": nn.Linear(2, 3), "n": np.arange(3)}, stream, _use_new_zipfile_serialization=False
    )
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(2, np.float16)}
    return (stream.getvalue(), *(pickle.dumps(arrays, protocol) for protocol in (0, 2, 4, 5)))


def make_pickle(rng: random.Random, folder: Path) -> Path:
    """Write a bare pickle, an old torch file, or a zip archive around a pickle."""
    pick = rng.randrange(4)
    if pick == 0:
        content = damaged(rng, rng.choice(_honest_pickles()))
    elif pick == 1:
        content = _bomb(rng)
    else:
        content = (
            b"\x80\x02" + b"".join(_opcode(rng) for _ in range(rng.choice((5, 30, 200)))) + b"."
        )
    path = folder / rng.choice(("x.pkl", "x.pt"))
    if rng.random() < 0.3:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/data/0", bytes(64))
    else:
        path.write_bytes(content)
    return path


def read_pickle(path: Path) -> object:
    """Read a checkpoint as deep as it goes."""
    from likeness.importers.torch_files import read_torch
    from likeness.importers.trees import flatten

    return flatten(read_torch(path))


_KEYS = (
    "conv1.weight", "layer1.0.conv1.weight", "g_ema.style.1.weight", "input.input", "fc.weight",
    "layer4.1.bn2.running_var", "first_layer.1.weight", "synthesis.b4.const", "bn1.weight",
    "BottleNeck.0.style1.linear.weight", "last_layer.1.weight", "mapping.fc0.weight",
    "convs.99999.conv.weight", "layer1.9999.conv1.weight", "encoder/down1/downs_0/conv1/weight:0",
    "cp.resnet.conv1.weight", "conv_out.conv_out.weight", "input_layer.0.weight", "noises.noise_0",
)  # fmt: skip


def make_state(rng: random.Random, folder: Path) -> Path:
    """Write a state dict whose names or shapes are almost those of a published network."""
    shape = tuple(rng.choice((0, 1, 2, 3, 4, 7, 64)) for _ in range(rng.randrange(5)))
    state: dict[str, Any] = {
        key: torch.zeros(
            shape if rng.random() < 0.5 else rng.choice(((8, 3, 7, 7), (4,), (1, 4, 4)))
        )
        for key in rng.sample(_KEYS, rng.randrange(1, len(_KEYS)))
    }
    tree: Any = (
        {rng.choice(("state_dict", "g_ema", "params", "1")): state} if rng.random() < 0.3 else state
    )
    if rng.random() < 0.3:
        from safetensors.torch import save_file

        path = folder / "x.safetensors"
        save_file(state, path)
    else:
        path = folder / "x.pt"
        torch.save(tree, path, _use_new_zipfile_serialization=rng.random() < 0.7)
    if rng.random() < 0.6:
        path.write_bytes(damaged(rng, path.read_bytes()))
    return path


def read_state(path: Path) -> object:
    """Import a checkpoint as every kind."""
    from likeness.errors import BundleError
    from likeness.importers.checkpoints import import_checkpoint
    from likeness.importers.kinds import KINDS

    kinds = sorted(name for name, kind in KINDS.items() if kind.files == "checkpoint")
    failed = None
    for kind in kinds:
        try:
            import_checkpoint(kind, path)
        except BundleError as error:
            failed = error
    if failed is not None:
        raise failed
    return None


# ONNX.


@cache
def _honest_onnx() -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    def value(name: str, shape: tuple[int, ...]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    constant = numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "c")
    branch = [
        helper.make_graph(
            [helper.make_node("Constant", [], [name], value=constant)],
            name,
            [],
            [value(name, (1, 3, 1, 1))],
        )
        for name in ("yes", "no")
    ]
    nodes = [
        helper.make_node("If", ["flag"], ["chosen"], then_branch=branch[0], else_branch=branch[1]),
        helper.make_node("Mul", ["pixels", "chosen"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "filter"], ["code"]),
    ]
    stored = [numpy_helper.from_array(np.zeros((3, 512), np.float32), "filter"),
              numpy_helper.from_array(np.array(True), "flag")]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [value("pixels", (1, 3, 112, 112))], [value("code", (1, 512))], stored
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


@cache
def _honest_swaps() -> tuple[bytes, ...]:
    """Return swap networks: one with a map of codes, one in half precision with a mask."""
    from onnx import TensorProto, helper, numpy_helper

    def value(name: str, shape: tuple[int, ...]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    made = []
    for half in (False, True):
        kind = np.float16 if half else np.float32
        names = ("map_of_codes", "filter", "shape")
        arrays = (np.eye(512, dtype=kind), np.zeros((512, 3), kind), np.array([1, 3, 1, 1]))
        nodes = [
            helper.make_node("Cast", ["source"], ["code"], to=10 if half else 1),
            helper.make_node("MatMul", ["code", "filter"], ["flat"]),
            helper.make_node("Reshape", ["flat", "shape"], ["shift"]),
            helper.make_node("Cast", ["shift"], ["wide"], to=1),
            helper.make_node("Add", ["target", "wide"], ["output"]),
            helper.make_node("ReduceMean", ["target"], ["mask"], axes=[1], keepdims=1),
        ]
        side = 256 if half else 128
        inputs = [value("source", (1, 512)), value("target", (1, 3, side, side))]
        outputs = [value("output", (1, 3, side, side)), value("mask", (1, 1, side, side))]
        stored = [numpy_helper.from_array(a, n) for a, n in zip(arrays, names, strict=True)]
        graph = helper.make_graph(nodes, "g", inputs, outputs[: 2 if half else 1],
                                  stored[1:] if half else stored)  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        made.append(bytes(model.SerializeToString()))
    return tuple(made)


def damaged_swap(rng: random.Random, path: Path) -> Path:
    """Write a swap network whose signature, tensors or types lie."""
    import onnx

    model = onnx.ModelProto.FromString(rng.choice(_honest_swaps()))
    graph = model.graph
    ends = [*graph.input, *graph.output]
    pick = rng.randrange(6)
    if pick == 0:
        size = rng.choice(rng.choice(ends).type.tensor_type.shape.dim)
        size.dim_value = rng.choice((-1, 0, 1, 3, 7, 4096, 2**40))
    elif pick == 1:
        rng.choice(ends).name = rng.choice(("source", "target", "mask", "input_1", "in_face:0", ""))
    elif pick == 2:
        rng.choice(ends).type.tensor_type.elem_type = rng.randrange(24)
    elif pick == 3:
        tensor = rng.choice(graph.initializer)
        tensor.name = rng.choice(("emap", "buff2fs", tensor.name))
        tensor.dims[:] = [rng.choice((3, 512, 32, 2**20)) for _ in range(rng.randrange(4))]
    elif pick == 4:
        rng.choice(graph.initializer).data_type = rng.choice((10, 16, 1, 11, 8, 99))
    else:
        for attribute in rng.choice(graph.node).attribute:
            attribute.i = rng.choice((0, 1, 10, 16, 99, -5))
    content = bytes(model.SerializeToString())
    path.write_bytes(content if rng.random() < 0.8 else damaged(rng, content))
    return path


def make_onnx(rng: random.Random, folder: Path) -> Path:
    """Write an ONNX file with damage in its bytes, or in its tensors, nodes and branches."""
    import onnx

    path = folder / "x.onnx"
    if rng.random() < 0.4:
        return damaged_swap(rng, path)
    if rng.random() < 0.5:
        path.write_bytes(damaged(rng, _honest_onnx()))
        return path
    model = onnx.ModelProto.FromString(_honest_onnx())
    branch = model.graph.node[0].attribute[rng.randrange(2)].g
    tensor = rng.choice([*model.graph.initializer, branch.node[0].attribute[0].t])
    pick = rng.randrange(7)
    if pick == 0:
        tensor.data_location = 1
        tensor.external_data.add(
            key="location", value=rng.choice(("/etc/passwd", "../x", "x.onnx"))
        )
    elif pick == 1:
        tensor.dims[:] = [rng.choice((-1, 0, 3, 2**31, 2**40)) for _ in range(rng.randrange(5))]
    elif pick == 2:
        tensor.data_type = rng.randrange(30)
    elif pick == 3:
        rng.choice(model.graph.node).op_type = rng.choice(
            ("EPContext", "ConstantOfShape", "Loop", "X")
        )
    elif pick == 4:
        rng.choice(model.graph.node).domain = rng.choice(
            ("com.microsoft", "evil", "ai.onnx.training")
        )
    elif pick == 5:
        node = rng.choice(model.graph.node)
        node.input[:] = [rng.choice(("pixels", "code", "", "filter")) for _ in node.input]
    else:
        for _ in range(rng.choice((10, 90, 150))):
            inner = onnx.GraphProto.FromString(branch.SerializeToString())
            branch.node[0].attribute.add(name="body", type=5).g.CopyFrom(inner)
            branch = branch.node[0].attribute[-1].g
            if len(model.SerializeToString()) > 10**6:
                break
    with contextlib.suppress(Exception):
        path.write_bytes(model.SerializeToString())
    return path


def read_onnx(path: Path) -> object:
    """Import an ONNX file."""
    from likeness.importers.onnx_files import import_onnx
    from likeness.importers.published import ImportConfig

    return import_onnx(path, ImportConfig())


# Bundles, shots and resume states.


@cache
def _honest_folders() -> Path:
    """Return a folder with a bundle, a shot and a state whose numbers are random."""
    from likeness import store
    from likeness.synthesize.portrait import Portrait, PortraitConfig
    from likeness.types import Bundle, Clip, FaceParams, FaceTrack, Shot, Weights

    folder = Path(tempfile.mkdtemp(prefix="honest"))
    rng, model, n, side = np.random.default_rng(0), store.load_face_model(), 20, 64

    def values(*shape: int) -> Any:
        return rng.standard_normal(shape).astype(np.float32) * np.float32(0.1)

    clip = Clip(folder / "a.mp4", "ab" * 32, (96, 96), np.arange(n), Fraction(1, 25), 1)
    track = FaceTrack(0, values(n, 4), values(n, 478, 3), np.ones(n, np.float32), np.ones(n, bool))
    ahead = np.array([0, 0, 600], np.float32)
    params = FaceParams(
        model.name, values(model.identity.shape[0]), values(model.albedo.shape[0]),
        values(n, len(model.expression_names)), model.expression_names, values(n, 3),
        values(n, 3) + ahead, values(n, 9, 3), values(n, 2, 2), 120.0,
    )  # fmt: skip
    network = Portrait(PortraitConfig(size=side)) if _has_size() else Portrait(PortraitConfig())
    weights = Weights("portrait", {"size": side} if _has_size() else {}, network.state_dict())
    pictures = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    gallery = {"pictures": pictures, "times": torch.tensor([0, 5])}
    crop = [[0.6, 0, 0], [0, 0.6, 0]]
    bundle = Bundle(
        "reenact.fast",
        {
            "generator": weights,
            "gallery": Weights("gallery", {}, gallery),
            "plate": Weights("plate", {}, {"picture": torch.zeros(3, 96, 96, dtype=torch.uint8)}),
        },
        {"size": side, "crop_from_frame": crop, "frame_size": [96, 96], "range": [0, 1]},
        {"frames": [0, n], "steps": 3, "seconds": 1.5, "seed": 0, "losses": [0.5], "settings": {}},
        "of the person shown",
        shot=Shot(clip, track, params),
        preview=torch.zeros(3, 8, 8),
    )  # fmt: skip
    store.save_bundle(bundle, folder / "a.bundle")
    store.save_shot(Shot(clip, track, params), folder / "a.shot")
    store.save_state(folder / "resume", {"w": torch.ones(3)}, {"step": 1, "settings": "x"})
    return folder


def _has_size() -> bool:
    from dataclasses import fields

    from likeness.synthesize.portrait import PortraitConfig

    return "size" in {field.name for field in fields(PortraitConfig)}


def _other_tensors(rng: random.Random, path: Path) -> None:
    """Change tensors of a file: types, shapes, values, names."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    for _ in range(rng.choice((1, 1, 3))):
        name = rng.choice(list(tensors) or ["x"])
        tensor = tensors.pop(name, torch.zeros(1))
        pick = rng.randrange(7)
        if pick == 0:
            tensors[name] = tensor.reshape(-1)
        elif pick == 1:
            tensors[name] = tensor.to(
                rng.choice((torch.int64, torch.float64, torch.bool, torch.uint8))
            )
        elif pick == 2:
            tensors[name] = torch.full(tensor.shape, float(rng.choice(("nan", "inf", "1e30"))))
        elif pick == 3:
            tensors[name] = tensor[:0] if tensor.ndim else torch.zeros(0)
        elif pick == 4:
            tensors[name] = torch.cat([tensor, tensor]) if tensor.ndim else tensor[None]
        elif pick == 5:
            tensors[rng.choice(("x", "../x", "a" * 300))] = tensor
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def make_bundle(rng: random.Random, folder: Path) -> Path:
    """Write a bundle, a shot or a state with changed indexes, tensors or files."""
    name = rng.choice(("a.bundle", "a.bundle", "a.shot", "resume"))
    path = folder / name
    shutil.copytree(_honest_folders() / name, path)
    index = rng.choice(sorted(path.rglob("*.json")))
    tree = json.loads(index.read_text())
    pick = rng.randrange(5)
    if pick == 0:
        index.write_bytes(damaged(rng, index.read_bytes()))
        return path
    if pick < 3:
        with contextlib.suppress(ValueError, UnicodeError):
            index.write_text(json.dumps(replaced(rng, tree)), encoding="utf-8", errors="replace")
        return path
    file = rng.choice(sorted(path.rglob("*.safetensors")))
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    if pick == 3:
        _other_tensors(rng, file)
    else:
        file.write_bytes(damaged(rng, file.read_bytes()))
    after = hashlib.sha256(file.read_bytes()).hexdigest()
    for one in path.rglob("*.json"):
        one.write_text(one.read_text().replace(before, after))
    return path


def read_bundle(path: Path) -> object:
    """Open a folder as its user would."""
    from likeness import store
    from likeness.networks import build
    from likeness.store.facts import check_portrait

    if path.suffix == ".shot":
        return store.load_shot(path)
    if path.name == "resume":
        return store.load_state(path)
    bundle = store.load_bundle(path)
    check_portrait(bundle)
    return [build(one) for name, one in bundle.networks.items() if name == "generator"]


# Text.


def _sheet(rng: random.Random) -> str:
    from likeness.importers.arkit import COLUMNS

    separator = rng.choice((",", ";", "\t"))
    lines = [separator.join(["Timecode", "BlendShapeCount", *COLUMNS])]
    for i in range(5):
        cells = [f"00:00:00:0{i}.000", "61", *["0.1"] * len(COLUMNS)]
        for _ in range(rng.randrange(3)):
            cells[rng.randrange(len(cells))] = rng.choice(
                ("", "nan", "1e999", "0,5", "9" * 5000, '"', "99:99:99:99", "\0", "x" * 10**6)
            )
        lines.append(separator.join(cells[: rng.choice((63, 63, 63, 5, 70))]))
    return rng.choice(("\n", "\r\n", "\r")).join(lines)


def make_text(rng: random.Random, folder: Path) -> Path:
    """Write a table, settings, a record, JSON, arrays or certificates."""
    name = rng.choice(("a.csv", "t.csv", "a.toml", "c.toml", "revoked.json", "a.npz", "a.pem"))
    path = folder / name
    keys = ".".join(["a"] * rng.choice((3, 60_000)))
    tomls = ("a = " + "[" * rng.choice((3, 9999)), f"{keys} = 1", "a = " + "9" * 9999, "a = 1e999",
             "a = 9999-99-99", 'a = "\\ud800"', "[a]\n[a]", "a = nan",
             "a = " + "{a = " * 999)  # fmt: skip
    jsons = (
        "[" * 9999,
        '{"a": ' * 9999,
        "9" * 9999,
        "NaN",
        '"\\ud800"',
        "1e999",
        "{}",
        '{"a": 1}',
        "",
    )
    if path.suffix == ".csv":
        content = _sheet(rng).encode()
    elif name == "a.npz":
        stream = io.BytesIO()
        rng.choice((np.savez, np.savez_compressed))(
            stream,
            v_template=np.zeros((5, 3)),
            f=np.zeros((2, 3), int),
            shapedirs=np.zeros((5, 3, 4)),
        )
        content = stream.getvalue()
    elif name == "a.pem":
        content = (
            b"-----BEGIN CERTIFICATE-----\n"
            + rng.randbytes(90).hex().encode()
            + b"\n-----END CERTIFICATE-----\n"
        )
    elif path.suffix == ".toml":
        content = rng.choice(tomls).encode()
    else:
        content = rng.choice(jsons).encode()
    if rng.random() < 0.5:
        content = damaged(rng, content)
    if rng.random() < 0.2:
        content = rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) + content
    path.write_bytes(content)
    return path


def read_text(path: Path) -> object:
    """Read a file as what its name says."""
    from likeness.config import read_toml, resolve
    from likeness.fit.config import FitConfig
    from likeness.importers.arkit import read_arkit
    from likeness.importers.face_models import load_flame
    from likeness.provenance.consent import load_consent
    from likeness.provenance.credentials import load_credentials
    from likeness.provenance.revoked import revoked_numbers
    from likeness.store import read_table

    readers: dict[str, Callable[[Path], object]] = {
        "a.csv": read_arkit,
        "t.csv": read_table,
        "a.toml": lambda p: resolve(FitConfig, read_toml(p)),
        "c.toml": load_consent,
        "a.npz": load_flame,
        "revoked.json": lambda p: revoked_numbers(p.parent),
    }
    if path.name == "a.pem":
        local = path.parent / "local"
        local.mkdir()
        path.rename(local / "chain.pem")
        return load_credentials(path.parent)
    return readers[path.name](path)


KINDS: dict[str, Kind] = {
    "pickles": Kind(make_pickle, read_pickle),
    "states": Kind(make_state, read_state),
    "onnx": Kind(make_onnx, read_onnx),
    "bundles": Kind(make_bundle, read_bundle),
    "text": Kind(make_text, read_text),
}


# Reading in a process of its own.


def outcome(kind: Kind, seed: str, keep: Path | None = None) -> str:
    """Make the input of a seed and read it in a child process; return one of `OUTCOMES`."""
    with tempfile.TemporaryDirectory(prefix="hostile") as folder:
        path = kind.make(random.Random(seed), Path(folder))  # noqa: S311  # repeatable, no secret
        told = Path(folder) / "told"
        child = os.fork()
        if not child:
            os._exit(_read(kind, path, told))
        answer = _awaited(child)
        if answer not in ("ok", "sentence") and keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            name = f"{answer.replace(' ', '_')}-{seed.replace(':', '-')}"
            text = told.read_text() if told.exists() else "no traceback\n"
            (keep / f"{name}.txt").write_text(text)
        return answer


def _read(kind: Kind, path: Path, told: Path) -> int:
    from likeness.errors import LikenessError

    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        kind.read(path)
    except LikenessError as error:
        # A sentence can be written down.
        return 10 if str(error).encode() else 11
    except BaseException:
        text = traceback.format_exc()
        told.write_text(text, errors="replace")
        memory = ("MemoryError", "not enough memory", "bad_alloc")
        return 12 if any(word in text for word in memory) else 11
    return 0


def _awaited(child: int) -> str:
    end = time.monotonic() + SECONDS * PATIENCE
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            return "hang" if code == -signal.SIGXCPU else _CODES.get(code, "crash")
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hang"


def warm(kind: str) -> None:
    """Import, compile and make what every reading of a kind needs, so that it is not measured."""
    for number in range(12):
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Exception):
            KINDS[kind].read(KINDS[kind].make(random.Random(number), Path(folder)))  # noqa: S311
    if kind == "bundles":
        read_bundle(_honest_folders() / "a.bundle")
    if kind == "onnx":
        from likeness.nets.onnx_graph import open_session

        open_session(_honest_onnx(), optimized=False)


def _work(kinds: list[str], seeds: Iterator[str], keep: Path | None) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for seed in seeds:
        name = kinds[int(seed.split(":")[1]) % len(kinds)]
        counts[name, outcome(KINDS[name], f"{name}:{seed}", keep)] += 1
    return counts


def run(
    inputs: int, kinds: list[str], seed: int = 0, workers: int = 2, keep: Path | None = None
) -> dict[str, dict[str, int]]:
    """Read `inputs` files, spread over kinds and processes; return counts by kind and outcome."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for kind in kinds:
        warm(kind)
    ends = []
    for worker in range(workers):
        reading, writing = os.pipe()
        if not os.fork():
            seeds = (f"{seed}:{i}" for i in range(worker, inputs, workers))
            counts = _work(kinds, seeds, keep)
            with os.fdopen(writing, "w") as file:
                json.dump([[*key, count] for key, count in counts.items()], file)
            os._exit(0)
        os.close(writing)
        ends.append(reading)
    totals = {kind: dict.fromkeys(OUTCOMES, 0) for kind in kinds}
    for reading in ends:
        with os.fdopen(reading) as file:
            for kind, answer, count in json.load(file):
                totals[kind][answer] += count
    for _ in ends:
        os.wait()
    return totals


def main() -> None:
    """Print a table of counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for tracebacks of what was no sentence")
    given = parser.parse_args()
    began = time.monotonic()
    kinds = given.kind or list(KINDS)
    totals = run(given.inputs, kinds, given.seed, given.workers, given.keep)
    print("| kind | " + " | ".join(OUTCOMES) + " |\n|---|" + "--:|" * len(OUTCOMES))
    for kind, counts in totals.items():
        print(f"| {kind} | " + " | ".join(str(counts[name]) for name in OUTCOMES) + " |")
    print(f"{given.inputs} inputs in {time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
