from __future__ import annotations

import threading

import pytest

from afresh import Cache
from afresh.core import ops
from afresh.core.commits import Claim
from afresh.runtime.renewals import Renewals
from afresh.testing import wait_until
from tests.support.servers import Server
from tests.unit.core.scripted import Scripted, a_request


def a_claim(world: Scripted, name: str = "f:f:1") -> Claim:
    """Return a claim whose lease has one more minute to live."""
    request = a_request(name)
    world.ask(ops.Seize(request.names.lease, 60_000, b"ours"))
    return Claim(request, None, b"ours", b"", 0)


def renewed(world: Scripted) -> list[str]:
    return [op.lease for op in world.asked if isinstance(op, ops.Extend)]


def renewing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "afresh-renewals"]


def test_leases_are_renewed_as_long_as_somebody_computes_and_then_the_thread_ends() -> None:
    world = Scripted()
    renewals = Renewals(lambda: world.ports)
    one, two = a_claim(world), a_claim(world, "f:f:2")
    renewals.start(one)
    renewals.start(two)
    assert len(renewing()) == 1

    wait_until(lambda: len(renewed(world)) >= 2, 20, "both leases to be renewed")
    assert set(renewed(world)) == {one.request.names.lease, two.request.names.lease}

    renewals.stop(one)
    renewals.stop(two)
    wait_until(lambda: not renewing(), 20, "the thread to end")
    renewals.start(one)
    assert len(renewing()) == 1, "and begins again with the next computation"
    renewals.close()
    wait_until(lambda: not renewing(), 20, "the thread to end")


def test_what_was_never_started_may_be_stopped() -> None:
    world = Scripted()

    Renewals(lambda: world.ports).stop(a_claim(world))


def test_a_forked_child_has_no_thread_of_its_parents() -> None:
    world = Scripted()
    renewals = Renewals(lambda: world.ports)
    renewals.start(a_claim(world))
    parents = renewing()
    signal = renewals._signal

    renewals.forget()
    renewals.start(a_claim(world, "f:f:2"))

    assert set(renewing()) - set(parents)
    renewals.close()
    signal.set()
    wait_until(lambda: not renewing(), 20, "both threads to end")


def test_a_thread_that_cannot_be_started_harms_no_call(valkey: Server, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the interpreter's end, or where the system gives no more: the lease is not renewed, and that is all."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    calls: list[int] = []
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:

        @cache.memoize()
        def double(x: int) -> int:
            calls.append(x)
            return 2 * x

        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert [double(1), double(1)] == [2, 2]
        assert double.refresh(1) == 2
        monkeypatch.undo()

        assert double(2) == 4
        assert calls == [1, 1, 2]


class Short:
    """Something that must be renewed before a thread that renews leases would look again."""

    renewed_every_ms = 50
    renewed_for_ms = None

    def __init__(self) -> None:
        self.times = 0

    def renewal(self) -> list[ops.Op]:
        return [ops.Get("t:v:{k:k}")]

    def renewed(self, replies: object, sent_us: int) -> None:
        self.times += 1


def test_what_lapses_sooner_is_renewed_sooner() -> None:
    world = Scripted()
    renewals = Renewals(lambda: world.ports)
    claim, short = a_claim(world), Short()
    renewals.start(claim)
    renewals.start(short)

    wait_until(lambda: short.times >= 3, 1.2, "three renewals before the first of the lease")

    assert renewed(world) == []
    assert renewals.stop(short) is True
    assert renewals.stop(short) is False
    renewals.close()
