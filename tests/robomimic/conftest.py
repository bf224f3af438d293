"""Clients of a fake server: the same protocol in a process of its own, without robosuite."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_robosuite import FAKE_SERVER

from tasks.robomimic.client import RobosuiteClient, RobosuiteSettings

MakeClient = Callable[..., RobosuiteClient]


@pytest.fixture(scope="module")
def make_client() -> Iterator[MakeClient]:
    """Starts fake environments; keywords are those of `RobosuiteClient`, or faults."""
    started: list[RobosuiteClient] = []

    def make(settings: RobosuiteSettings | None = None, **options) -> RobosuiteClient:
        given = {"python": Path(sys.executable), "server": FAKE_SERVER, "timeout_s": 20.0} | options
        started.append(RobosuiteClient(settings or RobosuiteSettings(), **given))
        return started[-1]

    yield make
    for client in started:
        client.close()


@pytest.fixture(scope="module")
def client(make_client: MakeClient) -> RobosuiteClient:
    """One healthy environment for all tests of a file."""
    return make_client()
