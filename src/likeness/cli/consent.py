"""`likeness consent`: who agreed to what, and until when."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App, Group, Parameter

from likeness.cli.answer import printable
from likeness.cli.options import Options, Output
from likeness.errors import ConfigError, ConsentError
from likeness.files import read_pem, why_unwritable

if TYPE_CHECKING:
    from likeness.provenance.consent import Consent

app = App(name="consent", help="Records of who agreed to what: make one, check it, revoke it.")


@Parameter(name="*", group=Group("What limits it", sort_key=5))
@dataclass(frozen=True)
class Limits:
    """What an agreement is limited to, besides its methods."""

    language: tuple[str, ...] = ("all",)
    """Languages that they may be made to speak. Told, not checked."""
    territory: tuple[str, ...] = ("all",)
    """Where the result may be shown. Told, not checked."""
    start: date | None = None
    """First day, YYYY-MM-DD. [default: today]"""
    until: date | None = None
    """Last day; without it the consent holds until it is revoked."""
    project: str | None = None
    """What it is for. Told, not checked."""
    clip: tuple[Path, ...] = ()
    """The only clips of this person that may be used. Repeat it."""
    drivers: Literal["any", "consenting"] = "any"
    """consenting asks for a record of whoever moves the portrait, too."""

    def content(self) -> dict[str, Any]:
        """Return it as the record's scope has it."""
        from likeness.provenance import clock
        from likeness.provenance.manifest import sha256_of

        return {
            "languages": self.language,
            "territory": self.territory,
            "from": self.start or clock.today(),
            "until": self.until,
            "project": self.project,
            "clips": tuple(sha256_of(path) for path in self.clip),
            "drivers": self.drivers,
        }


@app.command(
    help_epilogue=(
        'Example: likeness consent new -o anna.toml --person "Anna Example" --statement "I agree '
        'that my face is reenacted in this film." --scope reenact --until 2027-12-31 --yes'
    ),
)
def new(
    *,
    output: Output,
    person: str | None = None,
    statement: str | None = None,
    scope: tuple[str, ...] = (),
    role: Literal["target", "driver", "source"] = "target",
    key: Path | None = None,
    yes: bool = False,
    limits: Limits = Limits(),  # frozen
    options: Options = Options(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Write down what a person agreed to; asks for what is missing where someone can answer.

    Args:
        output: The record to write, TOML; an older one is never replaced.
        person: Who agrees.
        statement: What they agree to, in their own words.
        scope: Methods: all, reenact, animate, dub, swap, edit. Repeat it or separate with commas.
        role: target is shown and moved, driver gives motion, source gives identity in a swap.
        key: Ed25519 key in PEM that signs the record; it is made there if there is none.
        yes: The person has agreed to exactly this; without it you are asked.
    """
    from likeness.provenance.consent import sign_consent, write_consent

    if output.exists():
        raise ConsentError(
            f"{output} exists, and a record is never replaced; choose another name, or end the old "
            f"one with `likeness consent revoke {output}`"
        )
    person = person or _ask("--person", "Who agrees (name)?")
    statement = statement or _ask("--statement", "What do they agree to, in their own words?")
    scope = scope or (_ask("--scope", "To which methods (all, reenact, animate, dub, ...)?"),)
    record = _record(
        {"person": person, "role": role, "statement": statement},
        {
            "methods": tuple(w.strip() for words in scope for w in words.split(",") if w.strip()),
            **limits.content(),
        },
    )
    if not yes:
        _confirm(record)
    if key is not None:
        record = sign_consent(record, _key(key))
    write_consent(record, output)
    return {"output": output, **_facts(record)}


@app.command(help_epilogue="Example: likeness consent check anna.toml --method reenact")
def check(
    file: Path,
    /,
    *,
    method: str | None = None,
    on: date | None = None,
    options: Options = Options(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Say what a record covers and whether it holds; the exit code is 1 if it does not.

    Args:
        file: The record.
        method: Also ask whether it covers this method.
        on: Day to check for, YYYY-MM-DD. [default: today]
    """
    from likeness.provenance import clock
    from likeness.provenance.consent import METHODS, load_consent, objections
    from likeness.provenance.revoked import revoked_numbers

    if method is not None and method not in METHODS:
        raise ConfigError(f"--method is {method!r}, expected one of: {', '.join(METHODS)}")
    record = load_consent(file)
    asked = method or record.scope.methods[0]
    gone = record.id in revoked_numbers()
    against = objections(record, asked, on or clock.today(), gone=gone)
    return {"healthy": not against, "holds": not against, "against": against, **_facts(record)}


@app.command(help_epilogue='Example: likeness consent revoke anna.toml --reason "asked by phone"')
def revoke(
    file: Path,
    /,
    *,
    reason: str | None = None,
    options: Options = Options(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """End a consent: the record says so from now on, and copies of it in bundles are refused here.

    Other machines learn of it when they get the revoked record and run the same command on it.

    Args:
        file: The record.
        reason: Why, in a few words.
    """
    from likeness.provenance import clock
    from likeness.provenance.consent import load_consent, write_consent
    from likeness.provenance.consent import revoke as end
    from likeness.provenance.revoked import note_revoked

    record = end(load_consent(file), clock.today(), reason)
    # The list first: if the file cannot be written, the consent is still over here.
    note_revoked(record)
    write_consent(record, file)
    return {"output": file, **_facts(record)}


def _record(agreed: Mapping[str, Any], scope: Mapping[str, Any]) -> Consent:
    from likeness.provenance.consent import parse_consent

    try:
        return parse_consent({**agreed, "scope": scope}, "what was given")
    except ConsentError as error:
        raise ConfigError(str(error)) from error


def _ask(flag: str, question: str) -> str:
    """Ask on the terminal, on standard error so that standard output stays the answer's."""
    if not sys.stdin.isatty():
        raise ConfigError(
            f"{flag} is missing and nobody can be asked here; expected --person, --statement, "
            "--scope and --yes"
        )
    print(printable(question), end=" ", file=sys.stderr, flush=True)
    given = sys.stdin.readline().strip()
    if not given:
        raise ConfigError(f"nothing was answered; expected {flag}")
    return given


def _confirm(record: Consent) -> None:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"--yes is missing: it states that {record.person} agreed to exactly this, and nobody "
            "can be asked here"
        )
    from likeness.provenance.consent import to_toml

    print(printable(to_toml(record), lines=True), file=sys.stderr)
    if _ask("--yes", f"Did {record.person} agree to exactly this (yes or no)?").lower() != "yes":
        raise ConsentError(f"{record.person} did not agree; nothing was written")


def _key(path: Path) -> bytes:
    """Read a signing key, or make one that only its owner can read."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from likeness.provenance.credentials import write_private

    try:
        if path.exists():
            return read_pem(path, ConsentError).encode()
        made = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(path, made)
    except OSError as error:
        raise ConsentError(
            f"the key {path} cannot be read or written: {why_unwritable(error)}"
        ) from error
    return made


def _facts(record: Consent) -> dict[str, Any]:
    from likeness.provenance.consent import signature_holds

    signed = "no"
    if record.signature is not None:
        whole = "yes" if signature_holds(record) else "broken"
        signed = f"{whole}, key {record.signature.public_key[:16]}"
    scope = record.scope
    return {
        "person": record.person,
        "role": record.role,
        "statement": record.statement,
        "methods": scope.methods,
        "languages": _listed(scope.languages),
        "territory": _listed(scope.territory),
        "from": scope.start.isoformat(),
        "until": scope.until.isoformat() if scope.until else None,
        "project": scope.project,
        "clips": scope.clips,
        "drivers": scope.drivers,
        "signed": signed,
        "revoked": record.revoked.on.isoformat() if record.revoked else None,
        "sha256": record.digest(),
    }


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
