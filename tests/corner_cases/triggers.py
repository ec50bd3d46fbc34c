"""What makes the package raise, place by place, and what the error says: what was given, and the remedy.

`TRIGGERS` is what users can do. Places that it does not reach are in `ELSEWHERE`, with the test that does: it takes a server that fails, a
process that ends or another platform. What no user sees is in `UNSEEN`, with the reason.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import threading
import types
import typing
import zoneinfo
from pathlib import Path

from afresh import Cache, Near, SignedPickle
from afresh.cli import train
from afresh.cli.demo import run as run_demo
from afresh.codec.signing import Signer
from afresh.django.clearing import extent_of
from afresh.django.configuration import configure
from tests.corner_cases.arguments import Tenant
from tests.unit.codec.models import Doubling

NOWHERE = "unix:///nowhere/socket"


def function(x, y=1):
    return x


def cached(url="memory://", **options):
    return Cache(url, namespace="t-triggers", **options)


def call(argument, **options):
    return cached().memoize(**options)(function)(argument)


def keyed(argument):
    return cached().memoize()(function).key(argument)


def sub(base, *arguments, **members):
    return type("Sub", (base,), members)(*arguments)


def nested(levels, wrap):
    value = 0
    for _ in range(levels):
        value = wrap(value)
    return value


class Reading(Tenant):
    """Changes the container that it is in when it is asked for its key."""

    def __cache_key__(self):
        self.name()


def changed(container, change):
    container_of = {"list": list, "set": set}[container]
    made = container_of()
    item = Reading(lambda: change(made))
    (made.append if container == "list" else made.add)(item)
    return keyed(made)


class Unreadable:
    __cache_key__ = "no method"


def circle():
    made = []
    made.append(made)
    return made


def no_ids():
    return {}


def unsigned(x):
    return x


unsigned.__signature__ = "unreadable"


def unreadable():
    value = Doubling(number=1)
    del value.number
    return value


class Codec:
    codec_id, schema = 200, 1

    def encode(self, value):
        raise LookupError(value)

    def decode(self, payload):
        raise LookupError

    class Called:
        def __call__(self, x):
            return x


class NumberedLikeOurs(Codec):
    codec_id = 5


def two_locks():
    with cached() as cache, cache.lock("a", ttl="30s"), cache.lock("a", ttl="30s"):
        pass


def a_taken_lock():
    cache = cached()
    taken, done = threading.Event(), threading.Event()

    def hold():
        with cache.lock("a", ttl="30s"):
            taken.set()
            done.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(10)
    try:
        with cache.lock("a", ttl="30s", wait="10ms"):
            pass
    finally:
        done.set()
        holder.join(10)
        cache.close()


def a_lost_lock():
    with cached() as cache, cache.lock("a", ttl="1s"):
        cache._engine.stores._memory._data.clear()


async def a_lost_lock_of_a_task():
    cache = cached()
    async with cache.aio, cache.aio.lock("a", ttl="1s"):
        cache._engine.stores._memory._data.clear()


def a_slow_function():
    done = threading.Event()
    cache = cached()

    @cache.memoize(compute_timeout="10ms")
    def slow(x):
        return done.wait(10)

    try:
        slow(1)
    finally:
        done.set()
        cache.close()


def a_slow_function_of_another():
    done, begun = threading.Event(), threading.Event()
    cache = cached()

    @cache.memoize(compute_timeout="50ms")
    def slow(x):
        begun.set()
        return done.wait(10)

    def ignore():
        with contextlib.suppress(TimeoutError):
            slow(1)

    leader = threading.Thread(target=ignore)
    leader.start()
    begun.wait(10)
    try:
        slow(1)
    finally:
        done.set()
        leader.join(10)
        cache.close()


def a_function_that_backs_off():
    cache = cached()

    @cache.memoize(backoff="10s")
    def fails(x):
        raise LookupError

    try:
        fails(1)
    except LookupError:
        fails(1)


def something_not_whole():
    cache = cached()
    cache.set("k", "text")
    cache.incr("k")


def a_key_of_nobody(url=NOWHERE):
    with cached(url, budget="50ms") as cache:
        cache.incr("k")


async def a_key_of_nobody_in_a_task():
    cache = cached(NOWHERE, budget="50ms")
    try:
        await cache.aio.incr("k")
    finally:
        await cache.aio.aclose()


def a_withheld_key():
    with cached(NOWHERE, budget="50ms") as cache:
        cache.invalidate("k")
        cache.incr("k")


def with_environment(name, value, deed):
    before = os.environ.get(name)
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
    try:
        return deed()
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def a_bypassed_counter_without_a_server():
    cache = Cache()
    with cache.bypass():
        receipt = cache.invalidate("k")
        assert not receipt.applied


def a_zone_from_a_file():
    with Path(zoneinfo.TZPATH[0], "Europe/Paris").open("rb") as file:
        return keyed(zoneinfo.ZoneInfo.from_file(file))


def a_method_made_late():
    return type("C", (), {"f": cached().memoize()(function)})().f(1)


def a_batch(values=lambda ids: {}, **options):
    return cached().memoize_many(name="f", **options)(values)


def a_table(values=lambda n, previous: previous, base=None):
    return cached().recurrence(base={2: 1} if base is None else base, name="f")(values)


def of_django(**options):
    return configure("redis://localhost", options, "")


def demo(url):
    return run_demo(argparse.Namespace(url=url, json=True))


def django_cache(key, stored=None):
    from afresh.django import RedisCache

    cache = RedisCache("memory://", {})
    if stored is not None:
        cache.set(key, stored)
    cache.incr(key)


def an_alias_of_another():
    from django.test import override_settings

    from afresh.django import get_cache
    from tests.django_project.fixtures import set_up_project

    set_up_project()
    with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}):
        get_cache()


def refused_key(path):
    return rf"argument 'x{path}' of type .* cannot be part of a key: .*ignore=.*key=.*__cache_key__"


FAITHLESS = r"cannot be cached faithfully: .*Return plain data, or name a codec"

# What is done, and what the error says.
TRIGGERS = {
    # --- caches and their servers
    "durable": (lambda: cached(durable=True), r"durable"),
    "explain": (lambda: cached().explain("k"), r"explain\(\)"),
    "explain in a task": (lambda: asyncio.run(cached().aio.explain("k")), r"explain\(\)"),
    "budget": (lambda: cached(budget=0), r"budget=0 must be more than 0: it is how long"),
    "near": (lambda: cached(near=True), r"near=True must be afresh\.Near\(…\), or be left out"),
    "namespace": (lambda: Cache("memory://", namespace="a b"), r"namespace='a b' cannot be a namespace: use"),
    "no scheme": (lambda: cached("localhost"), r"must look like redis://localhost:6379/0.*One of: redis://"),
    "no host": (lambda: cached("redis://[::1/0"), r"the host .* cannot be read: write redis://user:password@host"),
    "not yet": (lambda: cached("redis+cluster://h"), r"redis\+cluster:// is not available in this version: use redis://"),
    "scheme": (lambda: cached("reddis://h"), r"unknown URL scheme reddis://\. Did you mean redis://\?"),
    "query": (lambda: cached("redis://h?a@b"), r"'@' among its options: escape"),
    "option": (lambda: cached("redis://h?dbb=1"), r"unknown option 'dbb' in a redis:// URL\. Did you mean 'db'\? It takes: db"),
    "option's value": (lambda: cached("redis://h?db=x"), r"option db='x' in a redis:// URL is not a "),
    "memory's host": (lambda: cached("memory://h"), r"memory:// takes no host: write memory://"),
    "no path": (lambda: cached("unix://"), r"needs the absolute path of a socket: unix:///run"),
    "port": (lambda: cached("redis://h:x/0"), r"the port .* must be a number from 1 to 65535 \(is a '/'"),
    "database": (lambda: cached("redis://h/x"), r"the path .* is the number of the database, as in redis://localhost:6379/0"),
    "fragment": (lambda: cached("redis://h/0#a"), r"has no '#' part: escape a '#' in the password as %23"),
    "no URL": (lambda: with_environment("AFRESH_URL", None, lambda: Cache().get("k")), r"AFRESH_URL is not set: one of them must name"),
    "no server": (a_key_of_nobody, r"nowhere/socket"),
    "no server in a task": (lambda: asyncio.run(a_key_of_nobody_in_a_task()), r"nowhere/socket"),
    "withheld": (a_withheld_key, r"nowhere/socket"),
    "entries": (lambda: Near(max_entries=0), r"max_entries=0 must be a whole number from 1 up\. Leave near= out"),
    "bytes": (lambda: Near(max_bytes=0), r"max_bytes=0 must be more than 0\. Leave near= out"),
    "staleness": (lambda: Near(max_stale="1ms"), r"max_stale='1ms' must be at least 50 ms: so long may an invalidation"),
    "size": (lambda: Near(max_bytes="big"), r"max_bytes='big' is not a size: give bytes, or text such as '64MiB'"),
    "keys for signing": (lambda: SignedPickle(), r"signing needs at least one key: pass \[key\]"),
    "key for signing": (lambda: Signer("x" * 16), r"signing keys are a list, the newest first: write \[key\]"),
    "short key": (lambda: SignedPickle("short"), r"signing key 0 is not a text or bytes of at least 16 bytes: take secrets"),
    # --- options
    "misspelt": (lambda: cached().memoize(nmae="x"), r"memoize\(\) has no option 'nmae'\. Did you mean 'name'\?"),
    "no parentheses": (lambda: cached().memoize(function), r"memoize\(\) takes options by name only.*@cache\.memoize\(\)"),
    "duration": (lambda: call(1, ttl="soon"), r"ttl='soon' is not a duration: give seconds"),
    "flag": (lambda: call(1, near="yes"), r"near='yes' must be True or False"),
    "list": (lambda: call(1, ignore="x"), r"ignore='x' is one string: give a list, ignore=\['x'\]"),
    "no list": (lambda: call(1, ignore=5), r"ignore=5 is no list: leave it out, or give ignore=\[…\]"),
    "ignored": (lambda: call(1, ignore=["z"]), r"ignore='z' is no parameter of .*There are: x, y"),
    "key": (lambda: call(1, key="x"), r"key='x' must be a function of the call's arguments"),
    "result_tags": (lambda: cached(near=Near()).memoize(result_tags="t"), r"result_tags='t' must be a function of the result: "),
    "result_tags alone": (lambda: call(1, result_tags=str), r"result_tags= needs the near tier"),
    "version": (lambda: call(1, version=None), r"version=None must be a whole number or text: change it when"),
    "name": (lambda: call(1, name=5), r"name=5 must be text of at least one character"),
    "negative": (lambda: call(1, negative=[LookupError]), r"negative=\[.*\] must map classes of exceptions"),
    "negative class": (lambda: call(1, negative={404: 1}), r"negative=\{404: …\} must name classes of exceptions: "),
    "compute_timeout": (lambda: call(1, compute_timeout=0), r"compute_timeout=0 leaves no time to compute in: give more"),
    "refresh_wait": (lambda: call(1, refresh_wait=1), r"refresh_wait=1 is for calls that find a stale result, .*give both"),
    "read": (lambda: cached().memoize()(function).options(read="both"), r"read='both' is unknown: 'near' or 'redis'"),
    "codec": (lambda: cached(codec=5), r"codec=5 is no codec: it must be an object with"),
    "codec's number": (lambda: cached(codec=NumberedLikeOurs()), r"codec_id=5 of NumberedLikeOurs must be a number from 128 to 255"),
    "template": (lambda: call(1, tags=[5]), r"tag 5 is not a template: give text such as"),
    "unclosed": (lambda: call(1, tags=["{x"]), r"tag template '\{x': .*Write \{\{ and \}\}"),
    "format": (lambda: call(1, tags=["{x!r}"]), r"tag template '\{x!r\}': \{x\} must be a parameter, or an attribute of one"),
    "stranger": (lambda: call(1, tags=["{z}"]), r"tag template '\{z\}' names 'z', which is no parameter. There are: x, y"),
    "tag of a float": (lambda: call(1.5, tags=["{x}"]), r"a tag needs \{x\} to be a str, int, UUID or enum, not float: .*Name"),
    "tags made": (lambda: call(1, tags=lambda x, y: 5), r"given as tags= must return an iterable of non-empty str, .*not int"),
    # --- functions
    "generator": (
        lambda: cached().memoize()(iter([])),
        r"cannot be memoized: it is of type list_iterator, not a function.*Memoize the function",
    ),
    "no name": (lambda: cached().memoize()(Codec.Called()), r"an object of type Called has no name of its own: pass name="),
    "signature": (lambda: cached().memoize()(unsigned), r"the signature of .* cannot be read .*: wrap it in a function of your own"),
    "late method": (a_method_made_late, r"was put into the class C, .*: define it in the class, or call its first parameter self"),
    "our names": (lambda: cached().memoize()(eval("lambda _afresh_x: 1")), r"has a parameter that begins with .*: rename it"),
    "slow": (a_slow_function, r"did not return within its compute_timeout of 0\.01 s; .*Call again later, or give it stale_if_error="),
    "slow for another": (a_slow_function_of_another, r"did not return within its compute_timeout"),
    "backing off": (a_function_that_backs_off, r"raised builtins\.LookupError a moment ago.*Call again later, or give it stale_if_error="),
    # --- arguments
    "object": (lambda: keyed(object()), refused_key("")),
    "iterator": (lambda: keyed(iter([])), refused_key("")),
    "in itself": (lambda: keyed(circle()), refused_key(r"\[0\]")),
    "deep": (lambda: keyed(nested(150_000, lambda it: [it])), r"'x(\[0\]){6}…(\[0\]){6}' of type list .*nested deeper than \d+ levels"),
    "deep set": (lambda: keyed(nested(40, lambda it: frozenset([it]))), refused_key(r"(\{element\})+")),
    "changing list": (lambda: changed("list", lambda it: it.append(1)), r"it changed while its key was made"),
    "changing set": (lambda: changed("set", lambda it: it.add(1)), r"it changed while its key was made"),
    "keys alike": (lambda: keyed({float("nan"): 1, float("-nan"): 2}), r"two of its keys cannot be told apart"),
    "strange module": (lambda: keyed(types.ModuleType("nowhere")), r"no import leads to it under the name 'nowhere'"),
    "local type variable": (lambda: keyed(typing.TypeVar("Local")), r"triggers\.Local does not lead to it"),
    "no method": (lambda: keyed(Unreadable()), r"its __cache_key__ is no method"),
    "subclass of a network": (
        lambda: keyed(sub(__import__("ipaddress").IPv4Network, "10.0.0.0/8")),
        r"cannot be told from that class's own",
    ),
    "hidden": (lambda: keyed(__import__("sys").version_info), r"what the compiled sys\.version_info adds to tuple is hidden"),
    "no module": (lambda: keyed(sub(Tenant, 1, __module__=None)), r"its class has no module"),
    "zone": (a_zone_from_a_file, r"it was read from a file and has no key"),
    # --- values, keys and counters
    "value": (lambda: cached().set("k", object()), FAITHLESS),
    "deep value": (lambda: cached().set("k", nested(5_000, lambda it: (it,))), r"it is nested deeper than 255 levels\. Return plain data"),
    "large value": (lambda: cached(max_value_bytes=9).set("k", "x" * 99), r"it takes .* bytes, and max_value_bytes is 9\. Return"),
    "codec's refusal": (lambda: cached(codec=Codec()).set("k", 1), r"Codec raised LookupError\. Return plain data"),
    "pickle's refusal": (lambda: cached(codec=SignedPickle("x" * 16)).set("k", threading.Lock()), r"pickle raised TypeError\. Return"),
    "unreadable value": (lambda: cached().set("k", unreadable()), r"reading it raised AttributeError\. Return plain data"),
    "empty key": (lambda: cached().get(""), r"a cache key is text of at least one character, not '': name what is stored"),
    "no key": (lambda: cached().get(5), r"a cache key is text of at least one character, not int: turn it into str first"),
    "no tag": (lambda: cached().invalidate_tags(5), r"a tag is text of at least one character, not int: write f'user"),
    "no pairs": (lambda: cached().set_many([1]), r"set_many\(\) takes a mapping from keys to values, not list: "),
    "no compute": (lambda: cached().get_or_compute("k", 5), r"get_or_compute\(\) takes a function that makes the value, not int"),
    "no number": (lambda: cached().incr("k", "x"), r"incr\(\) adds whole numbers, not str: by=1"),
    "not whole": (something_not_whole, r"does not hold an integer; incr\(\) needs one: set\(\) it"),
    "no tags to write": (lambda: cached().writing(), r"writing\(\) needs the tags that the transaction writes under: writing\('user:7'\)"),
    # --- locks
    "lock's name": (lambda: cached().lock(5, ttl=1), r"the name of a lock is text of at least one character, not int"),
    "lock's ttl": (lambda: cached().lock("a", ttl=0), r"lock\('a', ttl=0\) would be over before it began: ttl is"),
    "lock twice": (two_locks, r"the lock 'a' is held by this very thread or task: .*take it once"),
    "lock taken": (a_taken_lock, r"the lock 'a' was not to be had within 0\.01 s: do without it"),
    "lock lost": (a_lost_lock, r"the lock 'a' was lost before its block ended: .*raise ttl="),
    "task's lock lost": (lambda: asyncio.run(a_lost_lock_of_a_task()), r"the lock 'a' was lost before its block ended: "),
    # --- batches and memo tables
    "no batch": (lambda: a_batch()("abc"), r"f takes several ids, not one str: pass a list, \['abc'\]"),
    "no results": (lambda: a_batch(lambda ids: ids)([1]), r"must return a mapping from ids to values, not list"),
    "batch without ids": (lambda: a_batch(no_ids), r"f must take the list of ids as its first argument: def f\(ids, …\)"),
    "batch as a method": (lambda: type("C", (), {"f": a_batch()})().f, r"takes a list of ids first, and so cannot be a method: "),
    "no base": (lambda: a_table(base={}), r"base=\{\} must give the first values by their numbers, from 0 up"),
    "gap": (lambda: a_table(base={0: 1, 2: 1}), r"base has a gap: 1 is missing between 0 and 2"),
    "order": (lambda: a_table(lambda n: n), r"f must take n and 1 previous value\(s\)"),
    "no row": (lambda: a_table()(1.5), r"f\(n\) takes a whole number, not float"),
    "row before the base": (lambda: a_table()(1), r"f\(1\): the base begins at 2; there is nothing before it"),
    # --- Django
    "django: URL": (lambda: configure("redis://h/x", {}, ""), r"LOCATION of a cache: the path .* is the number of the database"),
    "django: no URL": (lambda: configure(5, {}, ""), r"LOCATION of a cache is a URL such as redis://.*, not int"),
    "django: none": (lambda: configure("", {}, ""), r"LOCATION of a cache is missing: name the server"),
    "django: two": (lambda: configure(["redis://a", "redis://b"], {}, ""), r"names 2 servers\. .*name the primary alone"),
    "django: DB": (lambda: configure("memory://", {"DB": 1}, ""), r"OPTIONS\['DB'\] is for redis://"),
    "django: DB twice": (lambda: configure("redis://h/1", {"DB": 1}, ""), r"OPTIONS\['DB'\] and LOCATION both name it: keep one"),
    "django: option": (lambda: of_django(PASWORD="x"), r"unknown option 'PASWORD' .*Did you mean 'PASSWORD'\?"),
    "django: client": (lambda: of_django(CLIENT_CLASS="x"), r"OPTIONS\['CLIENT_CLASS'\] is 'x': .*Leave the option out"),
    "django: password": (lambda: of_django(PASSWORD=""), r"OPTIONS\['PASSWORD'\] is not a text .*leave it out"),
    "django: database": (lambda: of_django(DB="x"), r"OPTIONS\['DB'\] is 'x': a database is a number from 0 up"),
    "django: timeout": (lambda: of_django(SOCKET_TIMEOUT="x"), r"OPTIONS\['SOCKET_TIMEOUT'\]='x' is not a duration: give seconds"),
    "django: no timeout": (lambda: of_django(SOCKET_TIMEOUT=0), r"OPTIONS\['SOCKET_TIMEOUT'\] is 0: .*more than 0"),
    "django: flag": (lambda: of_django(IGNORE_EXCEPTIONS=1), r"OPTIONS\['IGNORE_EXCEPTIONS'\] is 1: write True or False"),
    "django: near": (lambda: of_django(NEAR="2s"), r"OPTIONS\['NEAR'\] is '2s': write afresh\.Near\(max_stale='2s'\), or leave it out"),
    "django: keys for near": (
        lambda: of_django(NEAR=Near()),
        r"NEAR.*keys that begin with a fixed text.*begin with '': leave KEY_FUNCTION out",
    ),
    "django: clear": (lambda: extent_of(lambda key, version: key, 1), r"must begin with a fixed text \(such as KEY_PREFIX\).*Nothing was"),
    "django: alias": (an_alias_of_another, r"CACHES\['default'\] has the BACKEND .*set it to 'afresh\.django\.RedisCache'"),
    "django: nothing to count": (lambda: django_cache("k"), r"Key ':1:k' not found"),
    "django: text to count": (lambda: django_cache("k", "text"), r"key ':1:k' does not hold an integer"),
    # --- commands
    "demo: disabled": (lambda: with_environment("AFRESH_DISABLED", "1", lambda: demo(None)), r"AFRESH_DISABLED is set.*unset it"),
    "demo: memory": (lambda: demo("memory://"), r"memory:// is inside one: name a server, or none"),
    "demo: no server": (lambda: demo(NOWHERE), r"nowhere/socket"),
    "train: samples": (
        lambda: train.run(argparse.Namespace(size="1KiB", samples=1, url="memory://", namespace="t", function=None, dry_run=True)),
        r"--samples=1 is too few to learn from: \d+ at least",
    ),
    # --- embedded
    "embedded: path": (lambda: attach("relative"), r"takes an absolute path, not 'relative': write embedded:///path"),
}


def attach(directory):
    from afresh.stores.embedded import attach

    return attach(directory)


# Places that take more than a call, and the test that reaches each.
ELSEWHERE = {
    "cli/demo/by_hand.py:connected": "integration/test_demo.py::test_on_ones_own_server_other_keys_stay_and_nothing_is_left",
    "cli/train.py:_require_zstandard": "integration/test_dictionaries.py::test_option_that_cannot_be_is_refused",
    "codec/msgpack.py:MsgpackCodec._encode_lowered": "unit/codec/test_refused.py::test_a_caller_near_the_end_of_its_stack_gets_a_refusal",
    "stores/line.py:Line.open": "integration/test_server_says_no.py::test_something_else_on_the_port_is_a_miss",
    "core/flows.py:_shared": "integration/test_stale.py::test_a_failing_compute_is_not_repeated_by_those_who_waited",
    "core/writes.py:incr": "unit/core/test_writes.py::test_an_add_that_is_overtaken_again_and_again_gives_up",
    "near/listener.py:Listener._follow": "integration/test_near_listener.py::test_swallowed_bytes_are_noticed_and_another_connection_made",
    "stores/aio.py:AsyncStore._exchange": "integration/test_hanging_server.py::test_coroutines_miss_at_once_too",
    "stores/embedded.py:Attachment.ensure": "integration/test_embedded.py::test_release_ends_the_server_and_removes_the_directory",
    "stores/embedded.py:Attachment._": "integration/test_embedded.py::test_a_program_that_does_not_serve_is_told_and_leaves_nothing",
    "stores/embedded.py:find_server": "integration/test_embedded.py::test_without_a_server_the_error_says_what_to_do",
    "stores/embedded.py:_": "integration/test_embedded.py::test_what_cannot_be_a_directory_is_refused",
    "stores/factory.py:Stores._server": "integration/test_first_use.py::test_the_interpreters_last_steps_may_be_the_first",
    "stores/guarded.py:GuardedStore.flight": "integration/test_hanging_server.py::test_counters_raise_and_invalidations_are_tried",
    "stores/listening.py:": "integration/test_listening.py::test_a_user_who_may_not_listen_is_told_which_command_it_is",
    "stores/peer.py:Peer.meet": "integration/test_server_says_no.py::test_a_wrong_password_is_called_so_and_not_repeated",
    "stores/sync.py:SyncStore": "integration/test_hanging_server.py::test_calls_miss_at_once_while_it_hangs",
    "runtime/run_now.py:run_now": "unit/runtime/test_run_now.py::test_a_flow_that_suspends_is_a_bug_and_is_closed",
    "runtime/engine.py:NoServer.flight": "conformance/test_facades.py::test_a_cache_without_a_url_works_as_long_as_it_is_bypassed",
}

# What begins so is seen by nobody, and why.
UNSEEN = {
    "raise UndecodablePayload": "a miss, counted with its cause",
    "raise SchemaChanged": "a miss, counted with its cause",
    "raise EmbeddedServerError('embedded:// needs Linux or macOS": "no such platform runs this suite",
    "core/canonical/arrays.py:_data": "kinds of elements that numpy has not yet",
    "codec/": "a payload that does not decode: the codec makes it an UndecodablePayload",
    "stores/address.py:_": "an option of a URL whose text is no number: parse_url words it",
}
