"""Functions are told apart by what they are, methods by whom they are called on."""

from __future__ import annotations

import functools
import inspect
import math
import os
import subprocess
import sys
import warnings

import pytest

from afresh import ConfigurationError, UnkeyableArgument
from tests.corner_cases import functions
from tests.corner_cases.arguments import Tenant
from tests.corner_cases.functions import PAIRS, WITHOUT_IDENTITY


# --- which function -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("pair", PAIRS | WITHOUT_IDENTITY)
def test_functions_that_look_alike_share_nothing(cache, run, pair):
    pairs = (PAIRS | WITHOUT_IDENTITY)[pair]()
    memoized = [cache.memoize()(function) for function in pairs]

    for _ in range(2):
        for function, handle in zip(pairs, memoized, strict=True):
            assert repr(run(handle(1))) == repr(run(function(1)))
    assert [handle.stats().computes for handle in memoized] == [1, 1]
    run(memoized[0].invalidate_all())
    assert run(memoized[1].peek(1)) is not None, "invalidating one left the other"
    assert run(memoized[0].peek(1)) is None


@pytest.mark.parametrize("pair", PAIRS)
def test_a_function_made_twice_is_one(cache, run, pair):
    for function, again in zip(PAIRS[pair](), PAIRS[pair](), strict=True):
        first, second = cache.memoize()(function), cache.memoize()(again)
        assert first.key(1) == second.key(1)


def test_functions_are_the_same_in_every_process():
    code = "from tests.corner_cases.functions import keys\nprint(*keys(), sep='\\n')"
    env = os.environ | {"PYTHONHASHSEED": "99", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == functions.keys()


def test_a_function_of_a_script_has_one_key_wherever_it_is_run(tmp_path):
    script = tmp_path / "job.py"
    script.write_text("from afresh import Cache\n@Cache('memory://').memoize()\ndef f(x): ...\nprint(f.key(1))\n")
    keys = {
        subprocess.run([sys.executable, *how], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for how in ([str(script)], ["job.py"], ["./job.py"])
    }

    assert len(keys) == 1


def test_a_name_is_shared_on_purpose(cache, memoize, run):
    one = memoize(name="shared")(lambda x: ("one", x))
    other = memoize(name="shared")(lambda x: ("other", x))

    assert run(one(1)) == run(other(1)) == ("one", 1)


# --- methods ----------------------------------------------------------------------------------------------------------
def test_methods_are_told_apart_by_instance_and_class(run, memoize):
    computed = []

    class Base(Tenant):
        @memoize()
        def method(self, x=0):
            computed.append(x)
            return type(self).__name__, self.name, x

    class Heir(Base):
        pass

    for _ in range(2):
        assert run(Base("a").method(1)) == ("Base", "a", 1)
        assert run(Base("b").method(1)) == ("Base", "b", 1)
        assert run(Heir("a").method(x=1)) == ("Heir", "a", 1)
        assert run(Base.method(Base("a"), 1)) == ("Base", "a", 1)
    assert len(computed) == 3
    run(Base("a").method.invalidate(1))
    run(Base("a").method(1))
    run(Base("b").method(1))
    assert len(computed) == 4


def test_an_override_that_calls_super_is_another_method(cache, run):
    class Base(Tenant):
        @cache.memoize()
        def method(self, x):
            return "base", x

        @cache.memoize()
        async def coroutine_method(self, x):
            return "base", x

    class Heir(Base):
        @cache.memoize()
        def method(self, x):
            return "heir", super().method(x)

        @cache.memoize()
        async def coroutine_method(self, x):
            return "heir", await super().coroutine_method(x)

    for _ in range(2):
        assert Heir("a").method(1) == ("heir", ("base", 1))
        assert Base("a").method(1) == ("base", 1)
        assert run(Heir("a").coroutine_method(1)) == ("heir", ("base", 1))
        assert run(Base("a").coroutine_method(1)) == ("base", 1)
    assert Base.method.stats().computes == 2, "for the heir's object and the base's"


def test_an_override_that_calls_super_in_a_class_method(cache, run):
    class Base:
        @cache.memoize()
        @classmethod
        def make(cls, x):
            return cls.__name__, x

        @cache.memoize()
        @classmethod
        async def make_async(cls, x):
            return cls.__name__, x

    class Heir(Base):
        @cache.memoize()
        @classmethod
        def make(cls, x):
            return "heir", super().make(x)

        @cache.memoize()
        @classmethod
        async def make_async(cls, x):
            return "heir", await super().make_async(x)

    for _ in range(2):
        assert Heir.make(1) == run(Heir.make_async(1)) == ("heir", ("Heir", 1))
        assert Base.make(1) == run(Base.make_async(1)) == ("Base", 1)


@pytest.mark.parametrize("outside", [True, False], ids=["memoize above", "memoize below"])
def test_class_methods_are_told_apart_by_class(cache, coloured, run, outside):
    computed = []

    def make(cls, x=0):
        computed.append(cls)
        return cls.__name__, x

    function = coloured(make)
    decorated = cache.memoize()(classmethod(function)) if outside else classmethod(cache.memoize()(function))

    class Base:
        method = decorated

    class Heir(Base):
        pass

    for _ in range(2):
        assert run(Base.method(1)) == run(Base().method(1)) == ("Base", 1)
        assert run(Heir.method(1)) == run(Heir().method(x=1)) == ("Heir", 1)
    assert computed == [Base, Heir]
    if outside:
        assert Base.method.key(1) == Base().method.key(1) != Heir.method.key(1)
        run(Heir.method.invalidate(1))
        run(Base.method(1))
        run(Heir.method(1))
        assert computed == [Base, Heir, Heir]


@pytest.mark.parametrize("outside", [True, False], ids=["memoize above", "memoize below"])
def test_static_methods(cache, coloured, run, outside):
    computed = []

    def double(x):
        computed.append(x)
        return 2 * x

    function = coloured(double)

    class Base:
        method = cache.memoize()(staticmethod(function)) if outside else staticmethod(cache.memoize()(function))

    class Heir(Base):
        pass

    for _ in range(2):
        assert run(Base.method(1)) == run(Base().method(1)) == run(Heir.method(1)) == run(Heir().method(x=1)) == 2
    assert computed == [1]
    run(Base.method.invalidate(1))
    run(Heir().method(1))
    assert computed == [1, 1]


def test_properties(memoize, run):
    computed = []

    class Shop(Tenant):
        @property
        @memoize()
        def rating(self):
            computed.append(self.name)
            return self.name

    for _ in range(2):
        assert [run(Shop(name).rating) for name in "ab"] == ["a", "b"]
    assert computed == ["a", "b"]


def test_partial_methods_and_aliases(memoize, run):
    class Shop(Tenant):
        @memoize()
        def price(self, item, currency="EUR"):
            return self.name, item, currency

        in_dollars = functools.partialmethod(price, currency="USD")
        cost = price

    shop = Shop("a")
    assert run(shop.in_dollars(1)) == run(shop.price(1, "USD")) == ("a", 1, "USD")
    assert run(shop.cost(1)) == run(shop.price(1)) == ("a", 1, "EUR")
    assert Shop.price.stats().computes == 2


def test_objects_that_declare_their_fields_need_no_key_of_their_own(memoize, run):
    import dataclasses

    @dataclasses.dataclass(frozen=True)
    class Query:
        table: str
        limit: int = 10

        @memoize()
        def run(self):
            return self.table, self.limit

    for _ in range(2):
        assert [run(Query("a").run()), run(Query("a", 5).run()), run(Query("b").run())] == [("a", 10), ("a", 5), ("b", 10)]
    assert Query.run.stats().computes == 3


def test_an_object_without_identity_is_refused_with_the_remedy(memoize, run):
    class Service:
        @memoize()
        def call(self, x):
            return x

        @memoize(ignore=["self"])
        def ignoring(self, x):
            return x

    with pytest.raises(UnkeyableArgument, match=r"argument 'self' of type .*Service cannot be part of a key: .*ignore=.*__cache_key__\(\)"):
        run(Service().call(1))
    assert run(Service().ignoring(1)) == 1


def test_slots_and_no_weak_references_are_fine(memoize, run):
    class Small:
        __slots__ = ("x",)

        def __cache_key__(self):
            return self.x

        @memoize()
        def method(self):
            return self.x

    small = Small()
    small.x = 1
    assert run(small.method()) == run(small.method()) == 1


def test_an_object_that_changes_is_asked_at_each_call(memoize, run):
    class Cart(Tenant):
        @memoize()
        def total(self):
            return self.name

    cart = Cart(1)
    assert run(cart.total()) == 1
    cart.name = 2
    assert run(cart.total()) == 2


def test_an_object_is_not_kept_alive_by_its_memoized_methods(memoize, run):
    import gc
    import weakref

    class Cart(Tenant):
        @memoize()
        def total(self):
            return self.name

    cart = Cart(1)
    run(cart.total())
    gone = weakref.ref(cart)
    del cart
    gc.collect()
    assert gone() is None


# --- what can be memoized, and what cannot -----------------------------------------------------------------------------
def test_builtins_and_c_functions(cache):
    assert [cache.memoize()(len)([1, 2]) for _ in range(2)] == [2, 2]
    assert [cache.memoize()(math.sqrt)(x) for x in (4, 9, 4)] == [2, 3, 2]
    assert cache.memoize()(len).key([]) != cache.memoize()(math.sqrt).key([])
    assert cache.memoize()("a-b".split)("-") == ["a", "b"]
    assert cache.memoize()("c-d".split)("-") == ["c", "d"]
    assert cache.memoize()(str.upper)("a") == "A"


@pytest.mark.parametrize("function", [max, getattr, math.hypot, iter], ids=lambda function: function.__name__)
def test_c_functions_without_a_signature_are_refused(cache, function):
    try:
        inspect.signature(function)
    except ValueError:
        pass
    else:
        pytest.xfail("this Python knows its signature")
    with pytest.raises(ConfigurationError, match=rf"signature of <built-in function {function.__name__}>.*wrap it in a function of"):
        cache.memoize()(function)


def test_functions_that_are_cached_already(cache, run):
    @functools.lru_cache
    def value(x):
        return [x]

    memoized = cache.memoize()(value)
    assert memoized(1) == memoized(1) == [1]
    assert value.cache_info().misses == 1
    assert cache.memoize()(functools.cache(adder := functions.adder(1))).key(1) != cache.memoize()(adder).key(1)


def test_functions_that_are_memoized_already(cache, namespace, memoize, run):
    """Two caches in a row, say one in memory before one on a server: each has its own entries, tag and handle."""
    computed = []

    def value(x):
        computed.append(x)
        return [x]

    inner = memoize(ttl="1h")(value)
    outer = cache.memoize(ttl="1m")(inner)
    assert run(outer(1)) == run(outer(1)) == run(inner(1)) == [1]
    assert computed == [1]
    assert outer.key(1) != inner.key(1)
    assert outer.tag != inner.tag
    assert (outer.stats().hits, inner.stats().hits) == (1, 1)
    run(outer.invalidate(1))
    assert run(inner.peek(1)) is not None
    assert run(outer(1)) == [1]
    assert computed == [1]
    run(inner.invalidate(1))
    assert run(outer.peek(1)) is None  # the outer results are made of the inner ones
    assert run(outer(1)) == [1]
    assert computed == [1, 1]
    assert inspect.iscoroutinefunction(outer) == inspect.iscoroutinefunction(inner)


def test_objects_that_can_be_called(cache, run):
    class Scale:
        def __init__(self, by):
            self.by = by

        def __call__(self, x):
            return x * self.by

    class AsyncScale(Scale):
        async def __call__(self, x):
            return x * self.by

    named = [cache.memoize(name=f"scale-{kind.__name__}-{by}")(kind(by)) for kind in (Scale, AsyncScale) for by in (2, 3)]
    for _ in range(2):
        assert [run(handle(10)) for handle in named] == [20, 30, 20, 30]
    assert [handle.stats().computes for handle in named] == [1] * 4
    with pytest.raises(ConfigurationError, match="of type Scale has no name of its own: pass name="):
        cache.memoize()(Scale(2))


def generator():
    yield 1


async def async_generator():
    yield 1


async def coroutine_function():
    return 1


class Generating:
    def __call__(self):
        yield 1


class AsyncGenerating:
    async def __call__(self):
        yield 1


class Thing:
    pass


UNCACHEABLE = {
    "generator function": (lambda: generator, "'generator' cannot be memoized: it is a generator.*Return a list"),
    "async generator function": (lambda: async_generator, "'async_generator' cannot be memoized: it is a generator.*Return a list"),
    "partial of a generator function": (lambda: functools.partial(generator), "it is a generator.*Return a list"),
    "class method that generates": (lambda: classmethod(generator), "it is a generator.*Return a list"),
    "object whose call generates": (Generating, "it is a generator.*Return a list"),
    "object whose call generates asynchronously": (AsyncGenerating, "it is a generator.*Return a list"),
    "generator": (generator, "'generator' cannot be memoized: it is of type generator, not a function.*Memoize the function that"),
    "class": (lambda: Thing, "'Thing' cannot be memoized: it is a class.*Memoize a function"),
    "property": (lambda: property(len), r"type property, not a function.*Put @property above @cache.memoize\(\)"),
    "cached property": (lambda: functools.cached_property(len), "type cached_property, not a function.*Put @cached_property above"),
    "partial method": (lambda: functools.partialmethod(len), "type partialmethod, not a function.*Memoize the function that"),
    "number": (lambda: 5, "5 cannot be memoized: it is of type int, not a function"),
    "None": (lambda: None, "None cannot be memoized: it is of type NoneType, not a function"),
    "text": (lambda: "5m", "'5m' cannot be memoized: it is of type str, not a function"),
}


@pytest.mark.parametrize("what", UNCACHEABLE)
def test_what_cannot_be_memoized_is_refused_with_the_reason(cache, what):
    make, message = UNCACHEABLE[what]
    with pytest.raises(ConfigurationError, match=message):
        cache.memoize(name="n")(make())


def test_a_coroutine_is_no_function(cache):
    coroutine = coroutine_function()
    with pytest.raises(ConfigurationError, match=r"'coroutine_function' cannot be memoized: .* type coroutine.*Memoize the function that"):
        cache.memoize()(coroutine)
    coroutine.close()


@pytest.mark.parametrize("decorator", ["memoize", "memoize_many"])
def test_a_decorator_without_parentheses_is_refused(cache, decorator):
    with pytest.raises(TypeError, match=rf"{decorator}\(\) takes options by name only.*@cache\.{decorator}\(\)"):
        getattr(cache, decorator)(coroutine_function)


def test_a_function_that_returns_what_can_be_read_only_once_says_so(memoize, run):
    @memoize()
    def numbers(n):
        return (each for each in range(n))

    with pytest.warns(UserWarning, match=r"not cached: value of type generator.*return a list"):
        assert list(run(numbers(3))) == [0, 1, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert list(run(numbers(3))) == [0, 1, 2], "each caller has one of its own"


def test_a_function_that_returns_a_coroutine_says_so(cache, run):
    @cache.memoize()
    def call(x):
        return coroutine_function()

    with pytest.warns(UserWarning, match="not cached: value of type coroutine.*return what it returns"):
        assert run(call(1)) == 1
