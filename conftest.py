"""What holds for every test and doctest: options; nothing leaves this machine or changes it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import settings

# The same examples every time, however busy the machine is.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say where the numbers of the published networks lie."""
    parser.addoption(
        "--parity-dir",
        type=Path,
        default=None,
        metavar="DIR",
        help="goldens of published networks (default: ../shared/parity)",
    )


def is_local(address: Any) -> bool:
    """Tell whether a socket address stays on this machine (paths of Unix sockets do)."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost")


class OneMoment(datetime):
    """The same time at every look."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Return the first second of 2026."""
        return cls(2026, 1, 1, tzinfo=tz)


@pytest.fixture(autouse=True, scope="session")
def same_mark() -> Iterator[None]:
    """Let every manifest state one time: the watermark carries it, and pixels follow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("likeness.provenance.manifest.datetime", OneMoment)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Refuse every connection and name lookup that would leave the machine."""
    connect, lookup = socket.socket.connect, socket.getaddrinfo

    def local_connect(self: socket.socket, address: Any) -> None:
        if not is_local(address):
            raise PermissionError(f"a test wants to reach {address}: tests have no network")
        connect(self, address)

    def local_lookup(host: Any, *arguments: Any, **options: Any) -> Any:
        if host is not None and not is_local((host, 0)):
            raise PermissionError(f"a test looks up {host}: tests have no network")
        return lookup(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local_connect)
        patch.setattr(socket, "getaddrinfo", local_lookup)
        yield


@pytest.fixture(autouse=True, scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep certificates, revocations and caches apart from the user's; programs inherit it."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield folder / "likeness"
