"""A server that is away, stuck, full, or a replica: Django's calls go on without it, within their budget."""

from __future__ import annotations

import os
import signal
import time

import pytest
from django.test import Client

from afresh.errors import StoreError
from afresh.testing import wait_until

pytest_plugins = ["tests.django_project.fixtures"]
pytestmark = [pytest.mark.keys(r"t-[0-9a-f]{8}:-?\d+:.*", permanent=True), pytest.mark.alone]

BUDGET_S = 0.25
BRIEFLY = {"SOCKET_TIMEOUT": BUDGET_S}  # as is the default
SLACK_S = 0.75  # the machine may be busy


@pytest.fixture
def away(use_caches, tmp_path):
    """A cache whose server is not there."""
    return use_caches(default={"LOCATION": f"unix://{tmp_path}/nobody", "OPTIONS": BRIEFLY})


@pytest.fixture
def pausable(start_server):
    """A server that can be stopped and sent on again."""
    server = start_server()
    yield server
    os.kill(server.pid, signal.SIGCONT)


@pytest.fixture
def stuck(use_caches, pausable):
    """A cache whose server has answered and does not any more."""
    cache = use_caches(default={"LOCATION": pausable.url, "OPTIONS": BRIEFLY})
    cache.set("k", 1)
    assert cache.get("k") == 1
    os.kill(pausable.pid, signal.SIGSTOP)
    return cache


@pytest.fixture(params=["away", "stuck"])
def failing(request):
    return request.getfixturevalue(request.param)


def test_reads_are_misses_and_writes_store_nothing(failing, call):
    began = time.monotonic()
    answers = {
        "get": call(failing, "get", "k", "default"),
        "has_key": call(failing, "has_key", "k"),
        "get_many": call(failing, "get_many", ["k", "l"]),
        "set": call(failing, "set", "k", 1),
        "set_many": call(failing, "set_many", {"k": 1, "l": 2}),
        "add": call(failing, "add", "k", 1),
        "touch": call(failing, "touch", "k"),
        "delete": call(failing, "delete", "k"),
        "delete_many": call(failing, "delete_many", ["k"]),
        "clear": call(failing, "clear"),
        "get_or_set": call(failing, "get_or_set", "k", "computed"),
    }
    took_s = time.monotonic() - began

    assert answers == {
        "get": "default",
        "has_key": False,
        "get_many": {},
        "set": None,
        "set_many": ["k", "l"],
        "add": False,
        "touch": False,
        "delete": False,
        "delete_many": None,
        "clear": False,
        "get_or_set": "computed",
    }
    assert took_s < len(answers) * (BUDGET_S + SLACK_S)


def test_counting_raises(failing, call):
    for name in ("incr", "decr"):
        with pytest.raises(StoreError, match="Is the server running"):
            call(failing, name, "k")


def test_moving_a_version_finds_nothing(failing, call):
    with pytest.raises(ValueError, match="not found"):
        call(failing, "incr_version", "k")


def test_a_call_takes_no_longer_than_its_socket_timeout(use_caches, pausable, call):
    cache = use_caches(default={"LOCATION": pausable.url, "OPTIONS": {"SOCKET_TIMEOUT": 0.05}})
    call(cache, "set", "k", 1)
    os.kill(pausable.pid, signal.SIGSTOP)

    began = time.monotonic()
    assert call(cache, "get", "k") is None
    took_s = time.monotonic() - began

    assert 0.05 <= took_s < 0.05 + SLACK_S


def test_it_goes_on_when_the_server_does(stuck, pausable, call):
    assert call(stuck, "get", "k") is None

    os.kill(pausable.pid, signal.SIGCONT)

    wait_until(lambda: call(stuck, "get", "k") == 1, 5, "the server to answer again")


def test_a_full_server_stores_nothing_nor_keeps_what_was_to_be_replaced(use_caches, start_server, call):
    server = start_server(maxmemory_policy="noeviction")
    cache = use_caches(default={"LOCATION": server.url})
    call(cache, "set_many", {"k": "old", "l": "kept", "n": 1})
    server.command("CONFIG", "SET", "maxmemory", "1")

    assert call(cache, "set", "k", "new") is None
    assert call(cache, "set_many", {"k": "new"}) == ["k"]
    assert call(cache, "add", "new", 1) is False
    assert call(cache, "get_or_set", "new", "computed") == "computed"
    assert call(cache, "get_many", ["k", "l"]) == {"l": "kept"}
    with pytest.raises(StoreError, match="maxmemory"):
        call(cache, "incr", "n")
    assert call(cache, "delete", "l") is True
    assert call(cache, "clear") is True


def test_a_replica_serves_and_stores_nothing(use_caches, start_server, call):
    server = start_server()
    cache = use_caches(default={"LOCATION": server.url})
    call(cache, "set", "k", "old")
    server.command("REPLICAOF", "127.0.0.1", "1")

    assert call(cache, "set_many", {"k": "new"}) == ["k"]
    assert call(cache, "clear") is False
    assert call(cache, "get", "k") == "old"
    assert call(cache, "delete", "k") is False
    assert call(cache, "get", "k") is None, "it is deleted as soon as the server takes it, and not served until then"


def test_pages_are_made_without_the_cache(away):
    visitor = Client()
    first, second = visitor.get("/cached/"), visitor.get("/cached/")

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content != second.content
