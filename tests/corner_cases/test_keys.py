"""Two different calls never share an entry, equal calls always do."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref

import pytest

from afresh import Cache, ConfigurationError, UnkeyableArgument
from tests.corner_cases import arguments
from tests.corner_cases.arguments import DIFFERENT, REFUSED, SPELLINGS, Point, Tenant


def from_source(source, **names):
    scope = {"__name__": __name__, **names}
    exec(source, scope)
    return scope["f"]


# --- arguments -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("group", DIFFERENT)
def test_each_argument_has_an_entry_of_its_own_and_finds_it_again(memoize, run, group):
    computed = []

    @memoize()
    def call(x):
        computed.append(x)
        return len(computed)

    values = [run(call(x)) for x in DIFFERENT[group]()]
    assert values == list(range(1, len(values) + 1)), "two arguments shared an entry"
    assert [run(call(x)) for x in DIFFERENT[group]()] == values, "an equal argument missed"
    assert len(computed) == len(values)


@pytest.mark.parametrize("signature", SPELLINGS)
def test_each_spelling_of_a_call_is_that_call_and_no_other(memoize, run, signature):
    computed = []
    call = memoize()(from_source(f"def f{signature}:\n    computed.append(1)\n    return len(computed)", computed=computed))

    for number, spellings in enumerate(SPELLINGS[signature], 1):
        for args, kwargs in spellings:
            assert run(call(*args, **kwargs)) == number, (args, kwargs)
            assert call.key(*args, **kwargs) == call.key(*spellings[0][0], **spellings[0][1])
            assert run(call.peek(*args, **kwargs)).value == number


def test_the_function_gets_its_arguments_as_they_were_given(memoize, run):
    given = object()

    @memoize(key=lambda *args, **kwargs: 0, ttl=0)
    def call(a, /, b, *args, c=given, **kwargs):
        return [a is given, b is given, *(each is given for each in args), c is given, kwargs["a"] is given]

    assert run(call(given, given, given, given, a=given)) == [True] * 6


@pytest.mark.parametrize("spelling", [((), {}), ((1, 2, 3), {}), ((1,), {"a": 1}), ((1,), {"z": 1})])
def test_a_call_that_does_not_fit_the_signature_raises_as_the_function_does(memoize, run, spelling):
    def call(a, b=2):
        return a, b

    args, kwargs = spelling
    with pytest.raises(TypeError) as plain:
        call(*args, **kwargs)
    with pytest.raises(TypeError) as memoized:
        run(memoize()(call)(*args, **kwargs))
    assert str(memoized.value).endswith(str(plain.value).partition("()")[2])


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_identity_is_refused_with_the_path_and_the_remedy(memoize, run, name):
    computed = []

    @memoize()
    def call(a, x):
        computed.append(a)

    make, path = REFUSED[name]
    with pytest.raises(UnkeyableArgument) as refused:
        run(call(1, make()))
    assert refused.value.argument == path
    assert f"argument {path!r} of type " in str(refused.value)
    assert all(remedy in str(refused.value) for remedy in ("ignore=", "key=", "__cache_key__()"))
    assert computed == []


def test_an_address_that_is_used_again_is_no_identity(memoize, run):
    """Where an object was, another one may be: objects without identity are refused, those with one are told apart by it."""

    @memoize()
    def name(tenant):
        return tenant.name

    for each in range(50):
        assert run(name(Tenant(each))) == each


def test_keys_are_the_same_under_every_hash_seed():
    code = "from tests.corner_cases.arguments import keys\nprint(*keys(), sep='\\n')"
    expected = arguments.keys()
    for seed in ("0", "4242"):
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == expected


def test_an_argument_is_keyed_before_the_call(memoize, run):
    @memoize()
    def drain(items, settings):
        settings["seen"] = len(items)
        taken = list(items)
        items.clear()
        return taken

    first = run(drain([1, 2], {}))
    assert first == [1, 2]
    assert run(drain([1, 2], {})) == [1, 2], "found under what was asked"
    assert run(drain([], {})) == [], "and not under what the function made of it"
    assert run(drain([], {"seen": 2})) == []


def test_an_argument_is_not_kept_alive(memoize, run):
    @memoize()
    def call(point, *, option=None):
        return 1

    for _ in range(2):  # a miss and a hit
        point, option = Point(1), Point(2)
        alive = [weakref.ref(point), weakref.ref(option)]
        run(call(point, option=option))
        call.key(point, option=option)
        del point, option
        gc.collect()
        assert [each() for each in alive] == [None, None]


def test_a_result_is_not_kept_alive(memoize, run):
    kept = []

    @memoize()
    def call():
        point = Point(1)
        kept.append(weakref.ref(point))
        return point

    for _ in range(2):
        run(call())
        gc.collect()
    assert [each() for each in kept] == [None]


def test_a_large_argument_that_is_ignored_is_not_read(memoize, run):
    @memoize(ignore=["session"])
    def call(x, session):
        return x

    assert run(call(1, object())) == run(call(1, (n for n in ()))) == 1


def test_a_default_that_changes_counts_as_it_is_at_the_call(memoize, run):
    default = [1]
    computed = []

    def call(x=default):
        computed.append(1)
        return list(x)

    call = memoize()(call)
    assert run(call()) == run(call([1])) == [1]
    default.append(2)
    assert run(call()) == [1, 2]
    assert len(computed) == 2


# --- hostile names --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["a{b}c", "{}", "}", "a:b", "a#b", "a b\n", "*", "é", "\ud800", "x" * 500, "%7B", "k", "f:f"])
def test_names_of_functions_may_be_anything(cache, coloured, run, name):
    computed = []

    def call(x):
        computed.append(x)
        return [name, x]

    def other(x):
        return "other"

    memoized = cache.memoize(name=name)(coloured(call))
    neighbour = cache.memoize(name=name + ":1")(coloured(other))
    for _ in range(2):
        assert run(memoized(1)) == [name, 1]
        assert run(neighbour(1)) == "other"
    assert computed == [1]
    assert run(memoized.invalidate_all()).applied
    assert run(memoized(1)) == [name, 1]
    assert computed == [1, 1]
    assert memoized.key(1).count("{") == memoized.key(1).count("}") == 0


def test_names_and_versions_do_not_run_into_each_other(cache):
    def call(x):
        return x

    options = [{}, {"version": 1}, {"version": "1"}, {"version": "0"}, {"version": ""}]
    named = [cache.memoize(name=name, **each)(call) for name in ("f", "f@1", "f:1", "f#1") for each in options]
    keys = {memoized.key(1) for memoized in named}
    assert len(keys) == len(named) - 4, "only 1 and '1' are one version"


def test_keys_of_calls_and_of_the_application_never_meet(cache, memoize, run):
    @memoize(name="f")
    def call(x):
        return "call"

    run(call(1))
    for key in (str(call.key(1)), "f:1", ":f:1", "k:f:1"):
        assert cache.get(key) is None
        cache.set(key, "mine")
    assert run(call(1)) == "call"
    assert cache.get(call.key(1)) == "call"


@pytest.mark.parametrize("namespace", ["", "a{b", "a}", "a b", "a\n", "x" * 121, "\ud800", None, 5])
def test_namespaces_that_cannot_be_are_refused(namespace):
    with pytest.raises(ConfigurationError, match="cannot be a namespace: use 1 to 120 characters without braces") as refused:
        Cache("memory://", namespace=namespace)
    assert f"namespace={namespace!r}" in str(refused.value)
