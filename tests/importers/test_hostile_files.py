"""Files that try to run code, to fill the memory or to reach other files are refused."""

from __future__ import annotations

import io
import os
import pickle
import stat
import struct
import tempfile
import tracemalloc
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from likeness.errors import BundleError
from likeness.importers.checkpoints import import_checkpoint
from likeness.importers.torch_files import read_torch
from likeness.importers.unpickle import Name, StandIn, unpickle
from tests.importers import hostile


def archive(path: Path, description: bytes, storage: bytes = b"\0" * 16, **more: bytes) -> Path:
    """Write a zip archive as torch.save does."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", description)
        file.writestr("archive/data/0", storage)
        for name, content in more.items():
            file.writestr(name, content)
    return path


SCRIPTS = {
    "os.system": hostile.call("os", "system", "touch run"),
    "posix.system": hostile.call("posix", "system", "touch run"),
    "eval": hostile.call("builtins", "eval", "1"),
    "exec of Python 2": hostile.call("__builtin__", "execfile", "x"),
    "getattr": hostile.call("builtins", "getattr", "a", "b"),
    "import": hostile.call("importlib", "import_module", "os"),
    "torch.load": hostile.call("torch", "load", "x"),
    "torch hub": hostile.call("torch.hub", "load", "x"),
    "numpy.load": hostile.call("numpy", "load", "x"),
    "dotted name": hostile.call("torch.nn.modules.linear", "torch.os.system", "touch run"),
    "class of modules called": hostile.call("torch.nn.modules.linear", "Linear", "1"),
    "nested reduce": hostile.nested_call(50),
    "state of an admitted class": hostile.state_call(),
    "reduce of an object": pickle.dumps({"w": hostile.Call(os.system, "touch run")}),
    "object with __setstate__": pickle.dumps(hostile.WithState()),
    "instance by name": b"(Vtouch run\nios\nsystem\n.",
    "instance by object": b"(cos\nsystem\nVtouch run\no.",
    "extension code": b"\x80\x02\x82\x01.",
    "buffer outside": b"\x80\x05\x97.",
    "numpy objects": hostile.numpy_objects(),
    "unhashable key": b"}]Vx\ns.",
    "nested key": b"}(" + b"(" * 50 + b"t" * 50 + b"Vx\nu.",
    "no memo": b"h\x07.",
    "empty stack": b"a.",
    "truncated": pickle.dumps({"w": np.zeros(100)})[:90],
    "nothing": b"",
    "text": b"<!DOCTYPE html><html>Quota exceeded</html>",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_scripts_are_refused_in_every_container(
    script: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bare = tmp_path / "model.pkl"
    bare.write_bytes(script)
    old = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    old += pickle.dumps({"little_endian": True}, 2)
    stream = tmp_path / "model.pth"
    stream.write_bytes(old + script)
    for path in (bare, stream, archive(tmp_path / "model.pt", script)):
        with pytest.raises(BundleError):
            read_torch(path)
        with pytest.raises(BundleError):
            import_checkpoint("simswap", path)
    assert not (tmp_path / "run").exists()


def test_a_state_never_reaches_a_class() -> None:
    linear = b"ctorch.nn.modules.linear\nLinear\n)\x81}Vweight\nK\x01sb."
    found = unpickle(io.BytesIO(linear))
    assert isinstance(found, StandIn)
    assert found.kind == "torch.nn.modules.linear.Linear"
    assert found.state == {"weight": 1}


def test_source_text_in_a_persistent_object_stays_text(tmp_path: Path) -> None:
    meta = {
        "type": "class",
        "version": 6,
        "module_src": "import os; os.system('touch run')",
        "class_name": "Generator",
        "state": {"_parameters": {}, "_buffers": {}, "_modules": {}},
    }
    body = pickle.dumps(meta, 2)[2:-1]
    script = b"\x80\x02ctorch_utils.persistence\n_reconstruct_persistent_obj\n" + body + b"\x85R."
    path = tmp_path / "ffhq.pkl"
    path.write_bytes(script)
    found = read_torch(path)
    assert isinstance(found, StandIn)
    assert "module_src" not in found.state


LIES = {
    "larger than its storage": hostile.tensor(b"K\x05\x85", b"K\x01\x85"),
    "stride of nothing": hostile.tensor(hostile.number(10**12) + b"\x85", b"K\x00\x85"),
    "offset outside": hostile.tensor(b"K\x04\x85", b"K\x01\x85", b"K\x01"),
    "negative offset": hostile.tensor(b"K\x01\x85", b"K\x01\x85", hostile.number(-1)),
    "negative stride": hostile.tensor(b"K\x02\x85", hostile.number(-1) + b"\x85"),
    "beyond any size": hostile.tensor(hostile.number(2**62) + b"\x85", b"K\x01\x85"),
    "text as a size": hostile.tensor(b"Vx\n", b"K\x01\x85"),
    "other number of strides": hostile.tensor(b"K\x02K\x02\x86", b"K\x01\x85"),
}


@pytest.mark.parametrize("script", LIES.values(), ids=LIES)
def test_tensors_must_fit_their_storage(script: bytes, tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        read_torch(archive(tmp_path / "x.pt", script))


def test_a_storage_must_be_as_large_as_it_claims(tmp_path: Path) -> None:
    script = hostile.tensor(b"K\x04\x85", b"K\x01\x85").replace(b"K\x04tQ", b"J\xff\xff\xff\x7ftQ")
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="claims"):
            read_torch(archive(tmp_path / "x.pt", script))
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("opcode", [b"\x8e", b"\x8d", b"\x96"])
def test_text_and_bytes_that_claim_terabytes_cost_nothing(opcode: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x80\x05" + opcode + struct.pack("<Q", 2**43) + b"x.")
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="no whole pickle"):
            read_torch(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@cache
def whole_file(as_zip: bool) -> bytes:
    """What torch writes, once: how long it is depends on what was pickled before."""
    file = io.BytesIO()
    content = {"a": nn.Linear(2, 3), "n": np.arange(3)}
    torch.save(content, file, _use_new_zipfile_serialization=as_zip)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@settings(max_examples=60)
@given(st.data())
def test_damage_anywhere_is_refused_or_harmless(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pt"
        content = bytearray(whole_file(data.draw(st.booleans())))
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        with pytest.raises(BundleError):
            import_checkpoint("simswap", path)
        try:
            read = read_torch(path)
        except BundleError:
            return
        assert strangers(read) == set()
        assert held(read) <= len(content)


def strangers(read: object) -> set[type]:
    """Types of what a file gave that are neither plain values nor tensors."""
    if isinstance(read, StandIn):
        return strangers(read.state)
    if isinstance(read, dict):
        return strangers([*read.keys(), *read.values()])
    if isinstance(read, list | tuple | set | frozenset):
        return set().union(*map(strangers, read))
    plain = (str, bytes, int, float, torch.Tensor, Name, torch.dtype, torch.Size)
    return set() if read is None or isinstance(read, plain) else {type(read)}


def held(read: object) -> int:
    """Bytes of all tensors that a file gave, each storage counted once."""
    sizes: dict[int, int] = {}

    def note(part: object) -> None:
        if isinstance(part, torch.Tensor):
            storage = part.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
        elif isinstance(part, StandIn):
            note(part.state)
        elif isinstance(part, dict):
            note(list(part.values()))
        elif isinstance(part, list | tuple):
            for one in part:
                note(one)

    note(read)
    return sum(sizes.values())


def test_an_undamaged_file_is_read_whole(tmp_path: Path) -> None:
    path, layer = tmp_path / "x.pt", nn.Linear(2, 3)
    torch.save({"a": layer, "n": np.arange(3)}, path)
    read = read_torch(path)
    assert strangers(read) == set()
    # Six weights, three biases, three numbers; tensors are views of the file's own storages.
    assert 9 * 4 + 3 * 8 <= held(read) <= path.stat().st_size
    torch.testing.assert_close(read["a"].state["_parameters"]["weight"], layer.weight.detach())
    assert read["n"].tolist() == [0, 1, 2]


def test_arrays_must_have_the_bytes_that_they_claim(tmp_path: Path) -> None:
    honest = pickle.dumps({"w": np.zeros(4, np.float32)}, 2)
    assert b"K\x04\x85" in honest
    path = tmp_path / "x.npy"
    path.write_bytes(honest.replace(b"K\x04\x85", b"J\xff\xff\xff\x7f\x85", 1))
    with pytest.raises(BundleError, match="claims"):
        read_torch(path)


def test_shared_memory_cannot_multiply(tmp_path: Path) -> None:
    shared = torch.zeros(1000)
    state = {f"tensor_{i}.weight": shared for i in range(500)}
    state |= {
        "first_layer.1.weight": torch.zeros(8, 3, 7, 7),
        "BottleNeck.0.style1.linear.weight": torch.zeros(16, 8),
        "last_layer.1.weight": torch.zeros(3, 8, 7, 7),
    }
    path = tmp_path / "x.pt"
    torch.save(state, path)
    assert path.stat().st_size < 200_000
    with pytest.raises(BundleError):
        import_checkpoint("simswap", path)


def test_the_billion_laughs_stay_untold(tmp_path: Path) -> None:
    # Each list holds the one before it ten times: a tree of 10**30 leaves in a few bytes.
    tree: list[object] = ["ha"]
    for _ in range(30):
        tree = [tree] * 10
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(tree))
    with pytest.raises(BundleError):
        import_checkpoint("bisenet", path)


def test_cycles_and_depth_end(tmp_path: Path) -> None:
    cycle: dict[str, object] = {}
    cycle["self"] = cycle
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(cycle))
    with pytest.raises(BundleError, match="fit no kind"):
        import_checkpoint("bisenet", path)
    path.write_bytes(b"(" * 100_000 + b"t" * 100_000 + b".")
    with pytest.raises(BundleError, match="deeper"):
        read_torch(path)


def test_zip_bombs_are_seen_before_they_unpack(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", hostile.tensor(b"K\x04\x85", b"K\x01\x85"))
        file.writestr("archive/data/0", b"\0" * 50_000_000)
    with pytest.raises(BundleError, match="unpacks to more"):
        read_torch(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", os.urandom(1000))
    with pytest.raises(BundleError, match="compressed"):
        read_torch(path)


def test_a_lie_about_an_entry_costs_nothing(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.pt", b".")
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = struct.pack("<II", 2**31, 2**31)
    path.write_bytes(content)
    with pytest.raises(BundleError, match="unpacks to more"):
        read_torch(path)


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "archive/../../x", "a\\..\\x"])
def test_paths_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    script = hostile.tensor(b"K\x04\x85", b"K\x01\x85")
    with pytest.raises(BundleError, match="leads out"):
        read_torch(archive(tmp_path / "x.pt", script, **{name: b"x"}))


def test_links_in_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    link = zipfile.ZipInfo("archive/data/0")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", hostile.tensor(b"K\x04\x85", b"K\x01\x85"))
        file.writestr(link, "/etc/passwd")
    with pytest.raises(BundleError, match="symbolic link"):
        read_torch(path)


def test_links_in_model_folders_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(pickle.dumps({"dense1/weight:0": np.zeros(3, np.float32)}))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "x_SAEHD_encoder.npy").symlink_to(secret)
    with pytest.raises(BundleError, match="link"):
        import_checkpoint("dfl", folder)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("as_zip", [True, False])
def test_files_cut_off_anywhere_are_refused(share: float, as_zip: bool, tmp_path: Path) -> None:
    whole = tmp_path / "whole.pt"
    torch.save(nn.Conv2d(3, 8, 3).state_dict(), whole, _use_new_zipfile_serialization=as_zip)
    content = whole.read_bytes()
    path = tmp_path / "cut.pt"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BundleError):
        read_torch(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nowhere"):
        with pytest.raises(BundleError, match="no file"):
            import_checkpoint("simswap", path)


def test_safetensors_that_lie_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    with pytest.raises(BundleError, match="safetensors"):
        import_checkpoint("simswap", path)
