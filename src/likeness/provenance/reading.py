"""Read and judge the manifest of any file: ours or not, embedded, beside it, lost or changed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from likeness.errors import MediaError
from likeness.files import why_unreadable
from likeness.provenance.manifest import LONGEST, Ingredient, Manifest, sidecar_of
from likeness.provenance.signing import STATEMENT_LABEL, UNKNOWN, Content, detached_of, format_of

Finding = Literal[
    "valid", "content changed", "manifest changed", "invalid", "stripped", "re-encoded", "none"
]
"""What the evidence says:

valid              a manifest is there, its signature is good and the content is what was signed
content changed    the manifest is whole, the content under it is another (a tampered pixel)
manifest changed   the manifest itself was altered or is damaged
invalid            whole, but its certificate is unfit: expired, revoked, of another purpose
stripped           no signed manifest, but traces of one, and the picture stream is as it was coded
re-encoded         no signed manifest, but traces of one, and the picture stream was coded anew
none               no manifest and no trace of one
"""

_CONTENT = re.compile(r"^assertion\.(bmffHash|dataHash|boxesHash|collectionHash)\.(mismatch|malf)")
_SIGNER = re.compile(r"^(signingCredential|timeStamp|algorithm)\.")
_UNTRUSTED = "signingCredential.untrusted"
_ESSENCE = re.compile(r"Picture stream sha256 ([0-9a-f]{64})")
_TRACE = re.compile(r"Manifest sha256 [0-9a-f]{64}")
_LOOK = 1 << 20
_DETACHED = 1 << 26
"""Bytes of a manifest beside a file; those of a long sequence of pictures take a few million."""


@dataclass(frozen=True)
class ManifestReading:
    """What a file's manifest says, and whether to believe it."""

    finding: Finding = "none"
    present: bool = False
    """A C2PA manifest is in the file or beside it."""
    valid: bool = False
    """Signature, statements and content all match; says nothing of who signed."""
    trusted: bool = False
    """Valid, and the signer's certificates end at one of the anchors given."""
    source: Literal["embedded", "sidecar"] | None = None
    """Where the manifest was found."""
    actions: tuple[str, ...] = ()
    """C2PA actions with their digital source type, as "c2pa.created (trainedAlgorithmicMedia)"."""
    consent: tuple[str, ...] = ()
    """sha256 of the consent records that the work relies on; empty where none was needed."""
    ingredients: tuple[Ingredient, ...] = ()
    """What the file was made from; role and digest are empty where another program says none."""
    signer: str | None = None
    """Name in the signer's certificate: believe it only if `trusted`."""
    generator: str | None = None
    """Software that wrote the manifest, with its version."""
    statement: Manifest | None = None
    """Our own, fuller record of how the file came to be; None for files of other programs."""
    essence: str | None = None
    """sha256 of the coded picture stream when it was signed, where the manifest is ours."""
    problems: tuple[str, ...] = ()
    """What is wrong or uncertain, as plain sentences; empty for a valid and trusted file."""


def read_manifest(
    path: Path | str,
    anchors: Sequence[str] = (),
    *,
    marks: Mapping[str, str] | None = None,
    essence: str | None = None,
) -> ManifestReading:
    """Read and validate the manifest of a video or picture, without the network.

    Args:
        path: The file. A manifest beside it (`PATH.c2pa`) is used where none is inside.
        anchors: Certificates in PEM that are trusted as roots; `trust_anchors()` gives this
            user's own.
        marks: The container's metadata as `decode.read_marks` returns it: traces of a manifest that
            was cut out.
        essence: sha256 of the coded picture stream as `encode.read_essence` returns it: tells a
            stripped file from one that was coded anew.

    Raises:
        MediaError: The file cannot be read. Whatever is wrong with its manifest is a finding, not
            an error.
    """
    path = Path(path)
    if not path.is_file():
        raise MediaError(f"{path} is no file; expected a video or picture to read the manifest of")
    found = _embedded(path, anchors)
    if not found.present and detached_of(path).is_file():
        found = read_detached(Content((path,)), detached_of(path), anchors)
    if found.present:
        return _explain(found, essence)
    return _traces(path, found, marks or {}, essence)


def read_detached(content: Content, manifest: Path, anchors: Sequence[str] = ()) -> ManifestReading:
    """Validate content against a manifest that stands beside it.

    Args:
        content: A file, or the pictures of a sequence in order.
        manifest: The .c2pa file.
        anchors: As in `read_manifest`.

    Raises:
        MediaError: A file cannot be read.
    """
    with ExitStack() as opened:
        try:
            if manifest.stat().st_size > _DETACHED:
                return replace(_damaged("it is larger than any manifest"), source="sidecar")
            stream, data = content.open(opened), manifest.read_bytes()
        except OSError as error:
            raise MediaError(
                f"{content.files[0]} or {manifest} cannot be read: {why_unreadable(error)}"
            ) from error
        found = _ask(UNKNOWN, stream, anchors, data)
    return replace(found, source="sidecar")


def _embedded(path: Path, anchors: Sequence[str]) -> ManifestReading:
    with path.open("rb") as stream:
        kind = format_of(path)
        return _ask(None if kind == UNKNOWN else kind, stream, anchors, None)


def _ask(
    kind: str | None, stream: Any, anchors: Sequence[str], manifest: bytes | None
) -> ManifestReading:
    """Let the C2PA library read and validate."""
    import c2pa

    settings: dict[str, Any] = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
    if anchors:
        settings["trust"] = {"user_anchors": "\n".join(anchors)}
    source: Literal["embedded"] = "embedded"
    try:
        with (
            c2pa.Context.from_dict(settings) as context,
            c2pa.Reader(kind, stream, manifest, context=context) as reader,
        ):
            text = reader.json()
    except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported):
        return ManifestReading()
    except c2pa.C2paError as error:
        return _unreadable(stream, manifest is not None, str(error))
    try:
        return replace(_understand(json.loads(text)), source=source)
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError):
        # The file comes from a stranger: what the library lets pass may still be of any shape.
        return _damaged("it is not built as a manifest is")


def _unreadable(stream: Any, beside: bool, error: str) -> ManifestReading:
    """Tell a broken manifest from a file that the library cannot take apart."""
    stream.seek(0)
    if beside or b"c2pa" in stream.read(_LOOK):
        return _damaged(error)
    return ManifestReading(
        problems=(f"The file cannot be searched for a manifest ({error}): it may be damaged.",)
    )


def _damaged(error: str) -> ManifestReading:
    problem = f"A manifest is there but cannot be read ({error}): it was damaged or altered."
    return ManifestReading("manifest changed", True, source="embedded", problems=(problem,))


def _understand(store: Mapping[str, Any]) -> ManifestReading:
    manifest = store["manifests"][store["active_manifest"]]
    assertions = {a["label"]: a["data"] for a in manifest.get("assertions", ())}
    actions = [
        action
        for label in ("c2pa.actions", "c2pa.actions.v2")
        for action in assertions.get(label, {}).get("actions", ())
    ]
    results = store.get("validation_results", {}).get("activeManifest", {})
    failures = [entry["code"] for entry in results.get("failure", ())]
    ours = assertions.get(STATEMENT_LABEL)
    statement = None if ours is None else _statement(json.dumps(ours))
    trusted = store.get("validation_state") == "Trusted"
    valid = trusted or store.get("validation_state") == "Valid"
    about = (manifest.get("claim_generator_info") or [{}])[0]
    return ManifestReading(
        finding="valid" if valid else _judge(failures),
        present=True,
        valid=valid,
        trusted=trusted,
        actions=tuple(_action(action) for action in actions),
        consent=statement.consent if statement else (),
        ingredients=statement.ingredients if statement else _ingredients(manifest),
        signer=(manifest.get("signature_info") or {}).get("common_name"),
        generator=f"{about.get('name', 'unknown')} {about.get('version', '')}".strip(),
        statement=statement,
        essence=ours.get("essence") if isinstance(ours, dict) else None,
        problems=_complaints(failures),
    )


def _judge(failures: Sequence[str]) -> Finding:
    serious = [code for code in failures if code != _UNTRUSTED]
    if any(not _CONTENT.match(code) and not _SIGNER.match(code) for code in serious):
        return "manifest changed"
    if any(_CONTENT.match(code) for code in serious):
        return "content changed"
    return "invalid"


def _complaints(failures: Sequence[str]) -> tuple[str, ...]:
    said = {
        "content changed": "The content is not what was signed: something was altered since.",
        "manifest changed": "The manifest was altered after it was signed, or is damaged",
        "invalid": "The signature cannot be accepted",
    }
    serious = sorted({code for code in failures if code != _UNTRUSTED})
    complaints = []
    if serious:
        verdict = _judge(failures)
        codes = "" if verdict == "content changed" else f" ({', '.join(serious)})."
        complaints.append(said[verdict] + codes)
    if _UNTRUSTED in failures:
        complaints.append(
            "The signature's certificate leads to no trusted root: whoever signed may have made it "
            "themselves."
        )
    return tuple(complaints)


def _statement(text: str) -> Manifest | None:
    """Return our own record, or None where the text is none."""
    try:
        return Manifest.parse(text)
    except MediaError:
        return None


def _action(action: Mapping[str, Any]) -> str:
    kind = str(action.get("digitalSourceType", "")).rpartition("/")[2]
    return f"{action.get('action', 'unknown')} ({kind})" if kind else str(action.get("action"))


def _ingredients(manifest: Mapping[str, Any]) -> tuple[Ingredient, ...]:
    """Ingredients as other programs state them: C2PA knows names and kinds of relation."""
    return tuple(
        Ingredient(found.get("relationship", ""), found.get("title", ""), "")
        for found in manifest.get("ingredients", ())
    )


def _explain(found: ManifestReading, essence: str | None) -> ManifestReading:
    """Say what else the coded pictures tell of changed content."""
    if found.finding != "content changed" or essence is None or found.essence is None:
        return found
    same = essence == found.essence
    more = (
        "The coded pictures are untouched: sound, metadata or the container around them changed."
        if same
        else "The coded pictures differ: frames were altered, added, removed or coded anew."
    )
    return replace(found, problems=(*found.problems, more))


def _head(path: Path) -> str:
    """Return a sidecar's text, or its beginning where it is longer than any of ours."""
    try:
        with path.open("rb") as file:
            return file.read(4 * LONGEST).decode("utf-8-sig", errors="replace")
    except OSError:
        return ""


def _traces(
    path: Path, found: ManifestReading, marks: Mapping[str, str], essence: str | None
) -> ManifestReading:
    """Look for what is left of a manifest that is gone."""
    comment = marks.get("comment", "")
    beside = sidecar_of(path)
    text = marks.get("description", "")
    if not _TRACE.search(comment):
        if not beside.is_file():
            return found
        text = _head(beside)
    statement = _statement(text)
    if statement is None and not _TRACE.search(comment):
        return found
    noted = _ESSENCE.search(comment)
    traces: dict[str, Any] = {"statement": statement, "essence": noted and noted.group(1)}
    where = "Its metadata says" if _TRACE.search(comment) else f"{beside.name} says"
    gone = f"{where} that it is synthetic, but the signed manifest is gone."
    if noted and essence is not None and essence != noted.group(1):
        anew = "The coded pictures are not those that were written: it was coded anew or edited."
        return replace(found, finding="re-encoded", problems=(gone, anew), **traces)
    how = (
        "The coded pictures are those that were written: the manifest was cut out."
        if noted and essence is not None
        else "Whether the pictures were coded anew cannot be told."
    )
    return replace(found, finding="stripped", problems=(gone, how), **traces)
