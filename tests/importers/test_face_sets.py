"""Face sets: points inside DeepFaceLab's JPEGs and beside plain pictures, and what is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from likeness.errors import BundleError
from likeness.importers.face_sets import read_deepfacelab_face, read_face_set


class Harm:
    """What a stranger's file would run."""

    def __reduce__(self) -> Any:
        return (print, ("harm",))


def face(folder: Path, name: str, told: Any = None, raw: bytes | None = None) -> Path:
    """Write a picture as DeepFaceLab does: a pickled dict in an APP15 segment after the others."""
    file = folder / name
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(file)
    content = raw if raw is not None else pickle.dumps(told)
    if told is None and raw is None:
        return file
    jpeg = file.read_bytes()
    # Behind the first segment, which is JFIF's.
    end = 4 + int.from_bytes(jpeg[4:6], "big")
    segment = b"\xff\xef" + (len(content) + 2).to_bytes(2, "big") + content
    file.write_bytes(jpeg[:end] + segment + jpeg[end:])
    return file


def points() -> list[list[float]]:
    return [[float(i), 100.0 - i] for i in range(68)]


@pytest.mark.parametrize("kind", ["numbers", "array", "double"])
def test_points_come_out_of_deepfacelabs_pictures(kind: str, tmp_path: Path) -> None:
    landmarks: Any = points()
    if kind != "numbers":
        landmarks = np.array(landmarks, np.float64 if kind == "double" else np.float32)
    told = {
        "face_type": "whole_face",
        "landmarks": landmarks,
        "source_filename": "00001.png",
        "image_to_face_mat": np.eye(2, 3),
        "xseg_mask": None,
        "eyebrows_expand_mod": 1.0,
    }
    face(tmp_path, "00001_0.jpg", told)
    face(tmp_path, "plain.jpg")
    (tmp_path / "notes.txt").write_text("nothing")
    found = read_face_set(tmp_path)
    assert list(found) == ["00001_0.jpg"]
    # From the center of the first pixel to its corner.
    np.testing.assert_allclose(found["00001_0.jpg"], np.array(points()) + 0.5)
    assert Image.open(tmp_path / "00001_0.jpg").size == (32, 32)


def test_points_beside_the_pictures(tmp_path: Path) -> None:
    face(tmp_path, "a.png")
    told = {"format": 1, "faces": {"a.png": {"landmarks": points(), "source": "clip.mp4"}}}
    (tmp_path / "faces.json").write_text(json.dumps(told))
    np.testing.assert_array_equal(read_face_set(tmp_path)["a.png"], np.array(points()))


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (Harm(), "damaged or made to do harm"),
        ({"landmarks": points()[:5]}, "without 68 landmarks"),
        ({"landmarks": [[float("nan")] * 2] * 68}, "without 68 landmarks"),
        ({"landmarks": [[1e9, 0.0]] * 68}, "without 68 landmarks"),
        ({"landmarks": "sixty-eight"}, "without 68 landmarks"),
        (["landmarks"], "without 68 landmarks"),
    ],
    ids=["code", "few", "no numbers", "far away", "text", "list"],
)
def test_what_is_no_face_is_refused(
    told: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BundleError, match=message):
        read_deepfacelab_face(face(tmp_path, "x.jpg", told))
    assert "harm" not in capsys.readouterr().out


def test_damaged_segments_and_sidecars_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"x\.jpg"):
        read_deepfacelab_face(face(tmp_path, "x.jpg", raw=pickle.dumps({"a": 1})[:-3]))
    cut = face(tmp_path, "y.jpg", {"landmarks": points()})
    cut.write_bytes(cut.read_bytes()[:30])
    with pytest.raises(BundleError):
        read_deepfacelab_face(cut)
    (tmp_path / "x.jpg").unlink()
    cut.unlink()
    for content in ('{"format": 1}', '{"format": 2, "faces": {}}', "[]", '{"format": 1, "faces": '):
        (tmp_path / "faces.json").write_text(content)
        with pytest.raises(BundleError):
            read_face_set(tmp_path)
    far = {"format": 1, "faces": {"a.png": {"landmarks": [[1e30, 0]] * 68}}}
    (tmp_path / "faces.json").write_text(json.dumps(far))
    with pytest.raises(BundleError, match="beyond any picture"):
        read_face_set(tmp_path)
