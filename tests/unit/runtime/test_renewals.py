from __future__ import annotations

import threading
import weakref

import pytest

from afresh import Cache
from afresh.core import ops
from afresh.core.commits import Claim
from afresh.core.ports import Ports
from afresh.runtime.renewals import Renewals
from afresh.testing import wait_until, wait_until_async
from tests.support.servers import Server
from tests.unit.core.scripted import Scripted, a_request


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Claim, "renewed_every_ms", 100)
    monkeypatch.setattr("afresh.runtime.renewals.LEASE_RENEWAL_MS", 100)


def a_claim(world: Scripted, name: str = "f:f:1") -> Claim:
    """Return a claim whose lease has one more minute to live."""
    request = a_request(name)
    world.ask(ops.Seize(request.names.lease, 60_000, b"ours"))
    return Claim(request, None, b"ours", b"", 0)


def renewed(world: Scripted) -> list[str]:
    return [op.lease for op in world.asked if isinstance(op, ops.Extend)]


def renewing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "afresh-renewals"]


@pytest.mark.usefixtures("hurried")
def test_leases_are_renewed_as_long_as_somebody_computes_and_then_the_thread_ends() -> None:
    world = Scripted()
    renewals = Renewals(lambda: world.ports, world.ports.events)
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


@pytest.mark.usefixtures("hurried")
def test_whatever_goes_wrong_in_the_thread_it_goes_on() -> None:
    world = Scripted()
    claim, fails = a_claim(world), [True]

    def ports() -> Ports:
        if fails:
            fails.clear()
            raise LookupError("a defect of ours, say")
        return world.ports

    renewals = Renewals(ports, world.ports.events)
    renewals.start(claim)

    wait_until(lambda: renewed(world), 20, "the lease to be renewed in spite of it")
    assert not fails
    renewals.close()


@pytest.mark.usefixtures("hurried")
def test_after_close_nothing_is_sent_any_more() -> None:
    """Else the thread would open anew what has just been closed."""
    world, asked, may_answer = Scripted(), threading.Event(), threading.Event()

    def ports() -> Ports:
        asked.set()
        assert may_answer.wait(20)
        return world.ports

    renewals = Renewals(ports, world.ports.events)
    claim = a_claim(world)
    renewals.start(claim)
    assert asked.wait(20)
    closing = threading.Thread(target=renewals.close)
    closing.start()

    assert not renewed(world)
    may_answer.set()
    closing.join()
    assert renewed(world)
    assert not renewing()


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("is_task", [False, True])
async def test_nobody_renews_the_lease_of_a_claim_that_is_gone(*, is_task: bool) -> None:
    world = Scripted()
    renewals = Renewals(lambda: world.ports, world.ports.events)
    claim = a_claim(world)
    (renewals.start_for_task if is_task else renewals.start)(claim)

    del claim

    await wait_until_async(lambda: not renewing() and not renewals._timers, 20, "the thread to end")
    assert not renewed(world)


def test_what_was_never_started_may_be_stopped() -> None:
    world = Scripted()

    Renewals(lambda: world.ports, world.ports.events).stop(a_claim(world))


@pytest.mark.usefixtures("hurried")
def test_a_forked_child_has_no_thread_of_its_parents() -> None:
    world = Scripted()
    renewals = Renewals(lambda: world.ports, world.ports.events)
    one, two = a_claim(world), a_claim(world, "f:f:2")
    renewals.start(one)
    parents = renewing()
    signal = renewals._signal

    renewals.forget()
    renewals.start(two)

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

    def renewed(self, ports: object, replies: object, sent_us: int) -> list[ops.Op]:
        self.times += 1
        return []


def test_what_lapses_sooner_is_renewed_sooner() -> None:
    world = Scripted()
    renewals = Renewals(lambda: world.ports, world.ports.events)
    claim, short = a_claim(world), Short()
    renewals.start(claim)
    renewals.start(short)

    wait_until(lambda: short.times >= 3, 1.2, "three renewals before the first of the lease")

    assert renewed(world) == []
    assert renewals.stop(short) is True
    assert renewals.stop(short) is False
    renewals.close()


@pytest.mark.usefixtures("hurried")
def test_a_claim_that_is_dropped_without_a_word_is_renewed_no_more_though_it_once_was() -> None:
    world = Scripted()
    renewals = Renewals(lambda: world.ports, world.ports.events)
    claim = a_claim(world)
    renewals.start(claim)
    wait_until(lambda: renewed(world), 20, "the lease to be renewed")

    dropped = weakref.ref(claim)
    del claim

    wait_until(lambda: dropped() is None, 5, "nothing to hold the claim")
    wait_until(lambda: not renewing(), 20, "the thread to end")


@pytest.mark.usefixtures("hurried")
def test_a_claim_that_was_let_go_is_renewed_no_more_though_something_keeps_it() -> None:
    world = Scripted()
    renewals = Renewals(lambda: world.ports, world.ports.events)
    kept, other = a_claim(world), a_claim(world, "f:f:2")
    kept.lost = world.ports.lost
    for claim in (kept, other):
        renewals.start(claim)

    kept.let_go()

    wait_until(lambda: len(renewed(world)) >= 2, 20, "the other to be renewed")
    assert set(renewed(world)) == {other.request.names.lease}
    assert world.ports.take_lost() == [ops.Abandon(kept.request.names.lease, b"ours")]
    renewals.close()
