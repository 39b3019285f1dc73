"""Small files cannot ask for much: every way to build from a pickle costs its budget."""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.errors import BundleError
from likeness.importers.meter import STEPS, Meter
from likeness.importers.torch_files import read_torch
from likeness.importers.trees import flatten
from likeness.importers.unpickle import unpickle
from tests.confined import confined

SIZE, TIMES = 500_000, 20_000


def text(size: int) -> bytes:
    return b"X" + struct.pack("<I", size) + b"a" * size + b"q\x00"


def data(size: int) -> bytes:
    return b"B" + struct.pack("<I", size) + bytes(size) + b"q\x00"


MANY = b"(" + b"K\x01" * SIZE + b"tq\x00"
ENTRIES = b"}(" + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(50_000)) + b"uq\x00"
LINEAR = b"ctorch.nn.modules.linear\nLinear\n"
LATIN = b"X\x06\x00\x00\x00latin1\x86R"
U1 = b"cnumpy\ndtype\nX\x02\x00\x00\x00u1\x85Rq\x02"
WHOLE = b"J" + struct.pack("<i", SIZE) + b"\x85"

BOMBS = {
    "text encoded": text(SIZE) + b"c_codecs\nencode\nq\x01" + (b"h\x01h\x00" + LATIN) * TIMES,
    "buffers": data(SIZE) + U1 + b"cnumpy.core.numeric\n_frombuffer\nq\x01"
    + (b"h\x01(h\x00h\x02" + WHOLE + b"X\x01\x00\x00\x00CtR") * TIMES,
    "states of arrays": data(SIZE) + U1 + b"cnumpy.core.multiarray\n_reconstruct\nq\x01"
    + (b"h\x01)R(K\x01" + WHOLE + b"h\x02\x89h\x00tb") * TIMES,
    "sets": MANY + b"cbuiltins\nset\nq\x01" + b"h\x01h\x00\x85R" * TIMES,
    "frozen sets": MANY + b"cbuiltins\nfrozenset\nq\x01" + b"h\x01h\x00\x85R" * TIMES,
    "lists": MANY + b"cbuiltins\nlist\nq\x01" + b"h\x01h\x00\x85R" * TIMES,
    "sizes": MANY + b"ctorch\nSize\nq\x01" + b"h\x01h\x00\x85R" * TIMES,
    "arguments": MANY + b"ctorch\ndevice\nq\x01" + b"h\x01h\x00R" * TIMES,
    "ordered": b"(" + b"K\x01N\x86" * 50_000 + b"lq\x00ccollections\nOrderedDict\nq\x01"
    + b"h\x01h\x00\x85R" * TIMES,
    "states of modules": ENTRIES + (LINEAR + b")\x81h\x00b") * TIMES,
    "persistent objects": b"}X\x05\x00\x00\x00state" + ENTRIES + b"sq\x03"
    + b"ctorch_utils.persistence\n_reconstruct_persistent_obj\nq\x01" + b"h\x01h\x03\x85R" * TIMES,
    "nested files": data(SIZE) + b"ctorch.storage\n_load_from_bytes\nq\x01"
    + b"h\x01h\x00\x85R" * TIMES,
    "long names": text(SIZE) + b"h\x00h\x00\x93" * TIMES,
    "deep by sharing": b"]q\x00" + b"]h\x00aq\x00" * TIMES,
    "deep modules by sharing": b"}q\x00" + b"}X\x01\x00\x00\x00ah\x00sq\x00" * TIMES,
    "steps": b"N0" * (STEPS // 2 + 10),
    "keys that collide": b"}(" + b"".join(
        b"\x8a\x11" + ((2**61 - 1) * i).to_bytes(17, "little", signed=True) + b"N"
        for i in range(1, 60_000)) + b"u",
    "places that collide": b"N" + b"".join(b"p%d\n" % ((2**61 - 1) * i) for i in range(1, 60_000)),
    "a number of a million bytes": b"\x8b" + struct.pack("<i", 10**6) + b"\x7f" * 10**6,
    "digits": b"L" + b"9" * 100_000 + b"L\n",
    "tensors": b"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nK\x04tQq\x00ctorch._utils\n"
    + b"_rebuild_tensor_v2\nq\x01(h\x00K\x00)\x29\x89}tq\x02" + b"h\x01h\x02R" * 150_000,
}  # fmt: skip

LAUGHS = b"]q\x00" + b"(h\x00h\x00h\x00h\x00tq\x00" * 40
WORDS = {
    "type of numbers": LAUGHS + b"cnumpy\ndtype\nh\x00\x85R.",
    "class name": b"}X\x05\x00\x00\x00state}sq\x05X\x0a\x00\x00\x00class_name" + LAUGHS
    + b"0h\x05X\x0a\x00\x00\x00class_nameh\x00s0ctorch_utils.persistence\n"
    + b"_reconstruct_persistent_obj\nh\x05\x85R.",
    "called": LAUGHS + b")R.",
    "size of a tensor": b"ctorch._utils\n_rebuild_tensor_v2\n(N" + LAUGHS + b"h\x00h\x00\x89}tR.",
    "made": LAUGHS + b")\x81.",
}  # fmt: skip


@pytest.mark.parametrize("script", BOMBS.values(), ids=BOMBS)
def test_what_is_built_again_and_again_runs_out_of_budget(script: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x02(" + script + b"l.")
    assert confined(lambda: flatten(read_torch(path)), seconds=20, megabytes=1200) == "sentence"


@pytest.mark.parametrize("script", WORDS.values(), ids=WORDS)
def test_no_tree_is_ever_written_down(script: bytes) -> None:
    with pytest.raises(BundleError) as caught:
        unpickle(io.BytesIO(b"\x80\x02" + script))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("where", ["version", "keys"])
def test_the_older_format_compares_nothing_nested(where: str, tmp_path: Path) -> None:
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    laughs = b"\x80\x02" + LAUGHS + b"."
    rest = {
        "version": laughs + pickle.dumps({}, 2),
        "keys": pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
        + pickle.dumps({}, 2) + b"\x80\x02]" + LAUGHS[2:].join((b"]q\x00", b"")) + b"a.",
    }[where]  # fmt: skip
    path = tmp_path / "x.pt"
    path.write_bytes(magic + rest)
    assert confined(lambda: read_torch(path), seconds=10, megabytes=500) == "sentence"


def test_files_inside_files_end(tmp_path: Path) -> None:
    script = b"N."
    for _ in range(200):
        inner = b"\x80\x02ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(script))
        script = inner + script + b"\x85R."
    (tmp_path / "x.pkl").write_bytes(script)
    with pytest.raises(BundleError, match="nested"):
        read_torch(tmp_path / "x.pkl")


def test_paths_do_not_grow_with_sharing(tmp_path: Path) -> None:
    key = b"X" + struct.pack("<I", 190) + b"a" * 190 + b"q\x01"
    script = b"\x80\x02" + key + b"0]q\x00" + b"}h\x01h\x00sq\x00" * 50 + b"."
    (tmp_path / "x.pkl").write_bytes(script)
    with pytest.raises(BundleError, match="longer than any network"):
        flatten(read_torch(tmp_path / "x.pkl"))


def test_an_honest_file_stays_far_below_its_budget(tmp_path: Path) -> None:
    arrays = {f"w{i}": np.ones((64, 64), np.float32) for i in range(200)}
    for protocol in (2, 4, 5):
        content = pickle.dumps(arrays, protocol)
        meter = Meter(len(content))
        whole = meter.left
        unpickle(io.BytesIO(content), meter=meter)
        assert meter.left > whole // 3
        assert meter.steps < STEPS // 100
    path = tmp_path / "x.pt"
    torch.save({f"w{i}": torch.ones(99) for i in range(2000)}, path)
    assert len(flatten(read_torch(path))) == 2000


def test_numbers_with_too_many_digits_in_a_model_folder_are_left_out(tmp_path: Path) -> None:
    from likeness.importers.deepfacelab import read_deepfacelab

    arrays = {"w:0": np.zeros(3, np.float32)}
    (tmp_path / "a_SAEHD_encoder.npy").write_bytes(pickle.dumps(arrays, 4))
    told = {"options": {"archi": "df" * 999, "resolution": 2**100, "ae_dims": 64}, "iter": 5}
    (tmp_path / "a_SAEHD_data.dat").write_bytes(pickle.dumps(told, 4))
    assert read_deepfacelab(tmp_path).notes == {"ae_dims": 64, "iterations": 5}
