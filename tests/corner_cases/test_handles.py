"""A memoized function passes for the function that it stands for, wherever functions go."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import functools
import gc
import inspect
import json
import operator
import pickle
import pydoc
import threading
import types
import typing
import weakref
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from afresh import AsyncMemoized, Cache, ConfigurationError, Memoized, SignedPickle
from tests.corner_cases import handles
from tests.corner_cases.arguments import Tenant
from tests.corner_cases.handles import HANDLES, METHODS, Account, Premium, async_square, square

BOTH = pytest.mark.parametrize("handle", [square, async_square], ids=["sync", "async"])
EACH = pytest.mark.parametrize("handle", HANDLES, ids=lambda handle: handle.__name__)
METHOD = pytest.mark.parametrize(("bound", "unbound"), METHODS.values(), ids=METHODS)


# --- what frameworks and people look at ------------------------------------------------------------------------------
@EACH
def test_names_annotations_and_documentation_are_the_functions(handle):
    function = handle.__wrapped__

    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(handle, name) == getattr(function, name), name
    assert inspect.signature(handle) == inspect.signature(function)
    assert typing.get_type_hints(handle) == typing.get_type_hints(function)
    assert inspect.getdoc(handle) == function.__doc__
    assert inspect.unwrap(handle) is function
    assert function.__doc__ in pydoc.render_doc(handle)
    assert function.__name__ in repr(handle)


@BOTH
def test_inspect_sees_a_function_of_the_same_colour(handle):
    is_async = inspect.iscoroutinefunction(handle.__wrapped__)

    assert inspect.iscoroutinefunction(handle) == asyncio.iscoroutinefunction(handle) == is_async
    assert inspect.getfullargspec(handle).kwonlyargs == ["by"]
    assert inspect.signature(handle, eval_str=True).parameters["x"].annotation is int
    assert inspect.getsource(handle.__wrapped__) in inspect.getsource(inspect.getmodule(handle))
    assert callable(handle)
    assert not inspect.isgeneratorfunction(handle)


@BOTH
def test_a_function_is_a_function_still(handle):
    kind = AsyncMemoized if inspect.iscoroutinefunction(handle) else Memoized

    assert inspect.isfunction(handle)
    assert isinstance(handle, kind)
    assert not isinstance(handle, Memoized if kind is AsyncMemoized else AsyncMemoized)
    assert not isinstance(handle.__wrapped__, kind)
    assert inspect.signature(handle, follow_wrapped=False).parameters.keys() == inspect.signature(handle).parameters.keys()
    assert handle.__kwdefaults__ == handle.__wrapped__.__kwdefaults__
    assert type(handle.options(wait="1s")).__name__ == kind.__name__
    assert isinstance(handle.options(wait="1s"), kind)
    assert handle.options() is handle


@METHOD
def test_a_bound_handle_is_of_the_kind_of_its_colour(bound, unbound):
    assert isinstance(bound(), AsyncMemoized if inspect.iscoroutinefunction(bound()) else Memoized)
    assert unbound is None or isinstance(unbound, type(bound()).__mro__[1])


@METHOD
def test_a_bound_handle_has_the_signature_of_a_bound_method(bound, unbound):
    method = bound()

    assert list(inspect.signature(method).parameters) == ["day"]
    assert method.__name__ in {"balance", "async_balance", "kind", "unit"}
    assert method.__doc__ == method.__wrapped__.__doc__
    assert method.__module__ == handles.__name__
    assert inspect.iscoroutinefunction(method) == inspect.iscoroutinefunction(method.__wrapped__)
    if unbound is not None:
        assert list(inspect.signature(unbound).parameters) == ["self", "day"]
        assert method.__self__.name == "a"
        assert method.__func__ is unbound


def test_a_handle_that_is_not_bound_has_no_self():
    assert not hasattr(square, "__self__")
    assert not hasattr(Account.unit, "__self__")
    assert Premium.kind.__self__ is Premium


def test_the_arguments_names_may_be_any(memoize, run):
    @memoize()
    def call(self, /, *args, **kwargs):
        return self, kwargs

    assert run(call(1, self=2, name=3, function=4)) == (1, {"self": 2, "name": 3, "function": 4})
    arguments = {"self": 2, "args": 3, "kwargs": 4, "value": 5, "handle": 6}
    run(call.put("stored", 1, **arguments))
    assert run(call.peek(1, **arguments)).value == run(call(1, **arguments)) == "stored"
    assert run(call.uncached(1, **arguments)) == run(call.refresh(1, **arguments)) == (1, arguments)
    assert run(call.invalidate(1, **arguments)).applied
    assert call.key(1, **arguments) != call.key(1)


def test_a_method_may_be_called_with_self_by_name(memoize, run):
    class Shop(Tenant):
        @memoize()
        def price(self, x, **more):
            return self.name, x, more

    shop = Shop("a")
    assert run(Shop.price(self=shop, x=1)) == run(shop.price(1)) == ("a", 1, {})
    assert Shop.price.key(self=shop, x=1) == shop.price.key(1)


def undressed(function):
    """A decorator without functools.wraps."""

    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def test_a_method_knows_its_object_however_it_came_into_its_class(cache, memoize, run):
    def price(self, item="all"):
        return self.name, item

    class Shop(Tenant):
        first = memoize()(lambda self, item="all": (self.name, item))
        second = cache.memoize()(undressed(price))
        third = memoize()(functools.wraps(price)(undressed(price)))

    Shop.fourth = memoize()(price)
    Shop.fifth = staticmethod(memoize()(price))
    shop = Shop("a")
    for method in (shop.first, shop.second, shop.third, shop.fourth):
        assert run(method("x")) == run(method("x")) == ("a", "x")
        assert method.__self__ is shop
        run(method.put("stored", "x"))
        assert run(method("x")) == "stored"
        run(method.invalidate("x"))
        assert run(method("x")) == ("a", "x")
    assert run(shop.fifth(shop, "x")) == ("a", "x")


def test_a_function_that_was_put_into_a_class_refuses_its_objects(cache, memoize, run):
    """It would be bound without its verbs being: `shop.price.invalidate("x")` would be about a shop called "x"."""

    @memoize()
    def price(shop, item="all"):
        return shop.name, item

    class Shop(Tenant):
        pass

    assert run(price(Shop("a"))) == ("a", "all")
    Shop.price = price

    class Branch(Shop):
        pass

    for call in (Branch("b").price, Shop("a").price, functools.partial(price.peek, Shop("a"))):
        with pytest.raises(ConfigurationError, match=r"price.* put into the class .*Shop, .* call its first parameter self"):
            run(call())
    assert run(price(Tenant("c"))) == ("c", "all")


def test_options_of_a_class_methods_handle_are_of_the_same_class():
    assert Account.kind.options(wait="1s").key(1) == Account.kind.key(1)
    assert Premium.kind.options(wait="1s").__self__ is Premium
    assert pickle.loads(pickle.dumps(Premium.kind.options(wait="1s"))).key(1) == Premium.kind.key(1)


def test_functions_without_a_name_have_one_as_handles(cache, run):
    def power(base, exponent):
        return base**exponent

    async def async_power(base, exponent):
        return base**exponent

    class Double:
        def __call__(self, x):
            return 2 * x

    class AsyncDouble:
        async def __call__(self, x):
            return 2 * x

    made = [cache.memoize()(functools.partial(power, 2)), cache.memoize()(functools.partial(async_power, 2))]
    made += [cache.memoize(name="double")(Double()), cache.memoize(name="async double")(AsyncDouble())]
    for handle in made:
        assert isinstance(handle.__name__, str)
        assert isinstance(handle.__qualname__, str)
        assert isinstance(handle.__module__, str)
        assert len(inspect.signature(handle).parameters) == 1
        assert run(handle(3)) in {8, 6}
    assert [inspect.iscoroutinefunction(handle) for handle in made] == [False, True, False, True]


def test_attributes_of_the_function_do_not_hide_the_handles_own(cache):
    class Loader:
        def __init__(self, key):
            self.key = self.stats = self.tag = self._function = key
            self.colour = "red"

        def __call__(self, x):
            return self.key, x

    handle = cache.memoize(name="loader")(Loader("a"))
    assert handle(1) == handle(1) == ("a", 1)
    assert handle.colour == "red"
    assert handle.stats().computes == 1
    assert cache.get(handle.key(1)) == ("a", 1)


def test_attributes_may_be_set_on_it(memoize, run):
    def call(self):
        return 1

    call.rate_limit = 5
    handle = memoize()(call)
    handle.short_description = "shown"

    class Admin(Tenant):
        method = handle

    assert (handle.rate_limit, handle.short_description) == (5, "shown")
    assert (Admin(1).method.rate_limit, Admin(1).method.short_description) == (5, "shown")
    assert run(Admin(1).method()) == 1


def negative(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return -function(*args, **kwargs)

    return wrapper


def async_negative(function):
    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        return -await function(*args, **kwargs)

    return wrapper


def test_other_decorators_may_go_around_it_and_be_memoized_again(cache, colour, memoize, run):
    """functools.wraps copies what an object carries; a handle must not lend another function its record."""

    def number(x: int) -> int:
        return x

    inner = memoize()(number)
    outer = (negative if colour == "sync" else async_negative)(inner)
    around = cache.memoize()(outer)
    for _ in range(2):
        assert [run(each(1)) for each in (inner, outer, around)] == [1, -1, -1]
    assert (outer.__name__, outer.__wrapped__) == ("number", inner)
    assert [isinstance(each, (Memoized, AsyncMemoized)) for each in (inner, outer, around)] == [True, False, True]
    assert len({cache.memoize()(lambda f: f).key(each) for each in (inner, outer, around, number)}) == 4
    assert inspect.signature(outer) == inspect.signature(around) == inspect.signature(inner)
    assert inspect.iscoroutinefunction(around) == inspect.iscoroutinefunction(inner)
    assert around.key(1) != inner.key(1)
    assert around.tag != inner.tag
    assert (around.stats().computes, inner.stats().computes) == (1, 1)
    run(around.put(7, 1))
    assert [run(each(1)) for each in (inner, outer, around)] == [1, -1, 7]
    assert run(around.invalidate(1)).applied
    assert run(inner.peek(1)).value == 1
    assert run(around(1)) == run(around.uncached(1)) == -1


@BOTH
def test_functools_partial(handle, run):
    bound = functools.partial(handle.__class__.__call__, handle, 3)

    assert inspect.signature(functools.partial(handle, 3)) == inspect.signature(functools.partial(handle.__wrapped__, 3))
    assert inspect.iscoroutinefunction(functools.partial(handle, 3)) == inspect.iscoroutinefunction(handle)
    assert run(bound())[0] == run(functools.partial(handle, 3)())[0] == 9


def test_single_dispatch(cache):
    @functools.singledispatch
    @cache.memoize()
    def kind(x):
        return "anything"

    @kind.register
    @cache.memoize()
    def of_int(x: int):
        return "int"

    assert [kind(1), kind("1"), kind(1)] == ["int", "anything", "int"]


def test_a_default_of_a_dataclass(memoize, run):
    @memoize()
    def load(x):
        return x

    @dataclasses.dataclass
    class Job:
        name: str
        loader: typing.Callable = load

    @dataclasses.dataclass(frozen=True, slots=True)
    class Frozen:
        loader: typing.Callable = dataclasses.field(default=load)

    assert run(Job.loader(1)) == run(Frozen().loader(2)) - 1 == 1
    assert dataclasses.fields(Job)[1].default is load
    assert dataclasses.replace(Frozen(), loader=load) == Frozen()


def test_an_abstract_method(cache):
    import abc

    class Base(abc.ABC):
        @cache.memoize()
        @abc.abstractmethod
        def one(self): ...

        @abc.abstractmethod
        @cache.memoize()
        def two(self): ...

    assert Base.__abstractmethods__ == {"one", "two"}


def test_django_takes_it_for_a_view_a_filter_and_a_receiver(cache):
    django = pytest.importorskip("django")
    from django.dispatch import Signal
    from django.template import Library
    from django.urls import path

    @cache.memoize()
    def shout(value, mark="!"):
        return value.upper() + mark

    class Receiver(Tenant):
        seen: typing.ClassVar = []

        @cache.memoize(ignore=["more"])
        def receive(self, sender, value, **more):
            self.seen.append(value)

    library, signal, receiver = Library(), Signal(), Receiver("a")
    assert library.filter(shout)("a") == "A!"
    assert library.filters == {"shout": shout}
    assert library.simple_tag(shout) is shout
    assert path("shout", shout).callback is shout
    signal.connect(receiver.receive)
    gc.collect()
    signal.send(sender="s", value=1)
    assert receiver.seen == [1], "held as a method is: by its object"
    assert signal.disconnect(receiver.receive)
    signal.send(sender="s", value=2)
    assert receiver.seen == [1]
    assert django


# --- identity ------------------------------------------------------------------------------------------------------
@EACH
def test_a_handle_equals_itself_alone_and_may_be_a_key(handle):
    others = {other: other.__name__ for other in HANDLES}

    assert handle == handle  # noqa: PLR0124  # that is what is asked
    assert others[handle] == handle.__name__
    assert len(others) == len(HANDLES)
    assert handle != handle.__wrapped__
    assert handle not in {None, 1, "square"}


@METHOD
def test_bound_handles_are_equal_as_methods_are(bound, unbound):
    if unbound is None:
        assert bound() == bound()
        assert hash(bound()) == hash(bound())
        return
    method = bound()
    owner = method.__self__
    again = getattr(owner, method.__name__)
    other = getattr(type(owner)(owner.name), method.__name__)

    assert method == again
    assert hash(method) == hash(again)
    assert {method: 1}[again] == 1
    assert method != other, "an equal object is another object, as for methods"
    assert method != unbound


@EACH
def test_weak_references_to_it(handle):
    assert weakref.ref(handle)() is handle
    assert handle in weakref.WeakSet([handle])


def test_weak_references_to_methods_live_as_long_as_the_object():
    account = Account("a")
    reference = weakref.WeakMethod(account.balance)

    assert reference() == account.balance
    del account
    gc.collect()
    assert reference() is None


@EACH
def test_a_copy_is_the_handle_itself(handle):
    assert copy.copy(handle) is handle
    assert copy.deepcopy(handle) is handle
    assert copy.deepcopy({"f": [handle]})["f"][0] is handle


def test_a_local_handle_may_be_copied_too(memoize):
    @memoize()
    def local(x):
        return x

    assert copy.copy(local) is copy.deepcopy([local])[0] is local


def test_a_deep_copy_of_a_bound_handle_is_bound_to_a_copy_of_the_object():
    account = Account(["a"])
    copied = copy.deepcopy(account.balance)

    assert copied.__self__ is not account
    assert copied.__self__.name == ["a"]
    assert copied.__func__ is Account.balance


# --- as an argument --------------------------------------------------------------------------------------------------
def test_a_handle_as_an_argument_is_told_apart_by_its_name(memoize, run):
    computed = []

    @memoize()
    def apply(function):
        computed.append(function)
        return function.__name__

    arguments = [*HANDLES, Account("a").balance, Account("b").balance, Premium("a").balance, Account.balance, Account.kind, Premium.kind]
    arguments += [functools.partial(square, 1), functools.partial(square, 2), functools.partial(async_square, 1)]
    arguments += [square.__wrapped__, [square], (square,), {"f": square}]
    named = arguments[:10]
    for _ in range(2):
        assert [run(apply(handle)) for handle in named] == [handle.__name__ for handle in named]
    assert len(computed) == len(named)
    assert len({apply.key(each) for each in arguments}) == len(arguments)
    assert apply.key(Account("a").balance) == apply.key(Account("a").balance)


def test_handles_of_two_caches_and_versions_are_two_arguments(cache, memoize):
    def value(x):
        return x

    @memoize()
    def apply(function):
        return 1

    other = Cache("memory://", namespace="t-other")
    made = [cache.memoize(name="v")(value), cache.memoize(name="v", version=2)(value), other.memoize(name="v")(value)]
    assert len({apply.key(handle) for handle in made}) == 3
    assert apply.key(made[0]) == apply.key(made[0].options(wait="1s"))


def test_functions_that_hold_handles_are_told_apart_by_them(memoize, run):
    def calling(handle):
        @memoize()
        def call(x):
            return handle.__name__

        return call

    made = [calling(square), calling(async_square), calling(Account.balance)]
    assert [run(call(1)) for call in made] == ["square", "async_square", "balance"]
    assert calling(square).key(1) == made[0].key(1)


def test_a_handle_as_a_default_argument(memoize, run):
    @memoize()
    def apply(x, function=square):
        return function.__name__

    assert run(apply(1)) == run(apply(1, square)) == "square"
    assert apply.key(1) == apply.key(1, square) != apply.key(1, async_square)


# --- to other processes ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@EACH
def test_a_pickled_handle_is_the_handle_of_that_name(handle, protocol):
    assert pickle.loads(pickle.dumps(handle, protocol)) is handle
    assert len(pickle.dumps(handle, protocol)) < 100


@METHOD
def test_a_pickled_bound_handle_is_bound_to_a_pickled_object(bound, unbound):
    method = pickle.loads(pickle.dumps(bound()))

    assert method.key(1) == bound().key(1)
    if unbound is not None:
        assert method.__func__ is unbound


def test_a_handle_under_other_options_takes_them_along():
    impatient = pickle.loads(pickle.dumps(square.options(wait="1s")))

    assert impatient.key(1) == square.key(1)
    assert impatient._function.policy.wait_ms == 1000
    bound = pickle.loads(pickle.dumps(Account("a").balance.options(wait="1s")))
    assert bound.key(1) == Account("a").balance.key(1)
    assert bound._function.policy.wait_ms == 1000


def test_a_local_handle_is_not_pickled_just_as_a_local_function_is_not(memoize):
    @memoize()
    def local(x):
        return x

    with pytest.raises((pickle.PicklingError, AttributeError), match="local"):
        pickle.dumps(local)


def test_handles_are_sent_to_threads_and_pools(memoize, run):
    with ThreadPoolExecutor(2) as pool:
        assert [square_of for square_of, _ in pool.map(square, [1, 2, 3])] == [1, 4, 9]
        assert pool.submit(Account("a").balance, 5).result()[:2] == ("a", 5)
    results = []
    thread = threading.Thread(target=lambda: results.append(functools.partial(square, 7)()))
    thread.start()
    thread.join(10)
    assert results[0][0] == 49


def test_handles_are_sent_to_processes_that_start_afresh(valkey, namespace, monkeypatch):
    """Each value is computed once, by whoever calls first, and found by the other."""
    monkeypatch.setenv("AFRESH_CORNER_CASES_URL", valkey.url)
    monkeypatch.setenv("AFRESH_CORNER_CASES_NAMESPACE", namespace)
    monkeypatch.setattr(handles.cache, "_engine", handles.cache._engine)
    calls = [*((handle, 7) for handle in (square, async_square)), *((bound(), 7) for bound, _ in METHODS.values())]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        first = [pool.submit(handles.call, handle, *args).result(30) for handle, *args in calls]
        again = [pool.submit(handles.call, handle, *args).result(30) for handle, *args in calls]
        assert pool.submit(handles.call, handles.squares, [1, 2]).result(30)[2][0] == 4
        assert pool.submit(handles.call, handles.factorial, 20).result(30) == 2432902008176640000
        child = first[0][-1]
    assert again == first
    assert {result[-1] for result in first} == {child}
    with Cache(valkey.url, namespace=namespace, budget="10s") as here:
        found = here.memoize(name=square.stats.__self__._function.name)(square.__wrapped__)(7)
    assert found == (49, child), "what the other process has stored"


def test_a_cache_is_sent_by_its_configuration(valkey, namespace):
    with Cache(valkey.url, namespace=namespace, budget="10s", ttl="7m") as cache:
        cache.set("k", [1])
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            assert pool.submit(operator.methodcaller("get", "k"), cache).result(30) == [1]
        with pickle.loads(pickle.dumps(cache)) as again:
            assert again.get("k") == [1]
            again.set("other", 1)
            assert 400 < again.ttl("other") <= 420
        assert copy.copy(cache) is copy.deepcopy(cache) is cache


async def test_a_cache_for_coroutines_is_sent_by_its_configuration(valkey, namespace):
    codec = SignedPickle("a secret of 16 bytes")
    async with Cache(valkey.url, namespace=namespace, budget="10s", codec=codec).aio as cache:
        await cache.set("k", {1j})
        async with pickle.loads(pickle.dumps(cache)) as again:
            assert await again.get("k") == {1j}


def test_what_holds_a_handle_can_be_shown_as_json_and_debugged():
    with pytest.raises(TypeError, match="function is not JSON serializable"):
        json.dumps(square)
    assert isinstance(types.MethodType(square, 1), types.MethodType)
