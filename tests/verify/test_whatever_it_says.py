"""Whatever stands in metadata or beside a file, `verify` gives a verdict on the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from likeness.decode import open_clip, read_marks
from likeness.errors import MediaError, TrackError
from likeness.provenance import Manifest
from likeness.provenance.manifest import LONGEST
from likeness.verify import verify_file
from tests.conftest import moving_frames, write_clip

TRACE = "Manifest sha256 " + "ab" * 32
STATED = json.loads(Manifest("x", "reenact").json())
TEXTS = {
    "nothing": "",
    "deep": "[" * 200_000,
    "deep inside": '{"settings": ' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}",
    "a long number": '{"title": ' + "9" * 5000 + "}",
    "half a character": json.dumps({**STATED, "title": "\ud800"}),
    "no number": json.dumps({**STATED, "settings": {"a": float("nan")}}),
    "another time": json.dumps({**STATED, "created": "99999-99-99"}),
    "far time": json.dumps({**STATED, "created": "0001-01-01T00:00:00"}),
    "people are no people": json.dumps({**STATED, "people": [1, None, "x"]}),
    "people say odd things": json.dumps({**STATED, "people": [{"consent": [1]}, {"actor": {}}]}),
    "ingredients are none": json.dumps({**STATED, "ingredients": [{"role": 1}]}),
    "a list": "[1, 2]",
    "steering": json.dumps({**STATED, "title": "\x1b[2J", "action": "\x1b]0;x\x07"}),
    "long": json.dumps({**STATED, "title": "x" * (LONGEST + 1)}),
    "no text": "\x01\x02",
}


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the search for faces, which these files don't show."""

    def none(*given: Any) -> None:
        raise TrackError("no face")

    monkeypatch.setattr("likeness.verify.verification.track", none)


def tagged(path: Path, **metadata: str) -> Path:
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata)
        stream = container.add_stream("mpeg4", rate=25, width=64, height=48)
        stream.pix_fmt = "yuv420p"
        for picture in moving_frames(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def judged(path: Path) -> dict[str, Any]:
    found = verify_file(path).json()
    assert found["frames"] == 3
    assert found["verdict"]
    assert found["watermark"]["present"] is False
    json.dumps(found, allow_nan=False).encode()
    return found


@pytest.mark.parametrize("what", TEXTS)
def test_a_pasted_statement_does_not_stop_it(what: str, tmp_path: Path) -> None:
    text = TEXTS[what]
    beside = tagged(tmp_path / "beside.mkv")
    (tmp_path / "beside.mkv.manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    judged(beside)
    inside = tagged(tmp_path / "inside.mkv", comment=TRACE, description=text[:60_000])
    assert judged(inside)["manifest"]["finding"] == "stripped"
    with pytest.raises(MediaError, match="the manifest"):
        Manifest.parse("[" * 200_000)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"c2pa" * 1000, b"{}", None])
def test_a_manifest_beside_it_that_is_none_does_not_stop_it(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tagged(tmp_path / "a.mkv")
    sidecar = tmp_path / "a.mkv.c2pa"
    if content is None:
        sidecar.mkdir()
    else:
        sidecar.write_bytes(content)
    found = judged(path)
    assert found["manifest"]["valid"] is False
    assert found["manifest"]["finding"] == ("none" if content is None else "manifest changed")


def test_a_manifest_larger_than_any_is_not_read(tmp_path: Path) -> None:
    path = tagged(tmp_path / "a.mkv")
    with (tmp_path / "a.mkv.c2pa").open("wb") as file:
        file.truncate(1 << 27)
    found = judged(path)["manifest"]
    assert found["finding"] == "manifest changed"
    assert "larger than any manifest" in found["problems"][0]


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4", ".mov"])
def test_titles_that_are_no_unicode_are_read(suffix: str, tmp_path: Path) -> None:
    path = tagged(tmp_path / f"a{suffix}", title="ABCDEFGH")
    data = path.read_bytes()
    assert b"ABCDEFGH" in data
    path.write_bytes(data.replace(b"ABCDEFGH", b"AB\xe4\xf6\xfcFGH"))
    assert len(open_clip(path)) == 3
    assert read_marks(path)["title"].startswith("AB")
    judged(path)


def test_readers_that_fail_in_any_way_leave_the_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "a.mp4", moving_frames(3))
    for error in (MediaError("x"), RecursionError(), ValueError(), KeyError("k"), OSError()):

        def fail(*given: Any, error: Exception = error, **more: Any) -> None:
            raise error

        monkeypatch.setattr("likeness.verify.verification.read_manifest", fail)
        problems = judged(path)["manifest"]["problems"]
        assert problems[0].startswith("What the file says of itself could not be read")
    assert np.isfinite(verify_file(path).watermark.p_value)
