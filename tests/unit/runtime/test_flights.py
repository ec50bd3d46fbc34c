from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from contextvars import copy_context
from itertools import count
from typing import Any

import pytest

from afresh.runtime.callers import Caller
from afresh.runtime.flights import _LEADING, AsyncFlights, Flight, FlightTable, Outcome, Seat, SyncFlights
from afresh.runtime.looking import LOOKING_ALONE
from afresh.runtime.run_now import run_now
from afresh.testing import wait_until, wait_until_async

LONG_MS = 60_000.0
_NUMBERS = count(100)


class _SomeTask:
    """What the table asks of a task."""

    is_done = False

    def done(self) -> bool:
        return self.is_done


class Party:
    """A thread or task with context variables of its own, acting when told to."""

    def __init__(self, table: FlightTable, thread: int = 0, *, blocks: bool = False) -> None:
        self.table = table
        self._task = None if blocks else _SomeTask()
        self._caller = Caller(thread or next(_NUMBERS), self._task and weakref.ref(self._task))
        self._context = copy_context()
        self.woken = 0
        self._led: list[Flight] = []

    def follow(self, key: str) -> Seat | None:
        place = self.look(key)
        if isinstance(place, Seat):
            return place
        self.table.alone.stop(key)
        if place is not None:
            place.finish(None)
        return None

    def look(self, key: str) -> Flight | Seat | None:
        return self._context.run(self.table.look, key, self.table.arrive(), lambda: self._caller)

    def enter(self, key: str, **how: Any) -> Flight | Seat | None:
        return self._context.run(lambda: self.table.enter(key, self.table.arrive(), lambda: self._caller, **how))

    def lead_look(self, key: str) -> Flight:
        """Lead a look, as who comes when enough look alone."""
        while not isinstance(place := self.look(key), Flight):
            assert place is None
        self._led.append(place)
        return place

    def lead(self, key: str) -> Flight:
        flight = self.enter(key)
        assert isinstance(flight, Flight)
        self._led.append(flight)
        self._context.run(flight.start_compute)
        return flight

    def end(self, flight: Flight, envelope: bytes | None = None, **how: bool) -> None:
        self._context.run(flight.end_compute)
        self._context.run(lambda: flight.finish(envelope, **how))

    def start_waiting(self, seat: Seat) -> Outcome | None:
        return self._context.run(self.table.start_waiting, seat, self._wake)

    def stop_waiting(self, seat: Seat) -> Outcome | None:
        return self._context.run(self.table.stop_waiting, seat)

    def _wake(self) -> None:
        self.woken += 1


@pytest.fixture
def table() -> FlightTable:
    return FlightTable()


@pytest.fixture
def party(table: FlightTable) -> Callable[..., Party]:
    parties: list[Party] = []

    def make(*args: Any, **kwargs: Any) -> Party:
        parties.append(Party(table, *args, **kwargs))
        return parties[-1]

    return make


# --- looking together ----------------------------------------------------------------------------------------------
def test_a_few_look_alone_and_the_others_wait_for_one_more(party: Callable[..., Party]) -> None:
    parties = [party() for _ in range(LOOKING_ALONE + 3)]

    places = [each.look("k") for each in parties]

    assert places[:LOOKING_ALONE] == [None] * LOOKING_ALONE
    assert isinstance(places[LOOKING_ALONE], Flight)
    assert [place.cabin is places[LOOKING_ALONE].cabin for place in places[LOOKING_ALONE + 1 :]] == [True, True]


def test_who_waits_for_a_look_is_told_that_nothing_was_computed(party: Callable[..., Party]) -> None:
    leader, early, late = party(), party(), party()
    look = leader.lead_look("k")
    seats = [early.look("k")]
    look.mark()
    seats.append(late.look("k"))

    look.finish(b"found")

    assert [seat.outcome for seat in seats] == [Outcome(b"found", False, True), Outcome(None, False, True)]


def test_a_look_that_finds_nothing_goes_on_as_the_flight_that_computes(party: Callable[..., Party]) -> None:
    leader, waiting, alone, newcomer = (party() for _ in range(4))
    look = leader.lead_look("k")
    seat = waiting.look("k")

    assert alone.enter("k").cabin is look.cabin, "who looked alone and found nothing waits for who looks for all"
    assert leader.enter("k", look=look) is look
    assert newcomer.look("k").cabin is look.cabin
    look.mark()
    look.finish(b"computed")

    assert seat.outcome == Outcome(b"computed", False)


def test_a_look_that_finds_something_old_ends_beside_the_flight_that_refreshes(party: Callable[..., Party]) -> None:
    leader, waiting = party(), party()
    look = leader.lead_look("k")
    assert isinstance(waiting.look("k"), Seat)

    refresh = leader.enter("k", refreshes=True, look=look)

    assert isinstance(refresh, Flight)
    assert refresh is not look
    look.finish(b"old")
    again = party()
    assert isinstance(again.look("k"), Flight), "there is something to serve: nobody waits for the refresh"


def test_where_one_finds_nothing_to_serve_everybody_waits_for_the_refresh(party: Callable[..., Party]) -> None:
    """Else each of a thousand would look in turn, to wake all the others."""
    refreshing, leader, newcomer = party(), party(), party()
    refresh = refreshing.enter("k", refreshes=True)
    look = leader.lead_look("k")

    assert leader.enter("k", look=look).cabin is refresh.cabin

    assert newcomer.look("k").cabin is refresh.cabin


def test_a_count_of_lookers_that_is_too_high_mends_itself(party: Callable[..., Party], table: FlightTable) -> None:
    for _ in range(LOOKING_ALONE):
        assert party().look("k") is None  # and never says that it has looked

    party().lead_look("k").finish(None)

    assert party().look("k") is None


# --- who gets what -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("joins", "how", "shared"),
    [
        ("early", {}, b"value"),
        ("early", {"proven": True}, b"value"),
        ("late", {}, None),
        ("late", {"proven": True}, b"value"),
    ],
)
def test_who_came_late_shares_what_is_proven(party: Callable[..., Party], joins: str, how: dict[str, bool], shared: bytes | None) -> None:
    leader, follower = party(), party()
    flight = leader.lead("k")
    if joins == "late":
        flight.mark()
    seat = follower.follow("k")
    if joins == "early":
        flight.mark()
    assert follower.start_waiting(seat) is None

    leader.end(flight, b"value", **how)

    assert follower.stop_waiting(seat) == Outcome(shared, False)
    assert follower.woken == 1


def test_who_waited_for_nothing_shares_the_next_flight_however_late_the_seat(party: Callable[..., Party], table: FlightTable) -> None:
    """Else a hundred callers who come during a compute that proves nothing would compute one after the other."""
    first, second, third = party(), party(), party()
    flight = first.lead("k")
    flight.mark()
    arrived = table.arrive()
    assert second.follow("k") is not None
    first.end(flight, b"unproven")

    again = second.lead("k")
    again.mark()
    seat = table.enter("k", arrived, lambda: Caller(1))
    late = third.follow("k")
    second.end(again, b"value")

    assert seat.outcome == Outcome(b"value", False)
    assert late.outcome == Outcome(None, False)


def test_every_follower_is_woken_once_and_the_first_outcome_counts(party: Callable[..., Party]) -> None:
    leader, followers = party(), [party() for _ in range(5)]
    flight = leader.lead("k")
    seats = [follower.follow("k") for follower in followers]
    flight.mark()
    for follower, seat in zip(followers, seats, strict=True):
        follower.start_waiting(seat)

    leader.end(flight, b"first")
    flight.finish(b"second", proven=True)

    assert [follower.woken for follower in followers] == [1] * 5
    assert {seat.outcome for seat in seats} == {Outcome(b"first", False)}


def test_an_outcome_that_is_there_is_not_waited_for(party: Callable[..., Party]) -> None:
    leader, follower = party(), party()
    flight = leader.lead("k")
    seat = follower.follow("k")

    leader.end(flight, None, alone=True)

    assert follower.start_waiting(seat) == Outcome(None, True)
    assert follower.woken == 0


def test_nobody_joins_a_flight_that_is_closed_or_ended(party: Callable[..., Party]) -> None:
    leader, other = party(), party()
    first = leader.lead("k")
    first.close()
    assert other.follow("k") is None

    second = other.lead("k")
    leader.end(first)

    assert party().follow("k").cabin is second.cabin
    other.end(second)
    assert party().follow("k") is None


def test_who_gave_up_is_not_woken(party: Callable[..., Party]) -> None:
    leader, follower = party(), party()
    flight = leader.lead("k")
    seat = follower.follow("k")
    follower.start_waiting(seat)
    assert follower.stop_waiting(seat) is None

    leader.end(flight, b"value")

    assert follower.woken == 0


def test_a_forked_child_begins_with_no_flights(party: Callable[..., Party], table: FlightTable) -> None:
    flight = party().lead("k")
    table.lock.acquire()  # as another thread of the parent may have held it

    table.forget()

    assert party().follow("k") is None
    flight.finish(b"of no interest")
    assert isinstance(party().enter("k"), Flight)


# --- nobody waits for oneself --------------------------------------------------------------------------------------
def test_a_flight_is_not_joined_by_its_own_compute(party: Callable[..., Party]) -> None:
    caller = party()
    caller.lead("k")

    assert caller.follow("k") is None
    assert caller.enter("k") is None


def test_a_flight_is_not_joined_from_a_flight_that_it_waits_for(party: Callable[..., Party]) -> None:
    one, two = party(), party()
    one.lead("a")
    two.lead("b")
    assert one.start_waiting(one.follow("b")) is None

    assert two.follow("a") is None
    assert two.enter("a") is None


def test_a_coroutine_that_is_closed_from_elsewhere_ends_what_it_began(party: Callable[..., Party]) -> None:
    """Where a finalizer runs, other context variables hold: those of a computation that has to do with neither, say."""
    leader, other, bystander = party(), party(), party()
    flight, its_own = leader.lead("k"), bystander.lead("of its own")
    other.lead("x")
    seat = leader.follow("x")
    assert leader.start_waiting(seat) is None

    assert bystander.stop_waiting(seat) is None
    bystander.end(flight)

    assert flight.cabin.waits_for == its_own.cabin.waits_for == []
    assert isinstance(party().enter("k"), Flight)
    assert bystander.follow("of its own") is None


def test_the_chain_of_waiting_may_be_long(party: Callable[..., Party]) -> None:
    parties = [party() for _ in range(20)]
    for at, each in enumerate(parties):
        each.lead(str(at))
    for at, each in enumerate(parties[:-1]):
        assert each.start_waiting(each.follow(str(at + 1))) is None

    assert parties[-1].follow("0") is None
    assert isinstance(party().follow("0"), Seat)


def test_a_flight_waits_for_those_that_its_own_compute_leads(party: Callable[..., Party]) -> None:
    one, two = party(), party()
    one.lead("outer")
    inner = one.lead("inner")
    two.lead("b")
    assert one.start_waiting(one.follow("b")) is None

    assert two.follow("outer") is None
    assert two.follow("inner") is None
    one.end(inner)
    assert two.follow("outer") is None or two.follow("outer").cabin is not inner.cabin


def test_two_that_took_seats_in_each_others_flights_do_not_both_wait(party: Callable[..., Party]) -> None:
    """Each looks, finds the other's flight waiting for nobody, and takes a seat, before either waits."""
    one, two, third = party(), party(), party()
    one.lead("a")
    two.lead("b")
    seat_in_b, seat_in_a = one.follow("b"), two.follow("a")

    assert one.start_waiting(seat_in_b) is None
    assert two.start_waiting(seat_in_a) == Outcome(None, True)

    seats: list[Seat | None] = []
    looking = threading.Thread(target=lambda: seats.append(third.follow("a")), daemon=True)
    looking.start()
    looking.join(5)
    assert len(seats) == 1, "somebody else who looks must not go round in circles"


def test_a_compute_that_waits_in_several_tasks_waits_for_all_of_them(party: Callable[..., Party], table: FlightTable) -> None:
    one, two, three = party(), party(), party()
    one.lead("a")
    two.lead("b")
    three.lead("c")
    in_b, in_c = one.follow("b"), one.follow("c")
    assert one.start_waiting(in_b) is None
    assert one.start_waiting(in_c) is None

    assert two.follow("a") is None
    assert three.follow("a") is None

    assert one.stop_waiting(in_c) is None
    assert two.follow("a") is None
    assert isinstance(three.follow("a"), Seat)


# --- threads and loops ---------------------------------------------------------------------------------------------
def test_a_plain_call_on_a_loops_thread_does_not_wait_for_a_task_of_that_loop(party: Callable[..., Party]) -> None:
    task = party(1)
    task.lead("k")

    assert party(1, blocks=True).follow("k") is None
    assert isinstance(party(2, blocks=True).follow("k"), Seat)
    assert isinstance(party(1).follow("k"), Seat)


def test_a_plain_call_on_a_loops_thread_does_not_wait_for_who_waits_for_a_task_of_that_loop(party: Callable[..., Party]) -> None:
    task, thread = party(1), party(2, blocks=True)
    task.lead("a")
    thread.lead("b")
    assert thread.start_waiting(thread.follow("a")) is None

    assert party(1, blocks=True).follow("b") is None


# --- leaders that are gone -----------------------------------------------------------------------------------------
def test_a_flight_that_nobody_holds_any_more_has_ended(party: Callable[..., Party], table: FlightTable) -> None:
    """As when an interrupt tears its leader away before any handler stands."""
    leader, follower = party(), party()
    flight = leader.enter("k")
    seat = follower.follow("k")
    assert follower.start_waiting(seat) is None

    del flight

    assert follower.stop_waiting(seat) == Outcome(None, False)
    assert follower.woken == 1
    assert isinstance(party().enter("k"), Flight)


@pytest.mark.parametrize("blocks", [False, True])
def test_nobody_waits_for_a_flight_of_its_own_that_only_a_traceback_holds(party: Callable[..., Party], *, blocks: bool) -> None:
    leader = party(1, blocks=blocks)
    flight = leader.enter("k")

    assert leader.enter("k") is None
    assert party(1, blocks=True).enter("k") is None
    assert isinstance(party(2, blocks=True).enter("k"), Seat)
    assert isinstance(flight, Flight)


def test_a_flight_has_ended_with_the_task_that_leads_it(party: Callable[..., Party]) -> None:
    leader, follower = party(), party()
    flight = leader.enter("k")
    seat = follower.follow("k")

    leader._task.is_done = True

    assert party().follow("k") is None
    assert follower.start_waiting(seat) == Outcome(None, False)
    assert isinstance(party().enter("k"), Flight)
    flight.finish(b"too late")
    assert seat.outcome == Outcome(None, False)


def test_the_compute_of_a_flight_that_is_gone_is_forgotten(party: Callable[..., Party]) -> None:
    leader = party()
    leader.lead("k")
    leader._led.clear()

    inner = leader.lead("inner")

    assert inner.cabin.outer is not None
    assert leader._context.run(_LEADING.get) == (inner.cabin,)


def test_what_ended_half_way_ends_whole(table: FlightTable, party: Callable[..., Party]) -> None:
    """An interrupt in the midst of waking: the others are woken when the flight is dropped."""
    leader, followers = party(), [party() for _ in range(3)]
    flight = leader.enter("k")
    assert isinstance(flight, Flight)
    flight.mark()

    def interrupt() -> None:
        followers[1]._wake()
        raise KeyboardInterrupt

    for follower in followers:
        seat = follower.follow("k")
        follower.start_waiting(seat)
        if follower is followers[1]:
            seat.wake = interrupt
            stubborn = seat

    with pytest.raises(KeyboardInterrupt):
        flight.finish(b"value", proven=True)
    stubborn.wake = followers[1]._wake
    del flight

    assert [follower.woken for follower in followers] == [2, 2, 1]


def wait(flights: Any, seat: Any, timeout_ms: float = LONG_MS) -> Outcome | None:
    return run_now(flights.wait(seat, timeout_ms))


def test_a_thread_waits_for_a_thread(table: FlightTable) -> None:
    flights = SyncFlights(table)
    leader = Party(table)
    flight = leader.lead("k")
    outcomes: list[Outcome | None] = []
    seats = [flights.look("k", flights.arrive()) for _ in range(3)]
    threads = [threading.Thread(target=lambda seat=seat: outcomes.append(wait(flights, seat))) for seat in seats]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(seat.wake for seat in seats), 10, "three threads to wait")

    flight.mark()
    flight.finish(b"value")

    for thread in threads:
        thread.join(10)
    assert outcomes == [Outcome(b"value", False)] * 3


@pytest.mark.parametrize("timeout_ms", [20.0, 0.0, -5.0])
def test_a_thread_gives_up_when_its_time_is_up(table: FlightTable, timeout_ms: float) -> None:
    leader = Party(table)
    leader.lead("k")
    flights = SyncFlights(table)

    assert wait(flights, flights.look("k", flights.arrive()), timeout_ms) is None


def test_a_time_longer_than_threads_can_wait_is_as_long_as_they_can(table: FlightTable) -> None:
    leader = Party(table)
    flight = leader.lead("k")
    flights = SyncFlights(table)
    seat = flights.look("k", flights.arrive())
    ending = threading.Timer(0.01, lambda: flight.finish(b"value", proven=True))
    ending.start()

    assert wait(flights, seat, 1e30) == Outcome(b"value", False)
    ending.join()


async def test_a_task_waits_for_a_task_and_for_a_thread(table: FlightTable) -> None:
    flights = AsyncFlights(table)
    leader = Party(table)
    flight = leader.lead("k")
    seats = [flights.look("k", flights.arrive()) for _ in range(3)]
    waiting = [asyncio.create_task(flights.wait(seat, LONG_MS)) for seat in seats]
    await wait_until_async(lambda: all(seat.wake for seat in seats), 10, "three tasks to wait")

    await asyncio.to_thread(flight.finish, b"value", proven=True)

    assert await asyncio.gather(*waiting) == [Outcome(b"value", False)] * 3


@pytest.mark.parametrize("timeout_ms", [20.0, 0.0, -5.0])
async def test_a_task_gives_up_when_its_time_is_up(table: FlightTable, timeout_ms: float) -> None:
    leader = Party(table)
    leader.lead("k")
    flights = AsyncFlights(table)

    assert await flights.wait(flights.look("k", flights.arrive()), timeout_ms) is None


async def test_a_task_that_finds_the_outcome_there_does_not_wait(table: FlightTable) -> None:
    leader = Party(table)
    flight = leader.lead("k")
    flights = AsyncFlights(table)
    seat = flights.look("k", flights.arrive())
    flight.finish(b"value", proven=True)

    assert await flights.wait(seat, LONG_MS) == Outcome(b"value", False)


async def test_a_cancelled_task_gives_its_seat_up(table: FlightTable) -> None:
    leader = Party(table)
    flight = leader.lead("k")
    flights = AsyncFlights(table)
    seat = flights.look("k", flights.arrive())
    waiting = asyncio.create_task(flights.wait(seat, LONG_MS))
    await wait_until_async(lambda: seat.wake, 10, "the task to wait")

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert seat.wake is None
    flight.finish(b"value")


def test_waking_a_task_whose_loop_is_closed_harms_nobody(table: FlightTable) -> None:
    leader = Party(table)
    flight = leader.lead("k")
    follower = Party(table)
    flights = AsyncFlights(table)
    seats: list[Any] = []

    async def leave_a_task_behind() -> None:
        seats.append(flights.look("k", flights.arrive()))
        waiting = flights.wait(seats[0], LONG_MS)
        task = asyncio.create_task(waiting)
        await wait_until_async(lambda: seats[0].wake, 10, "the task to wait")
        wakes.append(seats[0].wake)
        task.cancel()

    wakes: list[Callable[[], object]] = []
    asyncio.run(leave_a_task_behind())
    seats[0].wake = wakes[0]  # as if the loop had been closed before its task was told
    seat = follower.follow("k")
    follower.start_waiting(seat)

    flight.finish(b"value", proven=True)

    assert follower.woken == 1
