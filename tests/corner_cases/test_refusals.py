"""What cannot work is refused where it is written, with what was given and what to do instead."""

from __future__ import annotations

import asyncio

import pytest

from afresh import AfreshError, Cache, ConfigurationError, NotAvailable, SignedPickle


def function(x, y=1):
    return x


async def coroutine_function(x, y=1):
    return x


FUNCTIONS = pytest.mark.parametrize("function", [function, coroutine_function], ids=["sync", "async"])

# Options of memoize, and the error: what was given, and the remedy.
OPTIONS = {
    "ttl text": ({"ttl": "5 minutes"}, r"ttl='5 minutes' is not a duration: give seconds, text such as '90s'"),
    "ttl None": ({"ttl": None}, r"ttl=None is not a duration: .* Omit it to use the cache's default"),
    "ttl negative": ({"ttl": -1}, r"ttl=-1 is not a duration: .* from 0 up"),
    "ttl bool": ({"ttl": True}, r"ttl=True is not a duration: give seconds"),
    "stale_ttl": ({"stale_ttl": "soon"}, r"stale_ttl='soon' is not a duration: give seconds"),
    "wait": ({"wait": "1 s"}, r"wait='1 s' is not a duration: give seconds"),
    "tags one": ({"tags": "user"}, r"tags='user' is one string: give a list, tags=\['user'\]"),
    "tags number": ({"tags": 5}, r"tags=5 is no list: leave it out, or give tags=\[…\]"),
    "tags None": ({"tags": None}, r"tags=None is no list: leave it out, or give tags=\[…\]"),
    "tag number": ({"tags": [5]}, r"tag 5 is not a template: give text such as 'user:\{user_id\}'"),
    "tag empty": ({"tags": [""]}, r"tag '' is not a template: give text"),
    "tag stranger": ({"tags": ["user:{z}"]}, r"tag template 'user:\{z\}' names 'z', which is no parameter. There are: x, y"),
    "tag unclosed": ({"tags": ["user:{x"]}, r"tag template 'user:\{x': .*Write \{\{ and \}\} for braces"),
    "tag item": ({"tags": ["{x[0]}"]}, r"tag template '\{x\[0\]\}': \{x\[0\]\} must be a parameter, or an attribute of one"),
    "tag format": ({"tags": ["{x:>5}"]}, r"tag template '\{x:>5\}': \{x\} must be a parameter, or an attribute of one"),
    "key": ({"key": "x"}, r"key='x' must be a function of the call's arguments.*key=lambda"),
    "ignore one": ({"ignore": "x"}, r"ignore='x' is one string: give a list, ignore=\['x'\]"),
    "ignore number": ({"ignore": 5}, r"ignore=5 is no list: leave it out, or give ignore=\[…\]"),
    "ignore stranger": ({"ignore": ["z"]}, r"ignore='z' is no parameter of .*function\. There are: x, y"),
    "name": ({"name": 5}, r"name=5 must be text of at least one character"),
    "name empty": ({"name": ""}, r"name='' must be text of at least one character"),
    "version": ({"version": None}, r"version=None must be a whole number or text: change it when"),
    "negative list": (
        {"negative": [LookupError]},
        r"negative=\[<class 'LookupError'>\] must map classes of exceptions.*LookupError: '10s'",
    ),
    "negative number": ({"negative": {404: 1}}, r"negative=\{404: …\} must name classes of exceptions: negative=\{LookupError: '10s'\}"),
    "negative interrupt": ({"negative": {KeyboardInterrupt: 1}}, r"KeyboardInterrupt.* must name classes of exceptions: "),
    "negative ttl": ({"negative": {LookupError: "soon"}}, r"negative=\{LookupError: …\}='soon' is not a duration: give seconds"),
    "codec name": ({"codec": "pickle"}, r"codec='pickle' is no codec: it must be an object with codec_id, .* it lacks codec_id"),
    "codec class": ({"codec": SignedPickle}, r"codec=<class .*SignedPickle'> is no codec"),
    "near": ({"near": "yes"}, r"near='yes' must be True or False"),
    "share": ({"share": 1}, r"share=1 must be True or False"),
    "capture": ({"capture": None}, r"capture=None must be True or False"),
    "early_refresh": ({"early_refresh": 0.5}, r"early_refresh=0\.5 must be True or False"),
    "stale_if_error": ({"stale_if_error": "x"}, r"stale_if_error='x' is not a duration: give seconds"),
    "compute_timeout": ({"compute_timeout": 0}, r"compute_timeout=0 leaves no time to compute in: give more, or omit it"),
    "refresh_wait": ({"refresh_wait": 1}, r"refresh_wait=1 is for calls that find a stale result, .*give both"),
    "backoff": ({"backoff": None}, r"backoff=None is not a duration: give seconds"),
    "result_tags text": ({"result_tags": "user"}, r"result_tags='user' must be a function of the result|result_tags= needs the near tier"),
}


@FUNCTIONS
@pytest.mark.parametrize("case", OPTIONS)
def test_an_option_that_cannot_be_is_refused_where_it_is_written(function, case):
    options, message = OPTIONS[case]

    with pytest.raises(ConfigurationError, match=message):
        Cache("memory://").memoize(**options)(function)
    with pytest.raises(ConfigurationError, match=message):
        Cache("memory://").aio.memoize(**options)(function)


@pytest.mark.parametrize("decorator", ["memoize", "memoize_many", "recurrence"])
def test_an_option_that_is_misspelt_names_the_nearest(decorator):
    with pytest.raises(TypeError, match=rf"{decorator}\(\) has no option 'nmae'\. Did you mean 'name'\? There are: .*name"):
        getattr(Cache("memory://"), decorator)(nmae="x")
    with pytest.raises(TypeError, match=rf"{decorator}\(\) takes options by name only, and this str has none"):
        getattr(Cache("memory://"), decorator)("5m")


# What a call runs into: options of memoize, its argument, and the error.
CALLS = {
    "tag of a float": (
        {"tags": ["{x}"]},
        1.5,
        r"a tag needs \{x\} to be a str, int, UUID or enum, not float: .*Name an attribute, as in \{x\.id\}",
    ),
    "tag of None": ({"tags": ["{x}"]}, None, r"a tag needs \{x\} to be .* not NoneType: .*or pass tags= a function"),
    "tags= one text": (
        {"tags": lambda x, y: "user"},
        5,
        r"given as tags= must return an iterable of non-empty str, such as a list, not str",
    ),
    "tags= of numbers": ({"tags": lambda x, y: [1]}, 5, r"given as tags= must return an iterable of non-empty str.* not list of int"),
    "tags= of None": ({"tags": lambda x, y: None}, 5, r"given as tags= must return an iterable of non-empty str.* not NoneType"),
    "ttl= of None": ({"ttl": lambda value: None}, 5, r"ttl=None is not a duration: give seconds"),
    "an argument": ({}, object(), r"argument 'x' of type object cannot be part of a key: .*ignore=.*key=.*__cache_key__\(\)"),
    "what key= returns": ({"key": lambda x, y: [x]}, object(), r"argument 'key=\[0\]' of type object cannot be part of a key"),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_call_that_cannot_be_is_refused_and_leaves_nothing_behind(memoize, run, case):
    options, argument, message = CALLS[case]
    call = memoize(**options)(function)

    for _ in range(2):
        with pytest.raises(AfreshError, match=message):
            run(call(argument))
    assert run(memoize()(function)(1)) == 1


# --- keys, tags and values ------------------------------------------------------------------------------------------
NO_KEY = r"a cache key is text of at least one character, not int: turn it into str first"
NO_TAG = r"a tag is text of at least one character, not int: write f'user:\{user_id\}', say, and several one by one"

# Methods of a cache, their arguments, and the error.
OPERATIONS = {
    "get a number": ("get", (5,), {}, NO_KEY),
    "get nothing": ("get", ("",), {}, r"a cache key is text of at least one character, not '': name what is stored, 'user:7', say"),
    "get_many one key": ("get_many", ("abc",), {}, r"keys='abc' is one string: give a list, keys=\['abc'\]"),
    "get_many a number": ("get_many", (5,), {}, r"keys=5 is no list: leave it out, or give keys=\[…\]"),
    "get_many numbers": ("get_many", ([5],), {}, NO_KEY),
    "set a number": ("set", (5, 1), {}, NO_KEY),
    "set for ever": ("set", ("k", 1), {"ttl": None}, r"ttl=None is not a duration: .* Omit it to use the cache's default"),
    "set under a tag": ("set", ("k", 1), {"tags": "user"}, r"tags='user' is one string: give a list, tags=\['user'\]"),
    "set under a number": ("set", ("k", 1), {"tags": [5]}, NO_TAG),
    "set an object": (
        "set",
        ("k", object()),
        {},
        r"value of type object cannot be cached faithfully: .*Return plain data, or name a codec",
    ),
    "set_many a list": ("set_many", ([1],), {}, r"set_many\(\) takes a mapping from keys to values, not list: \{'user:7': value\}"),
    "set_many under a tag": ("set_many", ({"k": 1},), {"tags": "user"}, r"tags='user' is one string: give a list"),
    "add a number": ("add", (5, 1), {}, NO_KEY),
    "incr by text": ("incr", ("k", "x"), {}, r"incr\(\) adds whole numbers, not str: by=1"),
    "touch": ("touch", ("k",), {"ttl": "x"}, r"ttl='x' is not a duration: give seconds"),
    "ttl": ("ttl", (5,), {}, NO_KEY),
    "compute": (
        "get_or_compute",
        ("k", 5),
        {},
        r"get_or_compute\(\) takes a function that makes the value, not int: lambda: load\(7\), say",
    ),
    "invalidate a list": ("invalidate", (["k"],), {}, r"a cache key is text of at least one character, not list: turn it into str first"),
    "expire a number": ("expire", (5,), {}, NO_KEY),
    "a tag": ("invalidate_tags", (5,), {}, NO_TAG),
    "an empty tag": ("invalidate_tags", ("",), {}, r"a tag is text of at least one character, not '': write"),
}


@pytest.mark.parametrize("case", OPERATIONS)
def test_what_cannot_be_done_is_refused_and_changes_nothing(cache, colour, run, case):
    name, args, options, message = OPERATIONS[case]
    facade = cache if colour == "sync" else cache.aio

    with pytest.raises((AfreshError, TypeError), match=message):
        run(getattr(facade, name)(*args, **options))
    assert cache.get("k") is None


CACHES = {
    "budget": ({"budget": 0}, r"budget=0 must be more than 0: it is how long the server may take"),
    "namespace": ({"namespace": "a b"}, r"namespace='a b' cannot be a namespace: use 1 to 120 characters without braces"),
    "ttl": ({"ttl": None}, r"ttl=None is not a duration"),
    "near": ({"near": True}, r"near=True must be afresh\.Near\(…\), or be left out for no near tier"),
    "size": ({"max_value_bytes": "big"}, r"max_value_bytes='big' is not a size: give bytes, or text such as '64MiB'"),
    "codec": ({"codec": 5}, r"codec=5 is no codec: it must be an object with"),
    "misspelt": ({"tll": 5}, r"^Cache\(\) has no option 'tll'\. Did you mean 'ttl'\?"),
}


@pytest.mark.parametrize("case", CACHES)
def test_a_cache_that_cannot_be_is_refused(case):
    options, message = CACHES[case]

    with pytest.raises((ConfigurationError, TypeError), match=message):
        Cache("memory://", **options)


# --- batches --------------------------------------------------------------------------------------------------------
def test_batches_that_cannot_be_are_refused():
    memoize_many = Cache("memory://").memoize_many

    class Shop:
        @memoize_many(name="prices")
        def prices(self, skus):
            return {}

    with pytest.raises(ConfigurationError, match=r"prices takes a list of ids first, and so cannot be a method: .*static methods"):
        Shop().prices([1])
    with pytest.raises(ConfigurationError, match=r"n must take the list of ids as its first argument: def f\(ids, …\)"):
        memoize_many(name="n")(no_argument)
    with pytest.raises(ConfigurationError, match=r"n must take the list of ids as its first argument"):
        memoize_many(name="n")(by_name)
    with pytest.raises(ConfigurationError, match=r"'generator' cannot be memoized: it is a generator.*Return a list"):
        memoize_many()(generator)


def generator(ids):
    yield ids


def no_argument():
    return {}


def by_name(*, ids):
    return {}


def the_ids(ids):
    return ids


async def the_ids_awaited(ids):
    return ids


@pytest.mark.parametrize("ids", ["abc", b"abc", 5, None], ids=repr)
def test_one_id_is_not_several(cache, run, colour, ids):
    def sync_values(ids):
        return {}

    async def async_values(ids):
        return {}

    values = cache.memoize_many(name="values")(sync_values if colour == "sync" else async_values)
    with pytest.raises(TypeError, match=rf"values takes several ids, not one {type(ids).__name__}: pass a list, \[{ids!r}\]"):
        run(values(ids))
    with pytest.raises(TypeError, match=r"values must return a mapping from ids to values, not list"):
        run(cache.memoize_many(name="values")(the_ids if colour == "sync" else the_ids_awaited)([1]))


# --- memo tables ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("base", "message"),
    [
        ({}, r"base=\{\} must give the first values by their numbers, from 0 up: base=\{0: 1\}"),
        ([1], r"base=\[1\] must give the first values by their numbers"),
        ({-1: 1}, r"base=\{-1: 1\} must give the first values by their numbers, from 0 up"),
        ({True: 1}, r"base=\{True: 1\} must give"),
        ({0.0: 1}, r"base=\{0\.0: 1\} must give"),
        ({"0": 1}, r"base=\{'0': 1\} must give"),
        ({0: 1, 2: 1, 5: 1}, r"base has a gap: 1, 3, 4 is missing between 0 and 5|base has a gap: 1, 3, 4"),
    ],
    ids=str,
)
def test_a_base_that_cannot_be_is_refused(base, message):
    with pytest.raises(ConfigurationError, match=message):
        Cache("memory://").recurrence(base=base)


def test_a_function_that_does_not_fit_its_base_is_refused():
    recurrence = Cache("memory://").recurrence

    with pytest.raises(
        ConfigurationError, match=r"f must take n and 2 previous value\(s\), nearest first, since its base has 2: def f\(n, …\)"
    ):
        recurrence(base={0: 0, 1: 1}, name="f")(lambda n, previous: n)
    with pytest.raises(ConfigurationError, match=r"name=5 must be text of at least one character"):
        recurrence(base={0: 1}, name=5)(lambda n, previous: n)
    with pytest.raises(ConfigurationError, match=r"'generator' cannot be memoized: it is a generator"):
        recurrence(base={0: 0})(generator)


@pytest.mark.parametrize(
    ("n", "error", "message"),
    [
        (1.0, TypeError, r"f\(n\) takes a whole number, not float"),
        (True, TypeError, r"f\(n\) takes a whole number, not bool"),
        ("3", TypeError, r"f\(n\) takes a whole number, not str"),
        (None, TypeError, r"f\(n\) takes a whole number, not NoneType"),
        (-1, ValueError, r"f\(-1\): the base begins at 2; there is nothing before it"),
        (1, ValueError, r"f\(1\): the base begins at 2; there is nothing before it"),
    ],
)
def test_a_number_that_is_none_is_refused(cache, coloured, run, n, error, message):
    table = cache.recurrence(base={2: 1}, name="f")(coloured(lambda n, previous: previous + 1))

    with pytest.raises(error, match=message):
        run(table(n))
    assert run(table(5)) == 4


def test_no_refusal_shows_a_password_or_a_value():
    with pytest.raises(ConfigurationError) as refused:
        Cache("redis://:hunter2@host:port/0")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigurationError) as refused:
        Cache("memory://", codec=SignedPickle("hunter2"))
    assert "hunter2" not in str(refused.value)
    with pytest.warns(UserWarning, match="not cached") as warned:
        Cache("memory://").memoize()(lambda: {"token": ["hunter2", object()]})()
    assert "hunter2" not in str(warned[0].message)


def test_not_there_yet_is_a_configuration_error():
    assert issubclass(NotAvailable, ConfigurationError)
    assert asyncio.iscoroutinefunction(coroutine_function)
