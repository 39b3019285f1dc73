"""Permission: nobody's face is trained on or synthesized without a consent that covers it.

A `Permission` is made here only; what synthesizes asks for one and has no default for it. A
procedural actor needs nobody's consent. That a clip shows one is taken from its manifest, signed
with the certificates of this machine, and from nothing that a file name or a flag could say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from likeness.errors import ConsentError, MediaError
from likeness.provenance.consent import Consent, objections, parse_consent
from likeness.provenance.credentials import local_anchors
from likeness.provenance.reading import read_manifest
from likeness.provenance.revoked import revoked_numbers

if TYPE_CHECKING:
    from likeness.types import Clip, Sound

NO_CONSENT = "none needed"
"""What stands for the consent of a procedural actor."""


@dataclass(frozen=True)
class Permission:
    """Who is shown, in which role, and on which consent."""

    people: tuple[Mapping[str, Any], ...]
    """As bundles carry it, with the whole records."""

    @property
    def shown(self) -> tuple[Mapping[str, Any], ...]:
        """What manifests say of it: roles and digests, and no real person's name."""
        return tuple(
            {key: value for key, value in person.items() if key in ("role", "consent", "actor")}
            for person in self.people
        )


def permit_training(
    clip: Clip, method: str, consents: Sequence[Consent], day: date | None = None
) -> Permission:
    """Permit to train on a clip whose person becomes the target, or refuse.

    Args:
        clip: The target's clip.
        method: What the model is for, such as reenact.
        consents: The records at hand; those of other roles are not looked at.
        day: When; today unless given.

    Raises:
        ConsentError: Nobody agreed, or what was agreed to does not cover this.
    """
    return Permission((_person(clip, "target", method, consents, day or date.today()),))


def permit_synthesis(
    people: Sequence[Mapping[str, Any]],
    method: str,
    consents: Sequence[Consent] = (),
    driver: Clip | Sound | None = None,
    day: date | None = None,
) -> Permission:
    """Permit to let a bundle's people be seen, or refuse.

    Args:
        people: What the bundle carries.
        method: What is to be made.
        consents: Further records: a newer one of the target, one of the driver.
        driver: Whose motion or voice is used; None for the target's own. A driver's consent is
            needed where the target's record asks for consenting drivers, and checked wherever it is
            given.
        day: When; today unless given.

    Raises:
        ConsentError: Nobody agreed, or what was agreed to does not cover this any more.
    """
    day = day or date.today()
    if not people:
        people = ({"role": "target", "consent": None},)
    shown = tuple(_again(person, method, consents, day) for person in people)
    if driver is None:
        return Permission(shown)
    asked = any(_scope(person).get("drivers") == "consenting" for person in shown)
    if asked or any(record.role == "driver" for record in consents):
        shown = (*shown, _person(driver, "driver", method, consents, day))
    return Permission(shown)


def actor_in(clip: Clip | Sound) -> int | None:
    """Return the number of the procedural actor that a clip shows for certain, or None.

    The clip's manifest must be valid, signed on this machine, and say that all it shows are actors.
    """
    if not clip.path.is_file():
        return None
    try:
        found = read_manifest(clip.path, local_anchors())
    except MediaError:
        return None
    stated = found.statement
    if not found.trusted or stated is None:
        return None
    actors = [person.get("actor") for person in stated.people]
    numbers = [actor for actor in actors if isinstance(actor, int)]
    return numbers[0] if numbers and len(numbers) == len(actors) else None


def _person(
    clip: Clip | Sound, role: str, method: str, consents: Sequence[Consent], day: date
) -> Mapping[str, Any]:
    """Return the entry of a person in a clip."""
    ours = [record for record in consents if record.role == role]
    if not ours:
        actor = actor_in(clip)
        if actor is not None:
            return actor_entry(actor, role)
        raise ConsentError(
            f"nobody's consent covers {clip.path.name} as {role} of {method}, and no manifest "
            "signed on this machine says that it shows a procedural actor, so it counts as a real "
            "person; " + _how(role, method)
        )
    return _entry(_covering(ours, method, day, clip.digest), role, clip.digest)


def _again(
    person: Mapping[str, Any], method: str, consents: Sequence[Consent], day: date
) -> Mapping[str, Any]:
    """Check a bundle's person anew, with a newer record where one was given."""
    role = str(person.get("role"))
    if isinstance(person.get("actor"), int):
        return person
    clip = person.get("clip")
    newer = [record for record in consents if record.role == role]
    strange = [r.person for r in newer if person.get("name") not in (None, r.person)]
    if strange:
        raise ConsentError(
            f"the bundle shows {person['name']}, and the {role}'s consent is {strange[0]}'s; give "
            "the record of the person who is shown"
        )
    carried = person.get("record")
    if newer:
        return _entry(_covering(newer, method, day, clip), role, clip)
    if not isinstance(carried, Mapping):
        raise ConsentError(
            f"the bundle names nobody who agreed to be its {role}; " + _how(role, method)
        )
    record = parse_consent(carried, "the bundle")
    return _entry(_covering([record], method, day, clip), role, clip)


def _covering(records: Sequence[Consent], method: str, day: date, clip: str | None) -> Consent:
    gone, reasons = revoked_numbers(), []
    for record in records:
        against = objections(record, method, day, clip, record.id in gone)
        if not against:
            return record
        reasons.append(f"{record.person}'s consent as {record.role}: {'; '.join(against)}")
    raise ConsentError(f"{'. '.join(reasons)}. Ask anew; " + _how(records[0].role, method))


def _how(role: str, method: str) -> str:
    return (
        f"with their agreement, make a record with `likeness consent new -o FILE.toml --role "
        f"{role} --scope {method}` and give it with `--consent FILE.toml`"
    )


def actor_entry(actor: int, role: str) -> Mapping[str, Any]:
    """Return the entry of a procedural actor, who needs nobody's consent."""
    name = f"procedural actor {actor}"
    return {"role": role, "name": name, "actor": actor, "consent": NO_CONSENT}


def _entry(record: Consent, role: str, clip: str | None = None) -> Mapping[str, Any]:
    entry = {
        "role": role,
        "name": record.person,
        "consent": record.digest(),
        "record": record.json_values(),
    }
    return entry if clip is None else {**entry, "clip": clip}


def _scope(person: Mapping[str, Any]) -> Mapping[str, Any]:
    record = person.get("record")
    scope = record.get("scope") if isinstance(record, Mapping) else None
    return scope if isinstance(scope, Mapping) else {}
