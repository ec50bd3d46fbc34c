"""What a handle is to Python: a function, or an object that binds to instances as functions do.

A handle has the verbs, such as `invalidate`. What was written in a class has it as a descriptor: ``shop.price`` is the handle bound to that
shop, and so are its verbs. In place of any other function stands a function again, the generated one, which carries its handle's verbs as
attributes, as those of `functools.lru_cache` and `functools.singledispatch` do: Python calls functions without a detour, in time and on the
stack. But a function that is put into a class binds to objects without a word to its attributes, and ``shop.price.invalidate(7)`` would
know of no shop. So a function whose first parameter is called as a method's is a descriptor wherever it is written, and one that was put
into a class all the same refuses the objects of that class. See `Function.request`.
"""
# ruff: noqa: SLF001  what is private to handles is so to this module: their public names are the verbs

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from operator import methodcaller
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from afresh.core.keys import Key
from afresh.core.reads import Request
from afresh.core.units import Duration, duration_ms
from afresh.core.writes import Target, key_targets
from afresh.errors import ConfigurationError
from afresh.function import Function, imitate

if TYPE_CHECKING:
    from inspect import Signature

__all__ = ["Handle", "Kind", "Read", "as_function", "made", "may_be_method"]

Read: TypeAlias = Literal["near", "redis"]
H = TypeVar("H", bound="Handle")


class Handle:
    """What both colours share: the function's record, what it is bound to, and what passes for a function."""

    # Slots, since `functools.wraps` around a handle copies what is in its `__dict__`.
    __slots__ = ("__dict__", "__self__", "_binds_to", "_function", "_made_from", "_method", "_stands_in")

    __func__: Any  # of a bound handle's class
    __self__: Any
    _kind: type[Handle]  # of the handle's class, which is its own
    _binds_to: type | None  # the class of handles that are bound to an instance; made when the first is
    _made_from: tuple[Any, dict[str, Any]] | None  # what `options` was called on, and with
    _method: type | None  # classmethod or staticmethod, where that was memoized
    _stands_in: Callable[..., Any] | None  # the function that carries the verbs

    def __init__(self, function: Function, method: type | None) -> None:
        self._function, self._method = function, method
        self._made_from = self._binds_to = self._stands_in = None
        imitate(self, function.fn, function.name)

    @property
    def _bound(self) -> tuple[Any, ...]:
        """What the handle is bound to, if it is."""
        return ()

    def __repr__(self) -> str:
        return f"<memoized {self._function.name}{' bound' if self._bound else ''}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Handle) or self._function is not other._function:
            return False
        return [*map(id, self._bound)] == [*map(id, other._bound)]

    def __hash__(self) -> int:
        return hash((self._function, *map(id, self._bound)))

    def __cache_key__(self) -> tuple[Any, ...]:
        """As an argument, be known by the function's id in its namespace, and by what it is bound to."""
        return self._function.engine.namespace.name, self._function.identity, *self._bound

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickle by name, as functions are."""
        made_from = (self.__func__ if self._bound else self)._made_from
        if made_from is not None:
            handle, options = made_from
            return methodcaller("options", **options), (handle._bind(*self._bound) if self._bound else handle,)
        if self._bound:
            return getattr, (self._bound[0], self._function.fn.__name__)
        return str(self._function.fn.__qualname__)

    @property
    def tag(self) -> str:
        """The function's implicit tag: every entry of it depends on it, and others may name it in `tags`."""
        return self._function.tag

    def _bind(self, me: Any) -> Any:
        """Return the handle bound to an object. Every call of a method comes by."""
        bound: Any = _new(self._binds_to or self._binding())
        bound.__self__ = me
        return bound

    def _binding(self) -> type:
        """Return the class of handles that are bound to an object. Its `__call__` is made for the signature as well."""
        if self._binds_to is None:
            shown = vars(self)
            own: dict[str, Any] = {
                name: shown[name] for name in ("__doc__", "__module__", "__annotations__") if name in shown
            }  # classes have their own
            own |= {"__func__": property(lambda _: self), "_function": self._function, "_method": self._method, "_stands_in": None}
            own["__call__"] = self._function.bound_call or (_call_async if self._function.is_async else _call)
            self._binds_to = type(self._kind.__name__, (self._kind,), _BOUND | own)
        return self._binds_to

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        return self._function.key(self._values(args, kwargs))

    def _values(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        return self._function.bind(*self._bound, *args, **kwargs)

    def _request(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request:
        return self._function.request(self._values(args, kwargs))

    def _targets(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Target]:
        namespace = self._function.engine.namespace
        return key_targets(namespace, namespace.names(self._key(args, kwargs)), namespace.tag_of(self.tag).key)

    def _target_all(self) -> Target:
        return Target(None, self._function.engine.namespace.tag_of(self.tag).key)

    def _under(self, *, read: Read | None, wait: Duration | None) -> Any:
        if self._bound:
            return self.__func__._under(read=read, wait=wait)._bind(*self._bound)
        if read not in {None, "near", "redis"}:
            msg = f"read={read!r} is unknown: 'near' or 'redis'."
            raise ConfigurationError(msg)
        function, itself = self._function, self._stands_in or self
        changes: dict[str, Any] = {} if read is None else {"reads_near": read == "near"}
        if wait is not None:
            changes["policy"] = function.policy._replace(wait_ms=duration_ms(wait, what="wait"))
        if not changes:
            return itself
        again = made(self._kind, function.under(**changes), self._method)
        again._made_from = itself, {"read": read, "wait": wait}
        return again


class Kind(type):
    """The class of handles of one colour, to which functions that carry their verbs belong as well."""

    def __instancecheck__(cls, instance: Any) -> bool:
        """Say so of handles and of those functions; not of a decorator's around them, to which `functools.wraps` copied the verbs."""
        if not isinstance(instance, FunctionType):
            return super().__instancecheck__(instance)
        handle = getattr(vars(instance).get("stats"), "__self__", None)
        return handle is not None and super().__instancecheck__(handle) and handle._stands_in is instance


_new = object.__new__


def _signature(bound: Handle) -> Signature:
    from inspect import signature  # slow to import

    return signature(MethodType(bound._function.fn, *bound._bound))


def _shared(bound: Handle, name: str) -> Any:
    """Let what is set on the function show on its methods. Not before it is looked for: it costs as much as a look into the near tier."""
    if vars(bound) is vars(bound.__func__):
        raise AttributeError(f"{bound!r} has no attribute {name!r}", name=name, obj=bound)
    bound.__dict__ = bound.__func__.__dict__
    return getattr(bound, name)


def _call(bound: Handle, /, *args: Any, **kwargs: Any) -> Any:
    return bound.__func__(bound.__self__, *args, **kwargs)


async def _call_async(bound: Handle, /, *args: Any, **kwargs: Any) -> Any:
    return await bound.__func__(bound.__self__, *args, **kwargs)


def _init(bound: Handle, _: Handle, me: object) -> None:
    """Make a bound handle as methods are made, of function and object: `weakref.WeakMethod` and `copy.deepcopy` do."""
    bound.__self__ = me


_BOUND = {
    "__init__": _init,
    "__getattr__": _shared,
    "__signature__": property(_signature),
    "_bound": property(lambda bound: (bound.__self__,)),
}


def _get(handle: Any, obj: Any, _: type | None = None, /) -> Any:
    """Bind to an instance, as functions do. Every call of a method comes by, so it does itself what `Handle._bind` does."""
    if obj is None:
        return handle
    bound: Any = _new(handle._binds_to or handle._binding())
    bound.__self__ = obj
    return bound


def _get_of_class(handle: Any, obj: Any, owner: type | None = None, /) -> Any:
    """Bind to the class, as class methods do."""
    return handle._bind(owner or type(obj))


def _get_itself(handle: Any, _: Any, __: type | None = None, /) -> Any:
    """Bind to nothing, as static methods do."""
    return handle


_GETS: Mapping[type | None, Callable[..., Any]] = {None: _get, classmethod: _get_of_class, staticmethod: _get_itself}


def made(kind: type[H], function: Function, method: type | None = None) -> H:
    """Return a handle, of a class of its own, whose `__call__` is the call generated for the function's signature.

    Args:
        kind: the class with the verbs.
        function: the record.
        method: `classmethod` or `staticmethod`, where that was memoized.
    """
    own = {"__call__": staticmethod(function.call), "__get__": _GETS[method], "_kind": kind}
    handle: H = type(kind.__name__, (kind,), own)(function, method)
    return handle


def as_function(handle: Handle) -> Callable[..., Any]:
    """Return the generated call, which carries the handle's verbs, to stand in the function's place."""
    function = handle._function
    call = functools.update_wrapper(function.call, function.fn)
    verbs = [name for name in dir(handle._kind) if not name.startswith("_")]
    vars(call).update({name: getattr(handle, name) for name in ("__cache_key__", *verbs)})
    handle._stands_in = function.stands_in = call
    return call


def may_be_method(fn: Any) -> bool:
    """Say whether this was written in a class, takes its first argument as methods do, or is anything else than a function."""
    if not isinstance(fn, FunctionType):
        return True
    from inspect import signature  # slow to import

    around = fn.__qualname__.rpartition(".")[0]
    first = next(iter(signature(fn).parameters.values()), None)
    is_in_class = bool(around) and not around.endswith("<locals>")
    return is_in_class or (first is not None and (first.name in {"self", "cls"} or first.kind is first.VAR_POSITIONAL))
