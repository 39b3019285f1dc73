"""Every format through one function: what is odd but honest is read, all else is a sentence."""

from __future__ import annotations

import io
import logging
import os
import socket
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness import files
from likeness.config import read_toml, resolve
from likeness.errors import BundleError, ConfigError, ConsentError, LikenessError, MediaError
from likeness.fit.config import FitConfig
from likeness.importers.arkit import COLUMNS, read_arkit
from likeness.importers.checkpoints import import_checkpoint
from likeness.importers.face_models import load_flame
from likeness.provenance.consent import load_consent
from likeness.provenance.credentials import load_credentials
from likeness.provenance.revoked import revoked_numbers
from likeness.store import load_face_model, read_table
from likeness.store.files import sha256_of
from tests.confined import confined

Reader = Callable[[Path], Any]

READERS: dict[str, Reader] = {
    "settings": read_toml,
    "consent": load_consent,
    "table": read_table,
    "capture": read_arkit,
    "arrays": load_flame,
    "face model": load_face_model,
    "checkpoint": lambda path: import_checkpoint("simswap", path),
    "onnx": lambda path: import_checkpoint("onnx", path),
    "digest": sha256_of,
    "json": lambda path: files.read_json(path, BundleError),
    "pem": lambda path: files.read_pem(path, ConfigError),
}


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_pipe, _socket, _device, Path.mkdir])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_is_no_regular_file_is_refused_at_once(
    read: Reader, make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "x"
    make(path)
    assert confined(lambda: read(path), seconds=10) == "sentence"


def test_the_message_says_what_was_found(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"it is a pipe; expected a TOML file"):
        read_toml(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="there is no such file"):
        read_toml(tmp_path / "absent")
    with pytest.raises(ConfigError, match="no file name"):
        read_toml(Path("a\0b"))
    with pytest.raises(BundleError, match="too long"):
        read_table(tmp_path / ("x" * 300))


DEEP = "[" * 100_000
TOMLS = {
    "deep": f"a = {DEEP}",
    "deep but closed": "a = " + "[" * 200 + "]" * 200,
    "tables": "a = " + "{a = " * 5000,
    "long number": "a = " + "9" * 100_000,
    "beyond 64 bits": "a = " + "9" * 30,
    "no date": "a = 9999-99-99",
    "half a character": r'a = "\ud800"',
    "no text": b"a = '\xff\xfe\xfa'",
    "cut off": b"\xff\xfea",
    "twice": "[a]\n[a]",
    "dotted key": ".".join("a" * 100_000) + " = 1",
    "dotted table": "[" + ".".join("a" * 100_000) + "]",
    "spaced key": " . ".join("a" * 50_000) + " = 1",
    "quoted key": '."b c".'.join("a" * 50_000) + " = 1",
    "inline key": "a = {" + ".".join("a" * 100_000) + " = 1}",
}


@pytest.mark.parametrize("text", TOMLS.values(), ids=TOMLS)
def test_toml_without_sense_is_a_sentence_within_seconds(text: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"x\.toml"):
        read_toml(path)
    with pytest.raises(ConsentError, match=r"x\.toml"):
        load_consent(path)
    assert time.monotonic() - began < 5


def test_toml_of_people_is_read() -> None:
    text = (
        'said = "I. Agree. To. '
        + "All. " * 100
        + '"\nnumbers = ['
        + "0.5, " * 500
        + "]\na.b.c = 1\n"
    )
    found = files.parse_toml(text, "x", ConfigError)
    assert found["a"] == {"b": {"c": 1}}
    assert len(found["numbers"]) == 500


JSONS = [DEEP, '{"a":' * 100_000, "9" * 100_000, "1" + "0" * 25, "NaN", "-Infinity", "1e999",
         '"\\ud800"', '{"\\udfff": 1}', "[" * 100 + "]" * 100, "", "{", b"\xff\xff"]  # fmt: skip


@pytest.mark.parametrize("text", JSONS)
def test_json_without_sense_is_a_sentence(text: str | bytes) -> None:
    with pytest.raises(MediaError, match="somewhere"):
        files.parse_json(text, "somewhere", MediaError)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_taken(encoding: str, tmp_path: Path) -> None:
    assert files.parse_json('{"a": "ü"}'.encode(encoding), "x", ConfigError) == {"a": "ü"}
    assert files.parse_toml('a = "ü"'.encode(encoding), "x", ConfigError) == {"a": "ü"}
    path = tmp_path / "t.csv"
    path.write_bytes("frame,yaw\n0,1.5\n".encode(encoding))
    assert read_table(path)["yaw"].tolist() == [1.5]


SETTINGS = {
    "a float of 400 digits": {"a": 10**400},
    "a power of a billion": {"b": "1e999999999"},
    "a huge denominator": {"b": "1/" + "9" * 5000},
    "a part of nothing": {"b": "1/0"},
}


@pytest.mark.parametrize("table", SETTINGS.values(), ids=SETTINGS)
def test_huge_numbers_in_settings_are_sentences(table: dict[str, Any]) -> None:
    from dataclasses import make_dataclass
    from fractions import Fraction

    kind = make_dataclass("Kind", [("a", float, 1.0), ("b", Fraction, Fraction(1))], frozen=True)
    # The annotations are types, not text, in a class that is made this way.
    with pytest.raises(ConfigError, match="expected") as caught:
        resolve(kind, table)
    assert len(str(caught.value)) < 300


def test_settings_that_are_a_list_are_shown_short() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(FitConfig, {next(iter(FitConfig.__dataclass_fields__)): [["x" * 9999] * 99] * 99})
    assert len(str(caught.value)) < 400


TABLE = "frame{0}yaw{0}jawOpen\n0{0}1{1}5{0}0{1}25\n1{0}-2{1}5{0}\n"


@pytest.mark.parametrize(("separator", "point"), [(",", "."), (";", ","), (";", "."), ("\t", ",")])
def test_tables_of_spreadsheets_are_read(separator: str, point: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for before in ("", f"sep={separator}\n", "\n\n"):
        path.write_text(before + TABLE.format(separator, point))
        table = read_table(path)
        assert table["yaw"].tolist() == [1.5, -2.5]
        assert table["jawOpen"][0] == 0.25
        assert np.isnan(table["jawOpen"][1])


def test_empty_rows_are_skipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("frame,yaw\n0,1\n,\n\n1,2\n,\n")
    with caplog.at_level(logging.WARNING):
        assert read_table(path)["yaw"].tolist() == [1, 2]
    assert "t.csv: 3 rows without content were skipped" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,yaw\n0,1,7\n", "line 2: 3 cells, expected 2"),
        ("frame,yaw\n0,1\n\n0,1_0\n", "line 4: yaw is '1_0'"),
        ("frame,yaw\n0," + "1" * 500 + "\n", "line 2: yaw is '1111"),
        ("frame,yaw\n0,1e999\n", "not finite"),
        ("frame,yaw\n0,\xff", "no text in UTF-8"),
        ("x" * 300_000, "line of more than"),
    ],
)
def test_what_would_be_lost_or_guessed_is_told(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleError, match=message):
        read_table(path)


def _capture(path: Path, times: list[str], separator: str = ",") -> Path:
    header = separator.join(["Timecode", "BlendShapeCount", *COLUMNS])
    zero = "0,25" if separator == ";" else "0.25"
    rows = [separator.join([time, "61", *[zero] * len(COLUMNS)]) for time in times]
    path.write_text("\ufeff" + "\n".join([header, *rows]) + "\n")
    return path


def test_a_capture_goes_on_past_midnight(tmp_path: Path) -> None:
    times = [f"23:59:59:{f:02}.000" for f in range(50, 60)] + [
        f"00:00:00:{f:02}.0" for f in range(9)
    ]
    capture = read_arkit(_capture(tmp_path / "a.csv", times, ";"), rate=60)
    assert len(capture) == 19
    assert set(np.diff(capture.ticks)) == {1000}
    assert (capture.values == 0.25).all()


def test_rows_left_out_of_a_capture_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    times = ["10:00:00:01.0", "10:00:00:02.0", "09:58:00:00.0", "09:58:00:01.0", "10:00:00:03.0"]
    with caplog.at_level(logging.WARNING):
        assert len(read_arkit(_capture(tmp_path / "a.csv", times))) == 3
    assert "a.csv: 2 of 5 rows were left out" in caplog.text


@pytest.mark.parametrize("time", ["9" * 5000 + ":00:00:00", "10:00:00:" + "9" * 400, "", "x"])
def test_timecodes_without_end_are_sentences(time: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="line 2: no timecode"):
        read_arkit(_capture(tmp_path / "a.csv", [time]))


def test_odd_files_of_real_people_are_read(shared_data: Path) -> None:
    odd = shared_data / "odd"
    if not odd.is_dir():
        pytest.skip("no odd inputs beside the test data")
    german, blank = read_arkit(odd / "german.csv"), read_arkit(odd / "blank_commas.csv")
    assert len(german) == len(blank) == 120
    np.testing.assert_array_equal(german.values, blank.values)
    assert load_consent(odd / "consent_bom.toml").role == "target"


WANTED = ("v_template", "f", "shapedirs")


def _npz(path: Path, save: Callable[..., Any] = np.savez, **arrays: Any) -> Path:
    given = {"v_template": np.zeros((5, 3)), "f": np.zeros((2, 3), int), "shapedirs": np.zeros(4)}
    save(path, **{**given, **arrays})
    return path


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    wide = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    for save in (np.savez, np.savez_compressed):
        path = _npz(tmp_path / "a.npz", save, v_template=wide, more=np.array(["a", "bc"]))
        found = files.read_npz(path, WANTED, BundleError, also=("more", "absent"))
        np.testing.assert_array_equal(found["v_template"], wide)
        assert found["more"].tolist() == ["a", "bc"]


def _lying(path: Path) -> None:
    _npz(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["f.npy"] = parts["f.npy"].replace(b"(2, 3)", b"(2,10**9)"[:6].ljust(6), 1)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**3)}
    )
    parts["f.npy"] = header.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "objects": lambda path: _npz(path, f=np.array([1, None], dtype=object)),
    "fields": lambda path: _npz(path, f=np.zeros(3, [("a", "f4")])),
    "claims": _lying,
    "missing": lambda path: np.savez(path, f=np.zeros(3)),
    "shapes": lambda path: _npz(path, f=np.zeros(0), v_template=np.zeros(7)),
    "text": lambda path: path.write_text("no archive"),
    "cut": lambda path: path.write_bytes(_npz(path).read_bytes()[:200]),
    "bomb": lambda path: _npz(path, np.savez_compressed, f=np.zeros(2**28, np.uint64)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_arrays_are_sentences(damage: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    damage(path)
    assert confined(lambda: load_flame(path), megabytes=1500) == "sentence"


def test_a_wrong_byte_of_an_archive_changes_no_number(tmp_path: Path) -> None:
    path = _npz(tmp_path / "a.npz", np.savez_compressed)
    content, whole = path.read_bytes(), files.read_npz(path, WANTED, BundleError)
    refused = 0
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            found = files.read_npz(path, WANTED, BundleError)
        except LikenessError:
            refused += 1
            continue
        assert found.keys() == whole.keys()
        for name, array in whole.items():
            np.testing.assert_array_equal(found[name], array, err_msg=f"byte {place}")
    assert refused > 100


def test_links_out_of_an_hdf5_file_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="Basel 2017 needs likeness[basel]")
    from likeness.importers.face_models import load_basel2017

    secret, path = tmp_path / "secret.h5", tmp_path / "basel.h5"
    with h5py.File(secret, "w") as file:
        file["mean"] = np.zeros(9, np.float32)
    with h5py.File(path, "w") as file:
        file["shape/model/mean"] = h5py.ExternalLink(str(secret), "mean")
    with pytest.raises(BundleError, match="link to elsewhere"):
        load_basel2017(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("shape/model/mean", (10**10,), "f4", chunks=(1000,))
    with pytest.raises(BundleError, match="claims more"):
        load_basel2017(path)


def test_certificates_that_are_none_are_sentences(tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.mkdir()
    for text in ("", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "\xff"):
        (local / "chain.pem").write_text(text)
        with pytest.raises(ConfigError, match=r"chain\.pem"):
            load_credentials(tmp_path)


@pytest.mark.parametrize("text", [DEEP, "9" * 9999, '{"a": NaN}', "[]", '"\\ud800"'])
def test_a_damaged_list_of_revocations_lets_nothing_through(text: str, tmp_path: Path) -> None:
    (tmp_path / "revoked.json").write_text(text)
    with pytest.raises(ConsentError, match="restore it"):
        revoked_numbers(tmp_path)


def test_reading_takes_the_memory_of_the_file_and_not_of_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    tracemalloc.start()
    try:
        assert files.read_regular(path, BundleError, "a file", 2**31) == b"abc"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
