"""Functions, classes, modules and generic types as arguments."""

from __future__ import annotations

import collections.abc
import enum
import functools
import json
import math
import pathlib
import types
import typing

import pytest

from afresh.core.canonical import digest, encode, render
from afresh.errors import UnkeyableArgument

T = typing.TypeVar("T")
U = typing.TypeVar("U")
UserId = typing.NewType("UserId", int)


def module_level(x, y=1):
    return x + y


async def async_level(x, y=1):
    return x + y


def adder(n):
    def add(x):
        return x + n

    return add


def decorated(k):
    def decorate(function):
        @functools.wraps(function)
        def inner(*args):
            return function(*args) * k

        return inner

    return decorate


@decorated(2)
def twice(x):
    return x


class Account:
    def __init__(self, number):
        self.number = number

    def __cache_key__(self):
        return self.number

    def balance(self):
        return self.number

    @classmethod
    def kind(cls):
        return cls

    @staticmethod
    def unit():
        return 1


class Premium(Account):
    pass


class Nameless:
    def method(self):
        return 1


def from_source(source, name="f"):
    scope = {"__name__": __name__}
    exec(source, scope)
    return scope[name]


# --- functions -----------------------------------------------------------------------------------------------------
def test_functions_differ_by_name_code_defaults_closure_and_attributes():
    marked, plain = adder(1), adder(1)
    marked.mark = 1
    default_1, default_2, default_1_0 = (from_source(f"def f(x={x}): return x") for x in ("1", "2", "1.0"))
    keyword_1, keyword_2 = (from_source(f"def f(*, x={x}): return x") for x in ("1", "2"))
    distinct = [
        *(module_level, async_level, twice, twice.__wrapped__, decorated(3)(twice.__wrapped__), adder, plain, marked, adder(2), adder(1.0)),
        adder(None),
        *(lambda x: x, lambda x: x + 1, lambda x: x + 2, lambda y: y + 1, lambda: None, lambda *x: x, lambda **x: x),
        *(default_1, default_2, default_1_0, keyword_1, keyword_2, from_source("def f(x): return x")),
        *(from_source("def f(x): return (lambda: 1)"), from_source("def f(x): return (lambda: 2)")),
        *(from_source(f"def f(x): return x.{name}") for name in "ab"),
        *(from_source("def f(x):\n try: return x\n except OSError: pass"), from_source("def f(x):\n try: return x\n except: pass")),
        *(from_source("async def f(x): return x"), from_source("def f(x, /): return x"), from_source("def f(x):\n yield x")),
    ]  # fmt: skip

    assert len(set(map(encode, distinct))) == len(distinct)


def test_equal_functions_have_one_encoding_wherever_they_stand():
    assert encode(adder(1)) == encode(adder(1))
    assert encode(from_source("def f(x): return x + 1")) == encode(from_source("\n\n# moved\ndef f(x):\n    return x + 1"))
    assert encode(decorated(2)(twice.__wrapped__)) == encode(twice)


def test_a_constant_set_in_code_does_not_depend_on_its_order():
    one, other = (from_source(f"def f(x): return x in {{{items}}}") for items in ("0, 8, 16", "16, 8, 0"))

    assert encode(one) == encode(other)


def test_functions_of_two_modules_differ():
    here, there = from_source("def f(): pass"), from_source("def f(): pass")
    there.__module__ = "elsewhere"

    assert encode(here) != encode(there)


def test_a_function_may_refer_to_itself_and_others():
    def make(step):
        def even(n):
            return n == 0 or odd(n - step)

        def odd(n):
            return n != 0 and even(n - step)

        return even, odd

    assert encode(make(1)[0]) == encode(make(1)[0])
    assert len(set(map(encode, (*make(1), *make(2))))) == 4


def test_a_closure_over_what_has_no_identity_is_refused():
    with pytest.raises(UnkeyableArgument) as refused:
        render((adder([object()]),), ("f",))

    assert refused.value.argument == "f.closure['n'][0]"


def test_a_variable_that_is_not_yet_there_is_left_out():
    def outer(*, fill):
        def inner():
            return later

        if fill:
            later = 1
        return inner

    assert encode(outer(fill=True)) != encode(outer(fill=False))


def test_decorators_do_not_double_the_work_each():
    function = module_level
    for k in range(40):
        function = decorated(k)(function)

    assert len(digest(function)) == 16


def test_partials_cached_functions_and_descriptors():
    tagged = functools.partial(int, base=2)
    tagged.note = 1
    distinct = [
        *(functools.partial(int), functools.partial(int, base=2), functools.partial(int, "1"), functools.partial(float), tagged, int),
        *(functools.lru_cache(module_level), functools.lru_cache(async_level), module_level),
        *(staticmethod(module_level), classmethod(module_level), property(module_level), property(None, module_level)),
        *(Account(1).balance, Account(2).balance, Premium(1).balance, Account.balance, Account.kind, Premium.kind, Account.unit),
        *(len, max, math.sqrt, json.dumps, [].append, [1].append, "a".upper, "b".upper, dict.fromkeys, collections.OrderedDict.fromkeys),
        *(str.upper, bytes.upper, str.lower, int.__add__, (1).__add__, (2).__add__, (1).__sub__, vars(dict)["fromkeys"]),
        *(types.FunctionType.__code__, types.FunctionType.__closure__, module_level.__code__, async_level.__code__),
        module_level.__code__.replace(co_exceptiontable=b"1"),
    ]  # fmt: skip

    assert len(set(map(encode, distinct))) == len(distinct)


def test_a_method_needs_an_instance_with_an_identity():
    assert encode(Account(1).balance) == encode(Account(1).balance)
    with pytest.raises(UnkeyableArgument) as refused:
        render((Nameless().method,), ("callback",))
    assert refused.value.argument == "callback.self"


# --- classes and modules -------------------------------------------------------------------------------------------
def test_classes_are_their_names():
    distinct = [int, bool, str, type, object, type(None), types.FunctionType, Account, Premium, enum.Enum, collections.OrderedDict]

    assert len(set(map(encode, distinct))) == len(distinct)
    assert encode(Account) == b"os8:builtinss4:type2:s6:modules8:qualname" + encode(__name__) + b"s7:Account"


def make_class(rate, base=object, **body):
    class Tax(base):
        """What is due."""

        __slots__ = ("paid",)
        percent = rate

        def due(self, amount):
            return Tax, amount * rate

        @classmethod
        def make(cls):
            return super().__new__(cls)

        @staticmethod
        def unit():
            return rate

        @property
        def name(self):
            return __class__

    for name, value in body.items():
        setattr(Tax, name, value)
    return Tax


def test_classes_made_in_a_function_are_what_their_bodies_say():
    distinct = [make_class(1), make_class(2), make_class(1, Premium), make_class(1, extra=1), make_class(1, due=None)]

    assert len(set(map(encode, distinct))) == len(distinct)
    assert encode(make_class(1)) == encode(make_class(1))


def test_a_class_made_in_a_function_that_holds_what_has_no_identity_is_refused():
    with pytest.raises(UnkeyableArgument) as refused:
        render((make_class(1, lock=object()),), ("cls",))

    assert refused.value.argument == "cls.__dict__['lock']"


def test_modules_are_their_names():
    assert encode(math) == encode(math)
    assert encode(math) != encode(json)
    with pytest.raises(UnkeyableArgument, match="no import leads to it under the name 'math'"):
        encode(types.ModuleType("math"))


# --- generic types -------------------------------------------------------------------------------------------------
def test_generic_types_differ_by_origin_arguments_and_metadata():
    distinct = [
        *(list, list[int], list[bool], list[str], list[list[int]], set[int], dict[str, int], dict[int, str], typing.List[int]),  # noqa: UP006
        *(tuple[int, ...], tuple[int], tuple[()], *tuple[int, ...], typing.Optional[int], int | str, int | str | None),  # noqa: UP045
        *(typing.Any, typing.Union, typing.NoReturn, T, U, UserId, list[T], list[typing.Any], typing.Generic[T]),
        *(typing.Literal[1], typing.Literal[True], typing.Literal["1"], typing.Annotated[int, "a"], typing.Annotated[int, "b"]),
        *(typing.Callable[[int], str], typing.Callable[..., str], collections.abc.Callable[[int], str], type[int], typing.ClassVar[int]),
    ]  # fmt: skip

    assert len(set(map(encode, distinct))) == len(distinct)


def test_unions_are_their_members_in_any_order_and_spelling():
    spellings = [int | None, None | int, typing.Optional[int], typing.Union[None, int]]  # noqa: UP007, UP045

    assert len(set(map(encode, spellings))) == 1


def test_what_its_name_does_not_lead_to_is_refused():
    stray = typing.TypeVar("stray")

    with pytest.raises(UnkeyableArgument, match=r"stray does not lead to it"):
        encode(list[stray])


def test_a_class_that_moved_keeps_its_name():
    assert b"os7:pathlibs13:PurePosixPath" in encode(pathlib.PurePosixPath("a"))
    assert b"os6:typings5:Union" in encode(int | str)


class Speaker:
    def __init__(self, name):
        self.name = name

    def __cache_key__(self):
        return self.name


def spoken_for(name):
    def function(x):
        return x

    function.__cache_key__ = Speaker(name).__cache_key__
    return function


def test_a_function_is_known_as_the_object_whose_key_it_carries():
    assert encode(spoken_for("a")) == encode(Speaker("a")) != encode(spoken_for("b"))


def test_a_decorator_around_such_a_function_is_another_one():
    inner = spoken_for("a")

    @functools.wraps(inner)
    def outer(x):
        return -inner(x)

    @functools.wraps(outer)
    def outermost(x):
        return -outer(x)

    assert outer.__cache_key__ is outermost.__cache_key__ is inner.__cache_key__
    assert len({encode(inner), encode(outer), encode(outermost)}) == 3
