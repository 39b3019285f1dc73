"""dlib's files: read as written, and refused in a sentence where they are not what they say."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.errors import BundleError
from likeness.importers.dlib_file import FILE_LIMIT, DlibLayer, DlibNetwork, parse_dlib, read_dlib
from tests.importers import dlib_written as w

NETWORK = w.recognizer()
WHOLE = w.written(NETWORK)
HEAD = w.head(NETWORK, 1)
ONE = replace(NETWORK, layers=NETWORK.layers[:1])


def after_head(content: bytes) -> bytes:
    return HEAD + content


def test_a_network_is_read_as_it_was_written() -> None:
    found = parse_dlib(WHOLE)
    assert found.mean == pytest.approx(NETWORK.mean, abs=1e-5)
    assert found.size == NETWORK.size
    for a, b in zip(found.layers, NETWORK.layers, strict=True):
        assert (a.kind, a.settings) == (b.kind, b.settings)
        for first, second in zip(a.values, b.values, strict=True):
            assert first.dtype == np.float32
            np.testing.assert_array_equal(first, second)


def test_a_fully_connected_layer_may_have_biases() -> None:
    fc = NETWORK.layers[-1]
    plain = w.layer(fc)
    matrix = fc.values[0]
    flat = np.concatenate([matrix.reshape(-1), np.arange(5, dtype=np.float32)])
    written = (
        w.text("fc_2") + w.integers(*fc.settings) + w.tensor(flat)
        + w.part(*matrix.shape, 1, 1) + w.part(1, 5, 1, 1) + w.integer(0) + w.FACTORS
    )  # fmt: skip
    assert plain in WHOLE
    found = parse_dlib(WHOLE.replace(plain, written)).layers[-1]
    np.testing.assert_array_equal(found.values[1], np.arange(5))


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "network.dat"
    path.write_bytes(WHOLE)
    assert len(read_dlib(path).layers) == len(NETWORK.layers)
    with pytest.raises(BundleError, match=r"absent\.dat cannot be read"):
        read_dlib(tmp_path / "absent.dat")
    path.write_bytes(b"")
    with pytest.raises(BundleError, match="has 0 bytes, expected 1 to"):
        read_dlib(path)
    with path.open("wb") as file:
        file.truncate(FILE_LIMIT + 1)
    with pytest.raises(BundleError, match=f"has {FILE_LIMIT + 1} bytes"):
        read_dlib(path)
    with pytest.raises(BundleError, match="cannot be read"):
        read_dlib(tmp_path)


CON = w.layer(NETWORK.layers[0])
HOSTILE = {
    "nothing": (b"", "1 bytes are announced and 0 are left"),
    "garbage": (b"\xff" * 64, "a control byte is 0xff"),
    "zeros": (bytes(64), "a control byte is 0x00"),
    "another version": (w.integer(7) + WHOLE[2:], "the version of the loss is 7, expected 1"),
    "another loss": (WHOLE.replace(b"loss_metric_2", b"loss_mmod_xxx"), "the loss is 'loss_mmod"),
    "a long name": (w.integers(1, 10**6), "a name has 1000000 letters"),
    "another input": (WHOLE.replace(b"input_rgb_image_s", b"input_rgb_image_x"), "the input is"),
    "another layer": (after_head(w.text("dropout_")), "a layer is called 'dropout_'"),
    "endless layers": (
        WHOLE[: WHOLE.index(b"loss_metric_2") + 13] + w.real(1) + w.real(1) + w.integer(2) * 5000,
        "more than 2000 layers are announced",
    ),
    "an odd version": (WHOLE.replace(w.integers(2, 2, 2), w.integers(2, 9, 2), 1), "layer is 9"),
    "a huge tensor": (
        after_head(w.text("con_4") + w.integers(2, 2**24, 2**24, 2**24, 2**24)),
        "values is announced",
    ),
    "a tensor without numbers that is huge": (
        after_head(w.text("con_4") + w.integers(2, 0, 2**24, 2**24, 2**24)),
        "are left",
    ),
    "a negative size": (after_head(w.text("con_4") + w.integers(2, -1, 1, 1, 1)), "a size is -1"),
    "a huge size": (after_head(w.text("con_4") + w.integers(2, 2**60, 1, 1, 1)), "a size is 11529"),
    "an old tensor": (after_head(w.text("con_4") + w.integers(1, 1, 1, 1, 1)), "tensor is 1, expe"),
    "not a number": (
        after_head(w.text("con_4") + w.tensor([float("nan")])),
        "no finite numbers",
    ),
    "infinite mean": (
        WHOLE.replace(w.real(NETWORK.mean[0]), w.integers(0, 32000)),
        "a setting is no finite number",
    ),
    "a mean beyond all numbers": (
        WHOLE.replace(w.real(NETWORK.mean[0]), w.integers(1, 31000)),
        "too large a number",
    ),
    "an integer of nine bytes": (after_head(w.text("con_4") + b"\x09" * 12), "byte is 0x09"),
    "filters that contradict": (
        after_head(CON.replace(w.part(4, 3, 7, 7), w.part(4, 3, 7, 6))),
        "contradict",
    ),
    "parts that are too few": (
        after_head(CON.replace(w.part(4, 3, 7, 7), w.part(4, 2, 7, 7))),
        "592 values are no",
    ),
    "an affine layer of two sizes": (
        after_head(
            w.text("affine_") + w.tensor([1, 2, 3]) + w.part(1, 1, 1, 1) + w.part(1, 2, 1, 1)
            + w.integer(0)
        ),
        "are not one a channel",
    ),
    "no truth": (after_head(CON + b"11x"), "a truth value is b'x'"),
    "more than a network": (WHOLE + b"\x01", "1 bytes follow"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_network_is_refused_in_a_sentence(case: str) -> None:
    content, sentence = HOSTILE[case]
    with pytest.raises(BundleError) as caught:
        parse_dlib(content, "x.dat")
    message = str(caught.value)
    assert sentence in message, message
    assert message.startswith("x.dat: ")
    assert "expected dlib_face_recognition_resnet_model_v1.dat" in message


def test_every_cut_is_noticed() -> None:
    for length in [*range(0, 400), *range(400, len(WHOLE), 97)]:
        with pytest.raises(BundleError):
            parse_dlib(WHOLE[:length])


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_raise(content: bytes) -> None:
    for begun in (content, after_head(content), after_head(w.text("con_4") + content)):
        with pytest.raises(BundleError):
            parse_dlib(begun)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_a_network_or_a_sentence(at: int, value: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] = value
    try:
        network = parse_dlib(bytes(changed))
    except BundleError:
        return
    assert isinstance(network, DlibNetwork)
    assert all(isinstance(layer, DlibLayer) for layer in network.layers)


def test_announced_sizes_cost_no_memory() -> None:
    content = after_head(w.text("con_4") + w.integers(2, 2**26, 1, 1, 1) + bytes(1000))
    tracemalloc.start()
    with pytest.raises(BundleError):
        parse_dlib(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_one_layer_alone_is_a_network_too() -> None:
    found = parse_dlib(w.written(ONE))
    assert isinstance(found, DlibNetwork)
    assert [type(layer) for layer in found.layers] == [DlibLayer]
