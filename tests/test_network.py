"""Tests reach nobody."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest


def test_the_world_is_out_of_reach() -> None:
    with pytest.raises(PermissionError, match="tests have no network"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(urllib.error.URLError, match="tests have no network"):
        urllib.request.urlopen("http://example.org")


def test_the_machine_itself_is_within_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname(), timeout=5)
        assert client.getpeername() == server.getsockname()
        client.close()
