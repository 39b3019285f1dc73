"""Everything that is written is marked: tries to get out of it."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import c2pa
import pytest
import torch
from cyclopts import App

import likeness
from likeness.cli.app import build, run
from likeness.decode import open_clip, read_marks
from likeness.encode import EncodeConfig, Encoder, encode
from likeness.errors import MediaError
from likeness.provenance import Manifest, read_manifest, sidecar_of, trust_anchors
from likeness.types import Clip

PACKAGE = Path(likeness.__file__).parent
MARKING = re.compile(
    r"manifest|watermark|c2pa|\bsign|mark(s|ed|ing)?\b|provenance|label|embed", re.I
)
SWITCH = re.compile(
    r"(^|[-_])(no|skip|disable|without|un|off|raw|force|allow|bypass)([-_]|$)", re.I
)
STATED = {
    # Facts about files that were read or written, and who signs; none of them is a choice.
    "Signed.manifest": "where the manifest is",
    "RunReport.manifest": "where the manifest is",
    "DubReport.manifest": "where the manifest is",
    "LayersReport.manifest": "where the manifest is",
    "Job.manifest": "what encode was given",
}


@pytest.fixture(scope="module")
def camera_clip(plain_clip: Path) -> Clip:
    return open_clip(plain_clip)


def pictures(clip: Clip) -> torch.Tensor:
    return torch.full((len(clip), 3, *clip.size), 0.5)


def assert_marked(output: Path) -> None:
    assert read_manifest(output, trust_anchors()).trusted
    assert "Synthetic media" in read_marks(output)["comment"]
    assert sidecar_of(output).is_file()


def options(app: App, verb: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every option that a command takes, as typed."""
    for name in (name for name in app if not name.startswith("-")):
        yield from options(app[name], (*verb, name))
    if app.default_command is not None and verb:
        for argument in app.assemble_argument_collection():
            yield from ((" ".join(verb), name) for name in argument.names)


def config_classes() -> list[type]:
    """Every dataclass of the package."""
    found = {}
    for module in pkgutil.walk_packages([str(PACKAGE)], "likeness."):
        if module.name.endswith("__main__"):
            continue
        for item in vars(importlib.import_module(module.name)).values():
            if dataclasses.is_dataclass(item) and isinstance(item, type):
                found[f"{item.__module__}.{item.__name__}"] = item
    return list(found.values())


def test_encode_has_no_default_manifest() -> None:
    parameter = inspect.signature(encode).parameters["manifest"]
    assert parameter.default is inspect.Parameter.empty
    with pytest.raises(TypeError):
        encode("o.mp4", None)  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize("manifest", [None, False, {}, "manifest", object()])
def test_nothing_else_passes_for_a_manifest(
    camera_clip: Clip, tmp_path: Path, manifest: Any
) -> None:
    with pytest.raises(TypeError, match="expected a Manifest"):
        encode(tmp_path / "o.mp4", camera_clip, manifest)
    assert list(tmp_path.iterdir()) == []


def test_no_option_turns_marking_off() -> None:
    found = list(options(build()))
    assert len({verb for verb, _ in found}) >= 10
    names = {name for _, name in found}
    assert {"--consent", "--output", "--json"} <= names
    # Labels of pictures, from which directions of a generator are found.
    assert [name for name in names - {"--from-labels"} if MARKING.search(name)] == []
    assert [name for name in names if SWITCH.search(name) and "consent" in name] == []


def test_no_setting_turns_marking_off() -> None:
    classes = config_classes()
    assert EncodeConfig in classes
    switches = [
        f"{kind.__name__}.{field.name}"
        for kind in classes
        for field in dataclasses.fields(kind)
        if kind.__name__.endswith(("Config", "Training", "Job", "Report", "Signed", "Options"))
        and MARKING.search(field.name)
    ]
    assert set(switches) <= set(STATED), switches


@pytest.mark.parametrize("key", ["manifest", "watermark", "marks", "sign", "c2pa", "credentials"])
def test_no_key_of_a_settings_file_turns_marking_off(
    tmp_path: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "run.toml"
    settings.write_text(f"[encode]\n{key} = false\n")
    command = ["reenact", "a.bundle", "-o", "o.mp4", "--config", str(settings)]
    assert run(command) == 2
    assert f"unknown setting 'encode.{key}'" in capsys.readouterr().err


def test_the_environment_turns_nothing_off(
    camera_clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("LIKENESS", "C2PA", "C2PA_RS", "CAI"):
        for name in ("NO_MANIFEST", "NO_WATERMARK", "NO_SIGN", "DISABLE", "OFF", "SKIP", "DEBUG"):
            monkeypatch.setenv(f"{program}_{name}", "1")
        for name in ("MANIFEST", "WATERMARK", "SIGN", "MARKS", "ENABLED"):
            monkeypatch.setenv(f"{program}_{name}", "0")
    output = tmp_path / "o.mp4"
    with encode(output, camera_clip, Manifest("t", "reenact")) as video:
        video.append(pictures(camera_clip))
    assert_marked(output)


def write_with(
    output: Path, clip: Clip, patch: pytest.MonkeyPatch, sign: Callable[..., Any]
) -> None:
    """Write a clip; the library's signing is replaced after the trial at the start went well."""
    with patch.context() as late, encode(output, clip, Manifest("t", "reenact")) as video:
        video.append(pictures(clip))
        late.setattr(c2pa.Builder, "sign", sign)


def test_what_cannot_be_signed_is_not_written(
    camera_clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise c2pa.C2paError("no")

    with pytest.raises(MediaError, match="nothing is written unsigned"):
        write_with(tmp_path / "o.mp4", camera_clip, monkeypatch, refuse)
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_validate_is_not_written(
    camera_clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(self: object, signer: object, kind: str, source: Any, target: Any) -> bytes:
        target.write(source.read())
        return b""

    for name in ("o.mp4", "o.mkv"):
        with pytest.raises(MediaError, match="does not validate"):
            write_with(tmp_path / name, camera_clip, monkeypatch, spoil)
    assert list(tmp_path.iterdir()) == []


def test_leaving_early_leaves_nothing(camera_clip: Clip, tmp_path: Path) -> None:
    video = encode(tmp_path / "o.mp4", camera_clip, Manifest("t", "reenact"))
    video.__enter__()
    video.append(pictures(camera_clip))
    hidden = [path.name for path in tmp_path.iterdir()]
    assert all(name.startswith(".") and ".partial" in name for name in hidden)
    video.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert list(tmp_path.iterdir()) == []
    assert not hasattr(Encoder, "close")


def test_only_encode_opens_a_video_for_writing() -> None:
    writers = re.compile(
        r"(av\.open|CodecContext\.create)\((?:[^()]|\([^()]*\))*[\"']w[\"']|imwrite|VideoWriter"
    )
    found = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if writers.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["encode/live.py", "encode/sinks.py", "encode/sound.py"]
