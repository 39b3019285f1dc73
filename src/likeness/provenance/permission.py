"""Permission: nobody's face is trained on or synthesized without a consent that covers it.

A `Permission` is made here only; what synthesizes asks for one and has no default for it. People
stand in one of three roles: the target is shown and moved, the source lends identity, the driver
lends motion. Target and source are always asked for; a driver where a target's or source's record
says so, in whatever form their motion comes.

A procedural actor needs nobody's consent. That a clip shows one is taken from its manifest, that a
bundle does from its seal, both signed with the certificates of this machine, and from nothing that
a file name, a flag or a line of text could say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeAlias

from likeness.errors import ConsentError, MediaError
from likeness.provenance import clock
from likeness.provenance.consent import Consent, objections, parse_consent
from likeness.provenance.credentials import local_anchors
from likeness.provenance.digests import digest_of
from likeness.provenance.manifest import RENDERED
from likeness.provenance.motion import Motion
from likeness.provenance.reading import read_manifest
from likeness.provenance.revoked import revoked_numbers
from likeness.provenance.seal import SEAL, seal, seal_holds
from likeness.provenance.standing import strongest, successors
from likeness.types import Clip, Sound

NO_CONSENT = "none needed"
"""What stands for the consent of a procedural actor."""
ROLES = ("target", "driver", "source")
UNKNOWN = "unknown"
"""Stands for the digest of a clip that nobody can name: no list of allowed clips holds it."""

Role = Literal["target", "driver", "source"]
Material: TypeAlias = Clip | Sound | Motion
"""A file in which somebody stands in a role: pictures, a voice, or motion in any format."""


@dataclass(frozen=True)
class Permission:
    """Who stands in which role, and on which consent."""

    people: tuple[Mapping[str, Any], ...]
    """As bundles carry it, with the whole records."""

    @property
    def shown(self) -> tuple[Mapping[str, Any], ...]:
        """What manifests say of it: roles and digests, and no real person's name."""
        said = [
            {key: value for key, value in person.items() if key in ("role", "consent", "actor")}
            for person in self.people
        ]
        # Several photos of one person on one consent are said once.
        return tuple(entry for i, entry in enumerate(said) if entry not in said[:i])

    def of(self, role: Role) -> tuple[Mapping[str, Any], ...]:
        """Return the people in a role."""
        return tuple(person for person in self.people if person.get("role") == role)

    def sealed(self, content: str) -> tuple[Mapping[str, Any], ...]:
        """Return the people for a bundle, its actors vouched for; `store.save_bundle` asks for it.

        Args:
            content: Digest of the bundle's networks and clip.

        Raises:
            ConfigError: This user's credentials cannot be read or made.
        """
        return tuple(
            {**person, SEAL: seal(person["actor"], str(person["role"]), content)}
            if "actor" in person
            else person
            for person in self.people
        )


def permit(
    method: str,
    consents: Sequence[Consent] = (),
    *,
    people: Sequence[Mapping[str, Any]] = (),
    lenders: Sequence[Mapping[str, Any]] = (),
    targets: Sequence[Material] = (),
    sources: Sequence[Material] = (),
    drivers: Sequence[Material] = (),
    day: date | None = None,
) -> Permission:
    """Permit to make something of people, or refuse.

    A swap without a bundle names its clips as targets and sources, training to swap likewise; what
    a bundle shows comes as `people`, and whatever moves it as drivers.

    Args:
        method: What is to be made, such as reenact.
        consents: The records at hand; each is looked at for its own role.
        people: What a bundle carries, as `store` read it.
        lenders: The same of a bundle whose people lend their identity to somebody else, in whatever
            role they stand in it: they agree as sources.
        targets: Files whose person is shown and changed.
        sources: Files whose person lends identity.
        drivers: Whose motion or voice is used, in any format; empty for the target's own and for
            single values that somebody typed.
        day: When; today unless given.

    Raises:
        ConsentError: Nobody agreed, or what was agreed to does not cover this (any more).
    """
    asking = _Asking(method, consents, day or clock.today())
    shown = [asking.again(person) for person in people]
    shown += [asking.lender(person) for person in lenders]
    for role, files in (("target", targets), ("source", sources)):
        shown += [asking.person(file, role) for file in files]
    if not any(person["role"] in ("target", "source") for person in shown):
        raise ConsentError(
            "the bundle names nobody who agreed to be its target; " + _how("target", method)
        )
    strict = any(_scope(person).get("drivers") == "consenting" for person in shown)
    if strict or asking.given("driver"):
        shown += [asking.person(file, "driver") for file in drivers]
    return Permission(tuple(shown))


def permit_training(
    clip: Clip, method: str, consents: Sequence[Consent], day: date | None = None
) -> Permission:
    """Permit to train on a clip whose person becomes the target, or refuse; see `permit`.

    Args:
        clip: The target's clip.
        method: What the model is for, such as reenact.
        consents: The records at hand; those of other roles are not looked at.
        day: When; today unless given.

    Raises:
        ConsentError: Nobody agreed, or what was agreed to does not cover this.
    """
    return permit(method, consents, targets=(clip,), day=day)


def permit_synthesis(
    people: Sequence[Mapping[str, Any]],
    method: str,
    consents: Sequence[Consent] = (),
    drivers: Material | Sequence[Material] | None = None,
    day: date | None = None,
) -> Permission:
    """Permit to let a bundle's people be seen, or refuse; see `permit`.

    Args:
        people: What the bundle carries.
        method: What is to be made.
        consents: Further records: a newer one of the target, one of the driver.
        drivers: Whose motion or voice is used: clips, sounds and files of motion. None for the
            target's own. A driver's consent is needed where the target's record asks for consenting
            drivers, and checked wherever it is given.
        day: When; today unless given.

    Raises:
        ConsentError: Nobody agreed, or what was agreed to does not cover this any more.
    """
    if drivers is None:
        drivers = ()
    elif isinstance(drivers, Clip | Sound | Motion):
        drivers = (drivers,)
    people = people or ({"role": "target"},)
    return permit(method, consents, people=people, drivers=drivers, day=day)


def actor_in(clip: Clip | Sound, role: str = "target") -> int | None:
    """Return the number of the procedural actor that a clip shows for certain, or None.

    The file must be the one whose digest the clip names, and its manifest valid, signed on this
    machine, and say that all it shows are actors. Motion is an actor's only in what was rendered:
    in any other output the actor may move as a person did.
    """
    try:
        if not clip.path.is_file() or digest_of(clip.path) != clip.digest:
            return None
        found = read_manifest(clip.path, local_anchors())
    except MediaError:
        return None
    stated = found.statement
    if not found.trusted or stated is None:
        return None
    if role == "driver" and (stated.action, stated.digital_source_type) != ("render", RENDERED):
        return None
    numbers = [number for person in stated.people if (number := _number(person)) is not None]
    return numbers[0] if numbers and len(numbers) == len(stated.people) else None


class _Proven(dict[str, Any]):
    """The entry of an actor that was proven in this process; a copy, or one that was read, is not.

    So a permission may be asked for again, such as with a driver, before anything was written.
    """


@dataclass(frozen=True)
class _Asking:
    """What is asked of everybody: for which method, with which records, on which day."""

    method: str
    consents: Sequence[Consent]
    day: date

    def given(self, role: str) -> tuple[Consent, ...]:
        return tuple(record for record in self.consents if record.role == role)

    def person(self, file: Material, role: str) -> Mapping[str, Any]:
        """Return the entry of a person in a file."""
        ours = strongest(self.given(role), revoked_numbers())
        if not ours:
            actor = None if isinstance(file, Motion) else actor_in(file, role)
            if actor is not None:
                return _Proven(actor_entry(actor, role))
            raise ConsentError(_nobody(file, role, self.method) + _how(role, self.method))
        named = (file.digest, file.clip) if isinstance(file, Motion) else (file.digest,)
        clips = tuple(digest for digest in named if digest)
        return _entry(self.covering(ours, clips), role, file.digest)

    def again(self, person: Mapping[str, Any]) -> Mapping[str, Any]:
        """Check a bundle's person anew, with a newer record where one was given."""
        role = person.get("role")
        if role not in ROLES:
            raise ConsentError(
                f"the bundle names somebody as {role!r:.40}; expected one of: {', '.join(ROLES)}"
            )
        newer, clip = self.given(role), person.get("clip")
        if "actor" in person:
            actor = _vouched(person, role)
            if actor is not None:
                return actor
            if not newer:
                raise ConsentError(_UNVOUCHED + _how(role, self.method))
        strange = [r.person for r in newer if person.get("name") not in (None, r.person)]
        if strange and "actor" not in person:
            raise ConsentError(
                f"the bundle shows {person['name']}, and the {role}'s consent is {strange[0]}'s; "
                "give the record of the person who is shown"
            )
        named = (clip if isinstance(clip, str) else UNKNOWN,)
        if "record" in person:
            carried = _carried(person, role)
            ours = successors(carried, newer, revoked_numbers())
        elif newer:
            ours = strongest(newer, revoked_numbers())
        else:
            raise ConsentError(
                f"the bundle names nobody who agreed to be its {role}; " + _how(role, self.method)
            )
        return _entry(self.covering(ours, named), role, None if clip is None else str(clip))

    def lender(self, person: Mapping[str, Any]) -> Mapping[str, Any]:
        """Check that a bundle's person agrees to lend their identity, as a source."""
        if person.get("role") == "source":
            return self.again(person)
        actor = _vouched(person, "target") if "actor" in person else None
        if actor is not None:
            return _Proven(actor_entry(int(actor["actor"]), "source"))
        name, clip = person.get("name"), person.get("clip")
        ours = [r for r in self.given("source") if "actor" in person or r.person == name]
        if not ours:
            raise ConsentError(
                f"the bundle shows {name!r:.60} as its {person.get('role')!r:.40}, and nobody's "
                f"consent covers their face on somebody else; " + _how("source", self.method)
            )
        named = (clip if isinstance(clip, str) else UNKNOWN,)
        record = self.covering(strongest(ours, revoked_numbers()), named)
        return _entry(record, "source", None if clip is None else str(clip))

    def covering(self, records: Sequence[Consent], clips: Sequence[str]) -> Consent:
        """Return the first record that covers the use of a file, by any of its digests."""
        gone, reasons = revoked_numbers(), []
        for record in records:
            allowed = next((clip for clip in clips if clip in record.scope.clips), clips[0])
            against = objections(record, self.method, self.day, allowed, record.id in gone)
            if not against:
                return record
            reasons.append(f"{record.person}'s consent as {record.role}: {'; '.join(against)}")
        raise ConsentError(f"{'. '.join(reasons)}. Ask anew; " + _how(records[0].role, self.method))


def _carried(person: Mapping[str, Any], role: str) -> Consent:
    """Read the record that a bundle carries; it must be of this person, in this role."""
    content = person["record"]
    if not isinstance(content, Mapping):
        raise ConsentError(
            f"the bundle's record of its {role} is {type(content).__name__}, expected a table; "
            "fetch or train the bundle again"
        )
    record = parse_consent(content, "the bundle")
    if record.role != role or person.get("name") not in (None, record.person):
        raise ConsentError(
            f"the bundle names {person.get('name')!r:.60} as {role} and carries the record of "
            f"{record.person} as {record.role}; expected the record of the person who is shown"
        )
    return record


def _vouched(person: Mapping[str, Any], role: str) -> Mapping[str, Any] | None:
    """Return a bundle's actor, if this machine signed that this content shows one."""
    if isinstance(person, _Proven):
        return person
    actor = _number(person)
    if actor is None or not seal_holds(person.get(SEAL), actor, role, person.get("content")):
        return None
    return _Proven(actor_entry(actor, role))


_UNVOUCHED = (
    "the bundle says of itself that it shows a procedural actor, and no seal made on this machine "
    "for its networks and clip bears that out, so it counts as a real person's; train it here from "
    "the actor's clip, or "
)


def _nobody(file: Material, role: str, method: str) -> str:
    if isinstance(file, Motion):
        return (
            f"nobody's consent covers {file.path.name} as {role} of {method}: it holds somebody's "
            "motion, whatever its format; "
        )
    return (
        f"nobody's consent covers {file.path.name} as {role} of {method}, and no manifest "
        "signed on this machine says that it shows a procedural actor, so it counts as a real "
        "person; "
    )


def _how(role: str, method: str) -> str:
    return (
        f"with their agreement, make a record with `likeness consent new -o FILE.toml --role "
        f"{role} --scope {method}` and give it with `--consent FILE.toml`"
    )


def _number(person: Mapping[str, Any]) -> int | None:
    actor = person.get("actor")
    return actor if isinstance(actor, int) and not isinstance(actor, bool) else None


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
