"""Pairs of different functions that share their module and qualname, and what makes equal ones: for this process and others."""

from __future__ import annotations

import functools
import sys
import threading
from types import ModuleType

from tests.corner_cases.arguments import Tenant


def adder(n):
    def add(x):
        return x, repr(n)

    return add


def async_adder(n):
    async def add(x):
        return x, repr(n)

    return add


def lambdas():
    return (lambda x: (x, 1)), (lambda x: (x, 2))


def redefined():
    def version(x):
        return x, "first"

    first = version

    def version(x):
        return x, "second"

    return first, version


def async_redefined():
    async def version(x):
        return x, "first"

    first = version

    async def version(x):
        return x, "second"

    return first, version


def power(base, exponent):
    return base, exponent


async def async_power(base, exponent):
    return base, exponent


def wrapping(function):
    def wrapper(x):
        return function(x)

    return wrapper


def async_wrapping(function):
    async def wrapper(x):
        return await function(x)

    return wrapper


def two_levels(n):
    def outer():
        def inner(x):
            return x, n

        return inner

    return outer()


class Scaled(Tenant):
    def by(self, x):
        return x, self.name

    async def async_by(self, x):
        return x, self.name


def defaults():
    def make(n):
        def scaled(x, by=n):
            return x, by

        return scaled

    return make(1), make(2)


def in_two_modules(prefix=""):
    made = []
    for name in ("corner_cases_one", "corner_cases_other"):
        module = sys.modules[name] = ModuleType(name)
        exec(f"{prefix}def f(x): return x, {name!r}", vars(module))
        made.append(module.f)
    return tuple(made)


# What each pair differs in; both return their argument and something of their own.
PAIRS = {
    "closures over numbers": lambda: (adder(1), adder(2)),
    "closures over 1 and True": lambda: (adder(1), adder(True)),
    "closures over -0.0 and 0.0": lambda: (adder(-0.0), adder(0.0)),
    "closures over functions": lambda: (adder(len), adder(print)),
    "closures two levels deep": lambda: (two_levels(1), two_levels(2)),
    "lambdas on one line": lambdas,
    "redefinitions": redefined,
    "partials": lambda: (functools.partial(power, 2), functools.partial(power, 3)),
    "partials by keyword": lambda: (functools.partial(power, exponent=2), functools.partial(power, exponent=3)),
    "bound methods": lambda: (Scaled(1).by, Scaled(2).by),
    "wrappers": lambda: (wrapping(adder(1)), wrapping(adder(2))),
    "two modules": in_two_modules,
    "coroutine functions: closures": lambda: (async_adder(1), async_adder(2)),
    "coroutine functions: redefinitions": async_redefined,
    "coroutine functions: partials": lambda: (functools.partial(async_power, 2), functools.partial(async_power, 3)),
    "coroutine functions: bound methods": lambda: (Scaled(1).async_by, Scaled(2).async_by),
    "coroutine functions: wrappers": lambda: (async_wrapping(async_adder(1)), async_wrapping(async_adder(2))),
    "coroutine functions: two modules": lambda: in_two_modules("async "),
}

# What differs has no identity, or may change: they share nothing, not even with themselves in other processes.
WITHOUT_IDENTITY = {
    "closures over lists": lambda: (adder([1]), adder([2])),
    "closures over equal lists": lambda: (adder([]), adder([])),
    "closures over locks": lambda: (adder(threading.Lock()), adder(threading.Lock())),
    "closures over objects": lambda: (adder(object()), adder(object())),
}


def keys():
    """Return the key of a call of each function, in the order of the table: for other processes to compare."""
    from afresh import Cache

    cache = Cache("memory://", namespace="t-keys")
    return [f"{name}: {cache.memoize()(function).key(1)}" for name, make in PAIRS.items() for function in make()]
