"""What the 64 bits say: which bundle, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from likeness.errors import ContractError
from likeness.provenance.manifest import Manifest

_HALF = 1 << 32


@dataclass(frozen=True, slots=True)
class Stamp:
    """The payload of a mark, in words: it leads from pixels back to the manifest."""

    origin: str
    """First 8 hexadecimal digits of the bundle's sha256, or of the manifest's digest where nothing
    was made with a bundle."""
    created: datetime
    """When, in UTC, to the second; the manifest's own time."""

    @staticmethod
    def of(manifest: Manifest) -> Stamp:
        """Return what the mark of a manifest's output says.

        Raises:
            ContractError: The manifest's time is none, or is not between 1970 and 2106.
        """
        bundles = [thing.sha256 for thing in manifest.ingredients if thing.role == "bundle"]
        origin = (bundles or [manifest.digest()])[0][:8]
        try:
            created = datetime.fromisoformat(manifest.created)
            int(origin, 16)
        except ValueError as error:
            raise ContractError(
                f"the manifest's time is {manifest.created!r} and its origin {origin!r}, expected "
                "ISO 8601 and a hexadecimal digest"
            ) from error
        zoned = created if created.tzinfo else created.replace(tzinfo=UTC)
        if not 0 <= zoned.timestamp() < _HALF:
            raise ContractError(f"the manifest's time is {created}, expected 1970 to 2106")
        return Stamp(origin, zoned.astimezone(UTC).replace(microsecond=0))

    @staticmethod
    def unpack(payload: int) -> Stamp:
        """Return what 64 bits say."""
        created = datetime.fromtimestamp(payload % _HALF, UTC)
        return Stamp(f"{payload // _HALF:08x}", created)

    def payload(self) -> int:
        """Return 64 bits: 32 of the origin, then 32 of the seconds since 1970."""
        return int(self.origin, 16) * _HALF + int(self.created.timestamp())
