"""No call hangs, whatever happens to the computation that it waits for."""

from __future__ import annotations

import asyncio
import functools
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from afresh import Cache
from afresh.testing import wait_until, wait_until_async

LONG_S = 8  # less than the 10 s after which a call that waits for another computes for itself: who waited that long, hung


@pytest.fixture(autouse=True)
def nobody_waits_in_vain():
    """Fail a test in which some call gave up waiting."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LONG_S, "a call waited for a computation that could not end"


def at_once(*calls):
    """Run each call in a thread of its own and return what each returned or raised."""
    results = [None] * len(calls)

    def work(number, call):
        try:
            results[number] = call()
        except BaseException as error:  # noqa: BLE001  # whatever it is, the test looks at it
            results[number] = error

    threads = [threading.Thread(target=work, args=each, daemon=True) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert not any(thread.is_alive() for thread in threads), "a call hangs"
    return results


class Gate:
    """A computation that says that it has begun, and goes on when it is told."""

    def __init__(self):
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.calls = 0

    def pass_through(self):
        self.calls += 1
        self.begun.set()
        assert self.go_on.wait(LONG_S)

    async def pass_through_async(self):
        self.calls += 1
        self.begun.set()
        await wait_until_async(self.go_on.is_set, LONG_S, "the computation to be let go on")


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.go_on.set()


# --- calls inside of calls -----------------------------------------------------------------------------------------
def test_a_function_may_call_itself_with_the_same_arguments(cache):
    depth = []

    @cache.memoize()
    def value(x):
        depth.append(x)
        return value(x) + 1 if len(depth) < 3 else 0

    assert value(1) == 2
    assert value(1) == 2
    assert len(depth) == 3


async def test_a_coroutine_function_may_call_itself_with_the_same_arguments(cache):
    depth = []

    @cache.memoize()
    async def value(x):
        depth.append(x)
        return await value(x) + 1 if len(depth) < 3 else 0

    @cache.memoize()
    async def through_a_task(x):
        depth.append(x)
        return await asyncio.create_task(through_a_task(x)) + 1 if len(depth) < 6 else 0

    assert await value(1) == await value(1) == 2
    assert await through_a_task(1) == await through_a_task(1) == 2
    assert len(depth) == 6
    await cache.aio.aclose()


async def test_a_thread_that_a_coroutine_starts_may_call_with_the_same_arguments(cache):
    calls = []

    @cache.memoize()
    def value(x):
        calls.append(x)
        return asyncio.run(asyncio.wait_for(asyncio.to_thread(value, x), LONG_S)) + 1 if len(calls) < 3 else 0

    assert await asyncio.to_thread(value, 1) == 2
    assert len(calls) == 3


def test_mutual_recursion(cache):
    calls = []

    @cache.memoize()
    def is_even(n):
        calls.append(n)
        return n == 0 or is_odd(n - 1)

    @cache.memoize()
    def is_odd(n):
        calls.append(n)
        return n != 0 and is_even(n - 1)

    assert [is_even(n) for n in (20, 20, 21)] == [True, True, False]
    assert len(calls) == len(set(calls)) + 21, "even and odd, once each"


async def test_mutual_recursion_of_coroutine_functions(cache):
    calls = []

    @cache.memoize()
    async def is_even(n):
        calls.append(n)
        return n == 0 or await is_odd(n - 1)

    @cache.memoize()
    async def is_odd(n):
        calls.append(n)
        return n != 0 and await is_even(n - 1)

    assert [await is_even(n) for n in (20, 20, 21)] == [True, True, False]
    assert len(calls) == len(set(calls)) + 21
    await cache.aio.aclose()


def test_two_threads_whose_computations_need_each_other(cache):
    both = threading.Barrier(2, timeout=LONG_S)
    entered = threading.local()

    @cache.memoize()
    def one(x):
        return other(x) + 1 if _first(entered, both) else 10

    @cache.memoize()
    def other(x):
        return one(x) + 1 if _first(entered, both) else 20

    results = at_once(lambda: one(1), lambda: other(1))
    assert all(isinstance(result, int) for result in results), results


def _first(entered, both):
    if getattr(entered, "once", False):
        return False
    entered.once = True
    both.wait()
    return True


async def test_two_tasks_whose_computations_need_each_other(cache):
    both = asyncio.Barrier(2)
    first = []

    @cache.memoize()
    async def one(x):
        if "one" in first:
            return 10
        first.append("one")
        await both.wait()
        return await other(x) + 1

    @cache.memoize()
    async def other(x):
        if "other" in first:
            return 20
        first.append("other")
        await both.wait()
        return await one(x) + 1

    results = await asyncio.wait_for(asyncio.gather(one(1), other(1)), LONG_S)
    assert all(isinstance(result, int) for result in results), results
    await cache.aio.aclose()


async def test_a_computation_that_waits_for_several_others_of_which_one_needs_it(cache):
    calls = []
    all_wait = asyncio.Event()

    @cache.memoize()
    async def one(x):
        calls.append("one")
        if calls.count("one") > 1:
            return 10
        needed = asyncio.create_task(other(x))
        await asyncio.sleep(0.05)  # by now it waits for `other`
        last = asyncio.create_task(third(x))
        await asyncio.sleep(0.05)  # and for `third` as well
        all_wait.set()
        return await needed + await last

    @cache.memoize()
    async def other(x):
        await all_wait.wait()
        return await one(x) + 1

    @cache.memoize()
    async def third(x):
        await asyncio.sleep(0.3)
        return 5

    assert await asyncio.wait_for(asyncio.gather(other(1), one(1)), LONG_S) == [11, 16]
    await cache.aio.aclose()


# redis-py leaves a socket to the garbage collector if it runs out of stack as it connects.
OUT_OF_STACK = pytest.mark.filterwarnings("ignore:.*unclosed:pytest.PytestUnraisableExceptionWarning", "ignore:unclosed:ResourceWarning")


@OUT_OF_STACK
def test_recursion_is_as_deep_as_under_lru_cache_and_as_two_frames_a_level_are(cache):
    """Since Python 3.13 `lru_cache`, in C, takes none of a level's frames: see ADR 14."""

    def counting(decorate):
        @decorate
        def count(n, tried):  # by `tried`, so that each try begins anew
            return 0 if n == 0 else 1 + count(n - 1, tried)

        return count

    def deepest(decorate):
        count = counting(decorate)
        low, high = 1, 2000
        while low < high:
            middle = (low + high + 1) // 2
            try:
                assert _fresh_stack(functools.partial(count, middle, middle)) == middle
                low = middle
            except RecursionError:
                high = middle - 1
        return low

    without, with_lru_cache = deepest(lambda function: function), deepest(functools.lru_cache(maxsize=None))
    promised = min(with_lru_cache, without // 2) - 15  # two frames a level, and what the innermost call needs itself
    assert _fresh_stack(functools.partial(counting(cache.memoize()), promised, promised)) == promised


def _fresh_stack(call):
    """Run a call on the empty stack of a new thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(LONG_S)


@OUT_OF_STACK
def test_a_recursion_that_was_too_deep_leaves_nothing_behind(cache):
    """Also where the stack ended in the middle of a call: nothing that others wait for longer than for a lease to lapse."""
    entered = []
    is_shallow = False

    @cache.memoize()
    def count(n):
        entered.append(n)
        return n if is_shallow or n == 0 else count(n - 1)

    with pytest.raises(RecursionError):
        _fresh_stack(functools.partial(count, 5000))
    is_shallow = True
    deepest = entered[-1]
    assert [_fresh_stack(functools.partial(count, n)) for n in range(deepest - 5, deepest + 20)] == [*range(deepest - 5, deepest + 20)]
    assert count.peek(deepest).value == deepest


@OUT_OF_STACK
async def test_a_recursion_of_coroutine_functions_that_was_too_deep_leaves_nothing_behind(cache):
    entered = []
    is_shallow = False

    @cache.memoize()
    async def count(n):
        entered.append(n)
        return n if is_shallow or n == 0 else await count(n - 1)

    with pytest.raises(RecursionError):
        await count(5000)
    is_shallow = True
    deepest = entered[-1]
    for n in range(deepest - 5, deepest + 20):
        assert await asyncio.wait_for(asyncio.create_task(count(n)), LONG_S) == n
    assert (await count.peek(deepest)).value == deepest
    print(f"recursion limit {sys.getrecursionlimit()}: {5000 - deepest} levels of coroutine functions")
    await cache.aio.aclose()


@OUT_OF_STACK
async def test_a_call_that_runs_out_of_stack_leaves_others_their_own_replies(cache):
    async def at_depth(n):
        return await (at_depth(n - 1) if n else cache.aio.get("a"))

    await cache.aio.set_many({key: key for key in "abcde"})
    ended = []
    for depth in range(sys.getrecursionlimit() - 150, sys.getrecursionlimit()):
        try:
            assert await at_depth(depth) == "a"
        except RecursionError:
            ended.append(depth)
        assert await asyncio.wait_for(asyncio.gather(*map(cache.aio.get, "bcde")), LONG_S) == list("bcde")
    assert len(ended) > 20, "the stack ended at each of the steps of a call"
    await cache.aio.aclose()


# --- one computation ------------------------------------------------------------------------------------------------
def test_one_computation_for_many_threads(cache, gate):
    @cache.memoize()
    def value(x):
        gate.pass_through()
        return [x]

    leader = threading.Thread(target=value, args=(1,))
    leader.start()
    assert gate.begun.wait(LONG_S)
    threading.Timer(0.2, gate.go_on.set).start()
    results = at_once(*[functools.partial(value, 1)] * 50)
    leader.join(LONG_S)
    assert results == [[1]] * 50
    assert len(set(map(id, results))) == 50, "each has a copy of its own"
    assert gate.calls == 1


async def test_one_computation_for_many_tasks(cache):
    calls = []

    @cache.memoize()
    async def value(x):
        calls.append(x)
        await asyncio.sleep(0.05)
        return [x]

    results = await asyncio.wait_for(asyncio.gather(*(value(1) for _ in range(200))), LONG_S)
    assert results == [[1]] * 200
    assert len(set(map(id, results))) == 200
    assert calls == [1]
    await cache.aio.aclose()


def test_one_computation_for_threads_and_loops_together(cache, gate):
    def plain():
        return cache.get_or_compute("k", compute)

    def compute():
        gate.pass_through()
        return "value"

    def looping():
        return asyncio.run(tasks())

    async def tasks():
        got = await asyncio.gather(*(cache.aio.get_or_compute("k", gate_async) for _ in range(10)))
        await cache.aio.aclose()
        return got

    async def gate_async():
        await gate.pass_through_async()
        return "value"

    threading.Timer(0.3, gate.go_on.set).start()
    results = at_once(*[plain, looping] * 5)
    assert results == ["value", ["value"] * 10] * 5
    assert gate.calls == 1


def test_two_loops_one_key(cache, gate):
    @cache.memoize()
    async def value(x):
        await gate.pass_through_async()
        return x

    async def main():
        got = await value(1)
        await cache.aio.aclose()
        return got

    threading.Timer(0.2, gate.go_on.set).start()
    assert at_once(*[lambda: asyncio.run(main())] * 4) == [1] * 4
    assert gate.calls == 1


def test_a_new_loop_for_each_call(cache):
    calls = []

    @cache.memoize()
    async def value(x):
        calls.append(x)
        await asyncio.sleep(0)
        return x

    assert [asyncio.run(value(x)) for x in (1, 1, 2, 1)] == [1, 1, 2, 1]
    assert calls == [1, 2]


def test_a_loop_that_was_closed_in_the_middle_of_a_computation(cache):
    calls = []

    @cache.memoize()
    async def value(x):
        calls.append(x)
        if len(calls) == 1:
            await asyncio.sleep(60)
        return x

    async def leave():
        asyncio.get_running_loop().value = asyncio.create_task(value(1))
        await wait_until_async(lambda: calls, LONG_S, "the computation to begin")

    asyncio.run(leave())
    assert asyncio.run(value(1)) == 1
    assert len(calls) == 2


def throw_away(coroutine, until):
    """Run a coroutine until something is the case, and close it as the interpreter does when a task was destroyed: from elsewhere."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)
    loop.run_until_complete(wait_until_async(until, LONG_S, "the computation to begin"))
    complaints = []
    hook, sys.unraisablehook = sys.unraisablehook, complaints.append
    try:
        coroutine.close()
    finally:
        sys.unraisablehook = hook
        task._log_destroy_pending = False
        loop.run_until_complete(loop.shutdown_asyncgens())  # as asyncio.run does: it closes the connection
        loop.close()
    assert not complaints


def test_a_computation_that_is_thrown_away_lets_others_compute(cache):
    calls = []

    @cache.memoize()
    async def value(x):
        calls.append(x)
        if len(calls) == 1:
            await asyncio.sleep(60)
        return x

    throw_away(value(1), lambda: calls)
    assert asyncio.run(asyncio.wait_for(value(1), LONG_S)) == 1
    assert asyncio.run(value.peek(1)).value == 1


def test_a_batch_that_is_thrown_away_lets_others_compute(cache):
    calls = []

    @cache.memoize_many()
    async def values(ids):
        calls.append(ids)
        if len(calls) == 1:
            await asyncio.sleep(60)
        return {each: each for each in ids}

    throw_away(values([1, 2]), lambda: calls)
    assert asyncio.run(asyncio.wait_for(values([1, 2]), LONG_S)) == {1: 1, 2: 2}


def test_a_memo_table_whose_growth_is_thrown_away_grows_for_others(cache):
    calls = []

    @cache.recurrence(base={0: 0})
    async def value(n, previous):
        calls.append(n)
        if calls == [1, 2, 3]:
            await asyncio.sleep(60)
        return previous + 1

    throw_away(value(9), lambda: calls == [1, 2, 3])
    assert asyncio.run(asyncio.wait_for(value(9), LONG_S)) == 9
    assert calls == [1, 2, 3, *range(3, 10)], "what was computed was written"


def test_a_call_that_is_thrown_away_while_it_waits_for_another_process(cache):
    """Its flight ends, so that others in this process look for themselves."""
    other = pickle.loads(pickle.dumps(cache))
    gate = Gate()

    def compute():
        gate.pass_through()
        return "value"

    if cache._engine.stores.address.scheme == "memory":
        other._engine.stores._memory = cache._engine.stores._memory
    with other:
        computing = threading.Thread(target=other.get_or_compute, args=("k", compute))
        computing.start()
        assert gate.begun.wait(LONG_S)
        enough = time.monotonic() + 0.2
        throw_away(cache.aio.get_or_compute("k", lambda: "for itself"), lambda: time.monotonic() > enough)
        threading.Timer(0.1, gate.go_on.set).start()
        assert cache.get_or_compute("k", lambda: "for itself") == "value"
        computing.join(LONG_S)


# --- leaders that fail ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, MemoryError])
def test_a_leader_that_raises_leaves_nobody_waiting(cache, gate, failure):
    @cache.memoize()
    def value(x):
        gate.pass_through()
        if gate.calls == 1:
            raise failure
        return x

    threading.Timer(0.1, gate.go_on.set).start()
    results = at_once(*[functools.partial(value, 1)] * 8)
    assert sorted(type(result).__name__ for result in results) == sorted(["int"] * 7 + [failure.__name__])
    assert gate.calls == 2
    assert value(1) == 1


@pytest.mark.parametrize("failure", [ValueError, MemoryError, asyncio.CancelledError])
async def test_a_leading_task_that_raises_leaves_nobody_waiting(cache, failure):
    calls = []

    @cache.memoize()
    async def value(x):
        calls.append(x)
        await asyncio.sleep(0.02)
        if len(calls) == 1:
            raise failure
        return x

    results = await asyncio.wait_for(asyncio.gather(*(value(1) for _ in range(8)), return_exceptions=True), LONG_S)
    assert sorted(type(result).__name__ for result in results) == sorted(["int"] * 7 + [failure.__name__])
    assert len(calls) == 2
    await cache.aio.aclose()


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_task_ends_its_loop_and_no_other(cache, gate, failure):
    @cache.memoize()
    async def value(x):
        await gate.pass_through_async()
        if gate.calls == 1:
            raise failure
        return x

    threading.Timer(0.1, gate.go_on.set).start()
    results = at_once(*[lambda: asyncio.run(value(1))] * 4)
    assert sorted(type(result).__name__ for result in results) == sorted(["int"] * 3 + [failure.__name__])


async def test_a_leader_that_is_cancelled_cancels_nobody_else(cache):
    calls = []

    @cache.memoize()
    async def value(x):
        calls.append(x)
        await asyncio.sleep(60 if len(calls) == 1 else 0.01)
        return x

    leader = asyncio.create_task(value(1))
    await wait_until_async(lambda: calls, LONG_S, "the computation to begin")
    followers = [asyncio.create_task(value(1)) for _ in range(20)]
    await asyncio.sleep(0.05)
    leader.cancel()
    assert await asyncio.wait_for(asyncio.gather(*followers), LONG_S) == [1] * 20
    assert leader.cancelled() or leader.exception() is None
    assert len(calls) == 2
    await cache.aio.aclose()


async def test_a_follower_that_is_cancelled_cancels_nobody_else(cache):
    calls = []

    @cache.memoize()
    async def value(x):
        calls.append(x)
        await asyncio.sleep(0.2)
        return x

    tasks = [asyncio.create_task(value(1)) for _ in range(10)]
    await asyncio.sleep(0.05)
    for task in tasks[1::2]:
        task.cancel()
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), LONG_S)
    assert results[::2] == [1] * 5
    assert all(isinstance(result, asyncio.CancelledError) for result in results[1::2])
    assert calls == [1]
    await cache.aio.aclose()


async def test_a_leader_that_runs_out_of_time_hands_over(cache):
    calls = []

    @cache.memoize()
    async def value(x):
        calls.append(x)
        await asyncio.sleep(60 if len(calls) == 1 else 0)
        return x

    impatient, patient = await asyncio.gather(asyncio.wait_for(value(1), 0.1), asyncio.wait_for(value(1), LONG_S), return_exceptions=True)
    assert isinstance(impatient, TimeoutError)
    assert patient == 1
    await cache.aio.aclose()


async def test_a_task_group_that_fails_leaves_the_others_calls_alone(cache):
    calls = []

    @cache.memoize()
    async def value(x):
        calls.append(x)
        await asyncio.sleep(60 if len(calls) == 1 else 0)
        return x

    async def failing_request():
        async with asyncio.TaskGroup() as group:
            group.create_task(value(1))
            await asyncio.sleep(0.1)
            raise LookupError

    async def other_request():
        await wait_until_async(lambda: calls, LONG_S, "the computation to begin")
        return await value(1)

    failing, other = await asyncio.gather(failing_request(), asyncio.wait_for(other_request(), LONG_S), return_exceptions=True)
    assert isinstance(failing, ExceptionGroup)
    assert other == 1
    await cache.aio.aclose()


def test_ctrl_c_during_a_computation(cache):
    calls = []

    @cache.memoize()
    def value(x):
        calls.append(x)
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(LONG_S)
        return x

    with pytest.raises(KeyboardInterrupt):
        value(1)
    assert value(1) == value(1) == 1
    assert len(calls) == 2


def test_ctrl_c_while_waiting_for_another_thread(cache, gate):
    @cache.memoize()
    def value(x):
        gate.pass_through()
        return x

    leader = threading.Thread(target=value, args=(1,))
    leader.start()
    assert gate.begun.wait(LONG_S)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        value(1)
    gate.go_on.set()
    leader.join(LONG_S)
    assert value(1) == 1
    assert gate.calls == 1


# --- a sync call where a loop runs ----------------------------------------------------------------------------------
async def test_a_sync_call_on_a_loops_own_thread_does_not_wait_for_its_tasks(cache):
    began = asyncio.Event()

    async def compute():
        began.set()
        await asyncio.sleep(0.2)
        return "by the task"

    task = asyncio.create_task(cache.aio.get_or_compute("k", compute))
    await began.wait()
    assert cache.get_or_compute("k", lambda: "for itself") == "for itself"
    assert await asyncio.wait_for(task, LONG_S) == "by the task"
    assert cache.get("k") == "by the task"
    await cache.aio.aclose()


async def test_a_sync_call_inside_a_tasks_own_computation(cache):
    async def compute():
        await asyncio.sleep(0)
        return cache.get_or_compute("k", lambda: "inner")

    assert await asyncio.wait_for(cache.aio.get_or_compute("k", compute), LONG_S) == "inner"
    await cache.aio.aclose()


async def test_a_coroutine_waits_for_a_thread_of_the_same_process(cache, gate):
    def compute():
        gate.pass_through()
        return "by the thread"

    thread = threading.Thread(target=cache.get_or_compute, args=("k", compute))
    thread.start()
    await wait_until_async(gate.begun.is_set, LONG_S, "the computation to begin")
    asyncio.get_running_loop().call_later(0.1, gate.go_on.set)
    assert await asyncio.wait_for(cache.aio.get_or_compute("k", lambda: "for itself"), LONG_S) == "by the thread"
    thread.join(LONG_S)
    await cache.aio.aclose()


# --- fork -----------------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_while_another_thread_computes(cache, gate):
    @cache.memoize()
    def value(x):
        gate.pass_through()
        return x

    leader = threading.Thread(target=value, args=(1,))
    leader.start()
    assert gate.begun.wait(LONG_S)
    pid = os.fork()
    if pid == 0:
        gate.go_on.set()  # the child's own
        threading.Timer(LONG_S, os._exit, (3,)).start()
        os._exit(0 if value(1) == 1 else 1)
    time.sleep(0.1)
    gate.go_on.set()
    leader.join(LONG_S)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert value(1) == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_inside_of_a_computation(cache):
    """Both processes are its leader then; each returns, and what is stored is right."""
    pids = []

    @cache.memoize()
    def value(x):
        pids.append(os.fork())
        return x

    assert value(1) == 1
    if pids[0] == 0:
        os._exit(0 if value(1) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == 0
    assert value(1) == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_under_a_running_loop(cache):
    @cache.memoize()
    async def value(x):
        await asyncio.sleep(0.01)
        return x

    async def main():
        task = asyncio.create_task(value(1))
        await asyncio.sleep(0.005)
        pid = os.fork()
        if pid == 0:
            asyncio._set_running_loop(None)
            os._exit(_exit_code(value))
        assert await task == 1
        await asyncio.sleep(0.1)
        await cache.aio.aclose()
        return pid

    pid = asyncio.run(main())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _exit_code(value):
    threading.Timer(LONG_S, os._exit, (3,)).start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return 0 if asyncio.run(value(1)) == 1 else 1
    except BaseException:  # noqa: BLE001  # the child tells its parent by its exit code only
        return 2


# --- servers that fail -----------------------------------------------------------------------------------------------
def test_two_computations_are_enough_without_a_server(namespace):
    """Who comes during the first waits, and shares the second with all others who came then."""
    cache = Cache("unix:///nowhere/socket", namespace=namespace)
    calls = []

    @cache.memoize()
    def value(x):
        calls.append(x)
        time.sleep(0.2)
        return x

    assert at_once(*[functools.partial(value, 1)] * 20) == [1] * 20
    assert len(calls) <= 2


async def test_two_computations_are_enough_without_a_server_for_tasks_too(namespace):
    cache = Cache("unix:///nowhere/socket", namespace=namespace)
    calls = []

    @cache.memoize()
    async def value(x):
        calls.append(x)
        await asyncio.sleep(0.1)
        return x

    assert await asyncio.wait_for(asyncio.gather(*(value(1) for _ in range(100))), LONG_S) == [1] * 100
    assert len(calls) <= 2
    await cache.aio.aclose()


def test_waiting_for_another_thread_ends_when_it_is_told(cache, gate):
    @cache.memoize(wait="100ms")
    def value(x):
        if gate.calls == 0:
            gate.pass_through()
        return x

    leader = threading.Thread(target=value, args=(1,))
    leader.start()
    assert gate.begun.wait(LONG_S)
    began = time.monotonic()
    assert value(1) == 1
    assert time.monotonic() - began < 5
    gate.go_on.set()
    leader.join(LONG_S)
    wait_until(lambda: value.peek(1) is not None, LONG_S, "the leader's value to be stored")
