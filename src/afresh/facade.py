"""What both facades share: their options, decorators, and requests for keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self, final

from afresh.codec.values import SignedPickle, check_codec
from afresh.core.batches import Alike
from afresh.core.keys import Key, Namespace, Tag, leases_each, lock_names, user_id, values_each
from afresh.core.locks import Wanted
from afresh.core.plain_puts import Puts
from afresh.core.policy import BACKOFF_MS, JITTER, WAIT_MS, Policy, policy_under
from afresh.core.ports import Codec, Values
from afresh.core.reads import Request
from afresh.core.stamps import needs_of
from afresh.core.suggest import flag, listed, names_nearest_option
from afresh.core.units import MAX_TTL_MS, Duration, duration_ms
from afresh.core.writes import Target, key_targets
from afresh.errors import ConfigurationError, NotAvailable
from afresh.function import Options
from afresh.many import MemoizeMany, memoized_many
from afresh.memoize import Memoize, memoized
from afresh.runtime.engine import Engine
from afresh.runtime.surroundings import bypassing
from afresh.wrapper import lookup

__all__ = ["MISSING", "Defaults", "Facade", "NearKeys"]


@final
class _Missing:
    """What stands where nothing was given or found, since None is a value like any other."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final[Any] = _Missing()


_PLAIN: Final = frozenset((str, int, float))  # not bool, which is refused
# What most programs read, they read often. Longer keys would take memory.
_MOST_REQUESTS: Final = 1024
_LONGEST_REMEMBERED: Final = 120


class Defaults(NamedTuple):
    """A cache's own options, checked."""

    ttl_ms: int
    stale_ttl_ms: int


class NearKeys:
    """Near hits of applications' keys, before a request is made.

    Args:
        engine: with a near tier.
        values: how the keys' values are encoded.
        owner: whom the counters have the hits for.
        request: makes a key's request.

    Attributes:
        get: returns a key's value, or `MISSING`.
    """

    def __init__(self, engine: Engine, values: Values, owner: str, request: Callable[[str], Request]) -> None:
        from afresh.runtime.near_calls import NearCalls  # without a near tier nobody needs that

        assert engine.near is not None
        calls = NearCalls(engine.near, lambda keys: request(*keys), values, None)
        self.get = lookup(calls.names(engine.tallies.of(owner)), MISSING)
        self._remember = calls.remember

    def found(self, key: str, value: Any, default: Any) -> Any:
        """Have a value that was found, if it was, be found near the next time; and return it."""
        if value is not default:
            self._remember((key,))
        return value


class Facade:
    """Options, decorators and requests; `Cache` and `AsyncCache` add what does I/O, each in its own colour."""

    def __init__(self, engine: Engine, defaults: Defaults, again: Callable[[], Facade]) -> None:
        self._engine = engine
        self._defaults = defaults
        self._again = again
        self._policy = Policy(defaults.ttl_ms)
        self._plain_request = lru_cache(_MOST_REQUESTS)(self._made_request)
        self._near = NearKeys(engine, engine.values, "keys", self._keyed) if engine.near is not None else None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} namespace={self._engine.namespace.name!r}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Callable[[], Facade], tuple[()]]:
        """Pickle by configuration."""
        return self._again, ()

    @names_nearest_option
    def memoize(
        self,
        *,
        ttl: Duration | Callable[[Any], Duration] = MISSING,
        stale_ttl: Duration = MISSING,
        tags: Iterable[str] | Callable[..., Iterable[str]] = (),
        result_tags: Callable[[Any], Iterable[str]] | None = None,
        key: Callable[..., object] | None = None,
        ignore: Iterable[str] = (),
        name: str | None = None,
        version: int | str = 0,
        negative: Mapping[type[Exception], Duration] = MISSING,
        wait: Duration = MISSING,
        stale_if_error: Duration = 0,
        backoff: Duration = MISSING,
        refresh_wait: Duration | None = MISSING,
        compute_timeout: Duration = MISSING,
        early_refresh: bool = True,
        share: bool = False,
        near: bool = True,
        capture: bool = True,
        codec: Codec | SignedPickle | None = None,
    ) -> Memoize:
        """Return a decorator that keeps a function's results, by its arguments. For `def`, `async def` and methods.

        A value computed before an invalidation is never returned by a call that starts after it. One computation runs at a time in
        a process for the same arguments, and one process at a time computes; the others wait for it.

        Args:
            ttl: how long a result is fresh, from 0 (nothing is stored) to 30 days; or a function from the result to that. Default:
                the cache's.
            stale_ttl: how long after that a result may be served while a new one is computed, behind the callers: in a thread of afresh's,
                or a task. Default: the cache's.
            tags: templates such as ``"user:{user_id}"`` or ``"tenant:{self.tenant}"``, or a function of the call's arguments.
            result_tags: a function from the result to tags that are known only then. Needs the cache's near tier, and a server that tells
                it what changes: on others, ``memory://`` among them, such results are not stored. Nor is one during whose computation one
                of its tags was invalidated, or used for the first time.
            key: a function of the call's arguments whose result stands for them in the key.
            ignore: parameters that are no part of the key.
            name: of the function in keys, stable over refactorings. Default: module and qualname.
            version: change it when the function's meaning changes: older results are not found any more.
            negative: exceptions that are results, too, and how long they are kept: ``{LookupError: "10s"}``. A hit raises one like it.
            wait: how long a call waits for another's computation before it computes for itself, unstored. Default: 10 s.
            stale_if_error: how long after its ttl a result is served if the function raises. Default: not at all.
            backoff: how long after it raised the function is not called again for the same arguments, by any process: calls are served an
                old result, or raise `ComputeBackingOff`. Default: 1 s with `stale_if_error`, otherwise not at all.
            refresh_wait: how long a call that finds a stale result waits for the new one; 0, the default: it is served at once. None: it
                computes itself, in its own thread or task.
            compute_timeout: how long a call waits for a computation; then it is served an old result, if `stale_if_error` allows, or
                raises `ComputeTimeout`. The function runs in a thread of afresh's, or a task, goes on, and its result is stored: it cannot
                be stopped. Default: as long as it takes.
            early_refresh: whether one call may compute anew in the last tenth of the ttl, by chance, the more probably the longer the
                function takes, so that the others never find it expired. With `stale_ttl`, behind the call.
            share: hand out one object to all callers of the near tier, which saves decoding it for each: they must not change it. Results
                that nobody can change (text, numbers, tuples of these) are shared anyhow.
            near: whether the near tier may keep results.
            capture: whether a result depends on what the function reads through this cache while it runs, too: on other memoized calls,
                keys and tables. What is invalidated there is dropped here. Threads that it starts are not followed.
            codec: what encodes results: a `SignedPickle`, or a codec of your own. Default: the cache's.

        Raises:
            ConfigurationError: for options that cannot work with the function, when it is decorated.
        """
        if result_tags is not None and self._engine.near is None:
            msg = "result_tags= needs the near tier, which hears of what is invalidated while a result is computed: Cache(near=Near(…))."
            raise ConfigurationError(msg)
        check_codec(codec)
        stale_ttl_ms, stale_if_error_ms = self._stale_ttl_ms(stale_ttl), _capped(duration_ms(stale_if_error, what="stale_if_error"))
        policy = Policy(
            ttl_ms=MAX_TTL_MS if callable(ttl) else self._ttl_ms(ttl),
            stale_ttl_ms=stale_ttl_ms,
            wait_ms=WAIT_MS if wait is MISSING else duration_ms(wait, what="wait"),
            ttl_of=_ttl_of(ttl) if callable(ttl) else None,
            negative=_negative(negative),
            stale_if_error_ms=stale_if_error_ms,
            backoff_ms=_backoff_ms(backoff, stale_if_error_ms),
            refresh_wait_ms=_refresh_wait_ms(refresh_wait, stale_ttl_ms),
            compute_timeout_ms=None if compute_timeout is MISSING else _positive_ms(compute_timeout, what="compute_timeout"),
            early_refresh=flag("early_refresh", early_refresh),
            jitter=JITTER,
        )
        options = Options(policy, tags, key, listed("ignore", ignore), name, version, codec, near, share, capture, result_tags)
        return memoized(self._engine, options.checked())

    @names_nearest_option
    def memoize_many(
        self,
        *,
        ttl: Duration = MISSING,
        stale_ttl: Duration = MISSING,
        tags: Iterable[str] = (),
        name: str | None = None,
        version: int | str = 0,
    ) -> MemoizeMany:
        """Return a decorator for a function from a list of ids to a mapping of their values. For `def` and `async def`.

        The ids that are not stored are computed in one call; each value has an entry of its own. Ids that the function leaves out of
        its mapping are left out of the result, and computed again the next time. The guarantees are those of `memoize`.

        Args:
            ttl: how long a value is fresh. Default: the cache's.
            stale_ttl: how long after that it may be served while a new one is computed, as for `memoize`. Default: the cache's.
            tags: as for `memoize`; the first parameter stands for one id: ``"sku:{skus}"``.
            name: of the function in keys. Default: module and qualname.
            version: change it when the function's meaning changes.
        """
        stale_ttl_ms = self._stale_ttl_ms(stale_ttl)
        policy = Policy(self._ttl_ms(ttl), stale_ttl_ms, refresh_wait_ms=_refresh_wait_ms(MISSING, stale_ttl_ms), jitter=JITTER)
        return memoized_many(self._engine, Options(policy, tags, name=name, version=version).checked())

    def bypass(self) -> AbstractContextManager[None]:
        """Compute without reading or storing, in this thread or task and what it starts. Invalidations still work."""
        return bypassing()

    def _ttl_ms(self, ttl: Duration) -> int:
        return self._defaults.ttl_ms if ttl is MISSING else _capped(duration_ms(ttl, what="ttl"))

    def _stale_ttl_ms(self, stale_ttl: Duration) -> int:
        return self._defaults.stale_ttl_ms if stale_ttl is MISSING else _capped(duration_ms(stale_ttl, what="stale_ttl"))

    def _keyed(self, key: str, ttl: Duration = MISSING, tags: Iterable[str] = (), *, kind: Any = None) -> Request:
        if key.__class__ is str and kind is None and not tags and 0 < len(key) <= _LONGEST_REMEMBERED:
            if ttl is MISSING:
                return self._plain_request(key)
            if ttl.__class__ in _PLAIN:  # timedelta is none
                return self._plain_request(key, ttl)
        if not isinstance(key, str):
            msg = f"a cache key is text of at least one character, not {type(key).__name__}: turn it into str first."
            raise TypeError(msg)
        if not key:
            msg = "a cache key is text of at least one character, not '': name what is stored, 'user:7', say."
            raise ConfigurationError(msg)
        engine = self._engine
        namespace = engine.namespace
        needs = engine.default_needs
        if tags or isinstance(key, Key):
            function = namespace.tag_of(key.function) if isinstance(key, Key) and key.function else None
            needs = needs_of(namespace, function, _checked_tags(listed("tags", tags)))
        values = engine.values if kind is None else engine.codecs.values(kind)
        if isinstance(key, Key) and key.function:
            values = values.with_dictionaries(engine.dictionaries(key.function.removeprefix(Namespace.function_tag(""))))
        return Request(namespace.names_of(key), needs, self._policy_of(ttl), values, "keys", namespace)

    def _made_request(self, key: str, ttl: Duration = MISSING) -> Request:
        """Return the request for a key, to be remembered."""
        engine = self._engine
        names = engine.namespace.names(user_id(key))
        fields = (names, engine.default_needs, self._policy_of(ttl), engine.values, "keys", engine.namespace, True, False, True, None)
        return tuple.__new__(Request, fields)  # as in Namespace.names

    def _policy_of(self, ttl: Duration) -> Policy:
        return self._policy if ttl is MISSING else policy_under(self._ttl_ms(ttl))

    def _wanted(self, keys: Iterable[str]) -> tuple[tuple[str, ...], Alike | list[Request]]:
        """Return the keys of `get_many`, each once, and what is wanted of them: alike, but for keys of memoized calls."""
        given = listed("keys", keys)
        if not _are_plain(given):
            requests = {key: self._keyed(key) for key in given}
            return tuple(requests), list(requests.values())
        namespace, distinct = self._engine.namespace, tuple(dict.fromkeys(given))
        values = values_each(namespace, distinct)
        return distinct, Alike(self._keyed(distinct[0]), values, lambda at: namespace.names(user_id(distinct[at])))

    def _puts(self, values: Mapping[str, object], ttl: Duration, tags: Iterable[str]) -> Puts | list[tuple[Request, object]]:
        """Return what `set_many` is to put: alike, but for keys of memoized calls."""
        if not isinstance(values, Mapping):
            msg = f"set_many() takes a mapping from keys to values, not {type(values).__name__}: {{'user:7': value}}."
            raise TypeError(msg)
        values, tags = dict(values), listed("tags", tags)
        keys, each = tuple(values), tuple(values.values())
        if not _are_plain(keys):
            return [(self._keyed(key, ttl, tags), value) for key, value in values.items()]
        namespace = self._engine.namespace
        wanted = Alike(self._keyed(keys[0], ttl, tags), values_each(namespace, keys), lambda at: namespace.names(user_id(keys[at])))
        return Puts(wanted, leases_each(namespace, keys), each)

    def _computed(self, key: str, compute: object, ttl: Any, tags: Iterable[str], stale_ttl: Duration) -> Request:
        """Return the request of `get_or_compute`, whose ttl may be a function of the value."""
        if not callable(compute):
            msg = f"get_or_compute() takes a function that makes the value, not {type(compute).__name__}: lambda: load(7), say."
            raise TypeError(msg)
        stale_ttl_ms = _capped(duration_ms(stale_ttl, what="stale_ttl"))
        policy = Policy(
            ttl_ms=MAX_TTL_MS if callable(ttl) else self._ttl_ms(ttl),
            stale_ttl_ms=stale_ttl_ms,
            ttl_of=_ttl_of(ttl) if callable(ttl) else None,
            refresh_wait_ms=_refresh_wait_ms(MISSING, stale_ttl_ms),
            early_refresh=True,
            jitter=JITTER,
        )
        return self._keyed(key, MISSING, tags)._replace(policy=policy)

    def _key_targets(self, keys: Iterable[str]) -> list[Target]:
        namespace = self._engine.namespace
        targets: list[Target] = []
        for key in keys:
            function = key.function if isinstance(key, Key) else None
            stamp = namespace.tag_of(function).key if function else None
            targets += key_targets(namespace, self._keyed(key).names, stamp)
        return targets

    def _tag_targets(self, tags: Iterable[str]) -> list[Target]:
        return [Target(None, self._engine.namespace.tag_of(tag).key) for tag in _checked_tags(tuple(tags))]

    def _lock_wanted(self, name: str, ttl: Duration, wait: Duration) -> Wanted:
        if not isinstance(name, str) or not name:
            kind = "''" if name == "" else type(name).__name__
            msg = f"the name of a lock is text of at least one character, not {kind}."
            raise ConfigurationError(msg)
        ttl_ms = _capped(duration_ms(ttl, what="ttl"))
        if not ttl_ms:
            msg = f"lock({name!r}, ttl=0) would be over before it began: ttl is how long a holder that died keeps others out, '30s' say."
            raise ConfigurationError(msg)
        wait_ms = WAIT_MS if wait is MISSING else duration_ms(wait, what="wait")
        return Wanted(name, lock_names(self._engine.namespace, name), ttl_ms, wait_ms)

    def _marked(self, tags: tuple[str, ...]) -> list[Tag]:
        if not tags:
            msg = "writing() needs the tags that the transaction writes under: writing('user:7')."
            raise ConfigurationError(msg)
        return [self._engine.namespace.tag_of(tag) for tag in _checked_tags(tags)]

    def _everything(self) -> list[Target]:
        return [Target(None, self._engine.namespace.tag.key)]


def _are_plain(keys: tuple[Any, ...]) -> bool:
    """Say whether these are an application's keys: not of memoized calls, not none, and nothing that is refused."""
    return {*map(type, keys)} == {str} and "" not in keys


def _checked_tags(tags: tuple[Any, ...]) -> tuple[str, ...]:
    for tag in tags:
        if not isinstance(tag, str) or not tag:
            kind = "''" if tag == "" else type(tag).__name__
            msg = f"a tag is text of at least one character, not {kind}: write f'user:{{user_id}}', say, and several one by one."
            raise ConfigurationError(msg)
    return tags


def _capped(ttl_ms: int) -> int:
    return min(ttl_ms, MAX_TTL_MS)


def _ttl_of(function: Callable[[Any], Duration]) -> Callable[[Any], int]:
    return lambda value: _capped(duration_ms(function(value), what="ttl"))


def _backoff_ms(backoff: Duration, stale_if_error_ms: int) -> int:
    if backoff is MISSING:
        return BACKOFF_MS if stale_if_error_ms else 0
    return _capped(duration_ms(backoff, what="backoff"))


def _refresh_wait_ms(refresh_wait: Duration | None, stale_ttl_ms: int) -> int | None:
    if refresh_wait is MISSING:
        return 0 if stale_ttl_ms else None
    if not stale_ttl_ms:
        msg = f"refresh_wait={refresh_wait!r} is for calls that find a stale result, and without stale_ttl= there is none: give both."
        raise ConfigurationError(msg)
    return None if refresh_wait is None else duration_ms(refresh_wait, what="refresh_wait")


def _positive_ms(duration: Duration, *, what: str) -> int:
    duration = duration_ms(duration, what=what)
    if not duration:
        msg = f"{what}=0 leaves no time to compute in: give more, or omit it."
        raise ConfigurationError(msg)
    return duration


def _negative(negative: Mapping[type[Exception], Duration]) -> tuple[tuple[type[Exception], int], ...]:
    if negative is MISSING:
        return ()
    if not isinstance(negative, Mapping):
        msg = f"negative={negative!r} must map classes of exceptions to how long they are kept: negative={{LookupError: '10s'}}."
        raise ConfigurationError(msg)
    for kind in negative:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            msg = f"negative={{{kind!r}: …}} must name classes of exceptions: negative={{LookupError: '10s'}}."
            raise ConfigurationError(msg)
    return tuple((kind, _capped(duration_ms(ttl, what=f"negative={{{kind.__name__}: …}}"))) for kind, ttl in negative.items())


def _not_yet(what: str) -> NotAvailable:
    return NotAvailable(f"{what} is not available in this version of afresh; the README lists what is.")
