"""A memoized function's record: its name, options and codec, and from a call's arguments to a request."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from afresh.codec.values import SignedPickle
from afresh.core.canonical import render
from afresh.core.canonical.rule import HEAP_TYPE
from afresh.core.commits import Behind
from afresh.core.keys import Key, Namespace, function_id
from afresh.core.policy import Policy
from afresh.core.ports import Codec
from afresh.core.reads import Hit, Request
from afresh.core.stamps import Needs, needs_of
from afresh.core.suggest import flag
from afresh.errors import ConfigurationError
from afresh.naming import name_of
from afresh.runtime.computing import Tasks, Threads
from afresh.runtime.engine import Engine
from afresh.runtime.surroundings import bypassed
from afresh.tags import TagTemplates, rendered_by
from afresh.wrapper import Generator, Spelling

__all__ = ["Function", "Options", "checked_name", "imitate", "is_coroutine_function", "refuse_uncacheable"]


class Options(NamedTuple):
    """What `memoize` was told, checked.

    Raises:
        ConfigurationError: for what cannot be, whatever the function.
    """

    policy: Policy
    tags: Iterable[str] | Callable[..., Iterable[str]] = ()
    key: Callable[..., object] | None = None
    ignore: tuple[str, ...] = ()
    name: str | None = None
    version: int | str = 0
    codec: Codec | SignedPickle | None = None
    near: bool = True
    share: bool = False
    capture: bool = True
    result_tags: Callable[[Any], Iterable[str]] | None = None
    reads_near: bool = True

    def checked(self) -> Options:
        """Return them, if they can be, whatever the function.

        Raises:
            ConfigurationError: for one that cannot.
        """
        if self.key is not None and not callable(self.key):
            msg = f"key={self.key!r} must be a function of the call's arguments, whose result stands for them: key=lambda user: user.id."
            raise ConfigurationError(msg)
        if self.result_tags is not None and not callable(self.result_tags):
            msg = f"result_tags={self.result_tags!r} must be a function of the result: result_tags=lambda user: [f'user:{{user.id}}']."
            raise ConfigurationError(msg)
        checked_name(self.name)
        for what in ("near", "share", "capture"):
            flag(what, getattr(self, what))
        if not isinstance(self.version, (int, str)):
            msg = f"version={self.version!r} must be a whole number or text: change it when the function's meaning changes."
            raise ConfigurationError(msg)
        return self


def checked_name(name: str | None) -> str | None:
    """Return the name of a function in keys, if it was given one.

    Raises:
        ConfigurationError: for what is no name.
    """
    if name is not None and not (isinstance(name, str) and name):
        msg = f"name={name!r} must be text of at least one character, which nothing else in the namespace is called."
        raise ConfigurationError(msg)
    return name


class Function:
    """One memoized function on one engine.

    Attributes:
        call: the function that calls through the cache.
        stands_in: the same, where it stands in the function's place, so that a class that it is put into would bind it.

    Raises:
        ConfigurationError: for options that do not fit the function.
    """

    def __init__(self, engine: Engine, fn: Callable[..., Any], options: Options) -> None:
        refuse_uncacheable(fn)
        self.engine = engine
        self.fn = fn
        self.options = options
        self.policy = options.policy
        self._result_tags = None if options.result_tags is None else self._tags_of_result
        self._near = options.near and options.reads_near
        self.name = options.name or name_of(fn, engine.function_names)
        self.identity = function_id(self.name, options.version)
        self.tag = Namespace.function_tag(self.identity)
        self.is_async = is_coroutine_function(fn)
        self.values = engine.codecs.returned_by(fn, options.codec).with_dictionaries(engine.dictionaries(self.identity))
        spelling = Spelling(fn)
        self._parameters = tuple(spelling.positions)
        self._binds_first = spelling.first is not None
        self._kept = self._keep(options.ignore)
        self._templates = None if callable(options.tags) else TagTemplates(options.tags, spelling.positions)
        self._function_tag = engine.namespace.tag_of(self.tag)
        self._has_fixed_tags = self._templates is not None and not self._templates.go_beyond(())
        constant = self._templates.constant if self._templates else ()
        self._needs = needs_of(engine.namespace, self._function_tag, constant)
        found_by = self._found_by(spelling)
        names = self._names() if found_by is None else self._names() | self._near_names()
        shown = getattr(fn, "__name__", "memoized")
        self._generator = Generator(spelling, shown, is_async=self.is_async, names=names, found_by=found_by)
        self.call, self.bind = self._generator.call(), self._generator.bind()
        self.stands_in: Callable[..., Any] | None = None

    @functools.cached_property
    def bound_call(self) -> Callable[..., Any] | None:
        """What calls through the cache for a handle that is bound to the first argument."""
        return self._generator.bound_call()

    def _found_by(self, spelling: Spelling) -> Sequence[int] | None:
        """Return the positions of the parameters that near hits are found by; None if their values do not say all about a call."""
        kept = range(len(self._parameters)) if self._kept is None else self._kept
        may = self.engine.near is not None and self._near and self.options.key is None
        tags_are_fixed = self._templates is not None and not self._templates.go_beyond(kept)
        return kept if may and tags_are_fixed and spelling.have_fixed(kept) else None

    def _near_names(self) -> dict[str, Any]:
        from afresh.runtime.near_calls import NearCalls  # without a near tier nobody needs that

        assert self.engine.near is not None
        return NearCalls(self.engine.near, self.request, self.values, self._kept).names(self.engine.tallies.of(self.name))

    def _names(self) -> dict[str, Any]:
        computing = (Tasks if self.is_async else Threads)(self.engine)
        return {
            "bypassed": bypassed,
            "fn": self.fn,
            "begin": computing.begin,
            "request": self.request,
            "Hit": Hit,
            "Behind": Behind,
            "behind": computing.behind,
            "partial": functools.partial,
            "abandon": computing.abandon,
            "commit": computing.commit,
        }

    def _keep(self, ignore: tuple[str, ...]) -> tuple[int, ...] | None:
        for name in ignore:
            if name not in self._parameters:
                msg = f"ignore={name!r} is no parameter of {self.name}. There are: {', '.join(self._parameters) or 'none'}."
                raise ConfigurationError(msg)
        if not ignore:
            return None
        return tuple(at for at, name in enumerate(self._parameters) if name not in ignore)

    def under(self, **changes: Any) -> Function:
        """Return the same function under changed options."""
        return Function(self.engine, self.fn, self.options._replace(name=self.name, **changes))

    def key(self, values: tuple[Any, ...]) -> Key:
        """Return the key of the call with these arguments."""
        return Key(self._id(values), self.tag)

    def _id(self, values: tuple[Any, ...]) -> str:
        if self.options.key is not None:
            args, kwargs = self._spelled(values)
            text = render((self.options.key(*args, **kwargs),), ("key=",))
        elif self._kept is None:
            text = render(values, self._parameters)
        else:
            text = render(tuple(values[at] for at in self._kept), tuple(self._parameters[at] for at in self._kept))
        return self.identity + text

    def _needs_of(self, values: tuple[Any, ...]) -> Needs:
        """Return what the call with these arguments needs, whose tags are its own."""
        if self._templates is None:
            args, kwargs = self._spelled(values)
            assert callable(self.options.tags)
            tags = rendered_by(self.options.tags, args, kwargs)
        else:
            tags = self._templates.render(values)
        return needs_of(self.engine.namespace, self._function_tag, tags)

    def request(self, values: tuple[Any, ...]) -> Request:
        """Return the request for the call with these arguments.

        Raises:
            ConfigurationError: if a class, in which it must not be, has bound it to the first of them.
        """
        if self.stands_in is not None and self._binds_first and type(values[0]).__flags__ & HEAP_TYPE:
            self._refuse_as_method(type(values[0]))
        engine = self.engine
        needs = self._needs if self._has_fixed_tags else self._needs_of(values)
        options = self.options
        names, namespace = engine.namespace.names(self._id(values)), engine.namespace
        kept = self._near, options.share, options.capture, self._result_tags
        return tuple.__new__(Request, (names, needs, self.policy, self.values, self.name, namespace, *kept))  # as in Namespace.names

    def _refuse_as_method(self, cls: type) -> None:
        owner = next((owner for owner in cls.__mro__ if any(member is self.stands_in for member in vars(owner).values())), None)
        if owner is not None:
            msg = (
                f"{self.name} was put into the class {owner.__qualname__}, on whose objects its invalidate() would not know which it is: "
                f"define it in the class, or call its first parameter self."
            )
            raise ConfigurationError(msg)

    def _tags_of_result(self, result: Any) -> tuple[str, ...]:
        assert self.options.result_tags is not None
        return rendered_by(self.options.result_tags, (result,), {}, what="result_tags")

    def _spelled(self, values: tuple[Any, ...]) -> tuple[list[Any], Mapping[str, Any]]:
        """Return the arguments as one calls with them."""
        from inspect import signature  # slow to import

        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for value, parameter in zip(values, signature(self.fn).parameters.values(), strict=True):
            if parameter.kind is parameter.VAR_POSITIONAL:
                args += value
            elif parameter.kind is parameter.VAR_KEYWORD:
                kwargs |= value
            elif parameter.kind is parameter.KEYWORD_ONLY:
                kwargs[parameter.name] = value
            else:
                args.append(value)
        return args, kwargs


def is_coroutine_function(fn: Callable[..., Any]) -> bool:
    """Say whether calling this gives a coroutine."""
    from inspect import iscoroutinefunction  # slow to import

    return iscoroutinefunction(fn) or iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004  its own colour


def imitate(handle: Any, fn: Callable[..., Any], name: str) -> None:
    """Make a handle pass for its function with whoever looks at functions: `inspect`, `help`, decorators, frameworks.

    Args:
        handle: an instance of a class whose `__call__` is of the function's colour.
        fn: the function.
        name: of the handle, if the function has none.
    """
    shown: dict[str, Any] = {"__name__": name, "__qualname__": name, "__annotations__": {}, "__defaults__": None, "__kwdefaults__": None}
    shown |= {each: getattr(fn, each) for each in (*functools.WRAPPER_ASSIGNMENTS, *shown) if hasattr(fn, each)}
    noted = {each: value for each, value in getattr(fn, "__dict__", {}).items() if not hasattr(type(handle), each)}
    vars(handle).update(noted | shown, __wrapped__=fn, __code__=type(handle).__call__.__code__)


def refuse_uncacheable(fn: object) -> None:
    """Refuse what is no function, and functions whose results cannot be kept.

    Raises:
        ConfigurationError: with the reason, and what to memoize instead.
    """
    kind = type(fn).__name__
    reason = None
    if isinstance(fn, (property, functools.cached_property)):
        reason = f"it is of type {kind}, not a function. Put @{kind} above @cache.memoize()"
    elif not callable(fn):
        reason = f"it is of type {kind}, not a function. Memoize the function that makes it"
    elif isinstance(fn, type):
        reason = "it is a class: its instances would be shared. Memoize a function that returns what you need of them"
    elif any(map(_generates, (fn, type(fn).__call__))):
        reason = "it is a generator: it can be consumed only once. Return a list"
    if reason is not None:
        msg = f"{getattr(fn, '__qualname__', fn)!r} cannot be memoized: {reason}."
        raise ConfigurationError(msg)


def _generates(fn: object) -> bool:
    from inspect import isasyncgenfunction, isgeneratorfunction  # slow to import

    return isgeneratorfunction(fn) or isasyncgenfunction(fn)
