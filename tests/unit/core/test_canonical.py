"""The bytes of the encoding, the text of a key, and what happens to arguments that cannot be one."""

from __future__ import annotations

import hashlib
import math
import struct
import tracemalloc

import pytest

from afresh.core.canonical import digest, encode, render
from afresh.errors import UnkeyableArgument

SIGNALLING_NAN = struct.unpack("<d", bytes.fromhex("010000000000f0ff"))[0]

# Keys on servers are made of these: a change here makes every cache cold and needs an entry in the change log.
GOLDEN = {
    "None": (None, b"n"),
    "True": (True, b"T"),
    "False": (False, b"F"),
    "zero": (0, b"i0;"),
    "int": (-255, b"i-ff;"),
    "wide int": (2**70, b"i400000000000000000;"),
    "float": (1.5, b"f\0\0\0\0\0\0\xf8\x3f"),
    "negative zero": (-0.0, b"f\0\0\0\0\0\0\0\x80"),
    "nan": (-math.nan, b"f\0\0\0\0\0\0\xf8\x7f"),
    "signalling nan": (SIGNALLING_NAN, b"f\0\0\0\0\0\0\xf8\x7f"),
    "complex": (complex(0.0, -0.0), b"c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80"),
    "complex nan": (complex(-math.nan, 1.5), b"c\0\0\0\0\0\0\xf8\x7f\0\0\0\0\0\0\xf8\x3f"),
    "str": ("grün", b"s4:gr\xc3\xbcn"),
    "lone surrogate": ("\ud800", b"s1:\xed\xa0\x80"),
    "bytes": (b"a:\0", b"b3:a:\0"),
    "bytearray": (bytearray(b"a"), b"B1:a"),
    "tuple": ((1, "a"), b"t2:i1;s1:a"),
    "list": ([1, []], b"l2:i1;l0:"),
    "set": ({"b", 10, "a"}, b"e3:ia;s1:as1:b"),
    "frozenset": (frozenset({2, 1}), b"E2:i1;i2;"),
    "dict": ({"b": [1], "a": None, 3: 4}, b"d3:i3;s1:as1:bi4;nl1:i1;"),
    "object": (range(1, 5, 2), b"os8:builtinss5:range3:s5:starts4:steps4:stopi1;i2;i5;"),
}


@pytest.mark.parametrize(("value", "encoding"), GOLDEN.values(), ids=GOLDEN)
def test_bytes_are_those_of_the_wire_format(value, encoding):
    assert encode(value) == encoding


def test_a_digest_is_the_blake2b_of_the_encoding():
    value = {"a": [1, (2.5, {b"x"})]}

    assert digest(value) == hashlib.blake2b(encode(value), digest_size=16).digest()
    assert digest(7).hex() == "a839074902a08a481430ac4c7b413ab6"


# --- the text of a key ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((), ":"),
        (("",), ":''"),
        ((7, "en", None, True, 1.5), ":7,'en',None,True,1.5"),
        ((-0.0, 0.0, 1e100, False), ":-0.0,0.0,1e+100,False"),
        (("user@example.org/a+b_c.d-e",), ":'user@example.org/a+b_c.d-e'"),
        (("a" * 77,), ":'" + "a" * 77 + "'"),
    ],
)
def test_short_plain_arguments_are_readable(values, text):
    assert render(values, tuple("abcdefg"[: len(values)])) == text


DIGESTED = [
    *("a" * 78, "a" * 10**6, "{", "}", "a:b", "100%", "a b", "a\n", "a,b", "it's", 'a"b', "grün", "１", "\ud800", "\0"),
    *(10**40, -(10**40), 10**5000, math.nan, math.inf, 1j, b"a", (1,), [1]),
]


def test_all_else_becomes_a_digest_of_the_tuple_of_arguments():
    for value in DIGESTED:
        assert render((value,), ("a",)) == "#" + digest((value,)).hex()


def test_a_digest_covers_all_arguments_in_order():
    assert render((1, [2]), ("a", "b")) == "#" + digest((1, [2])).hex()
    assert render((1, [2]), ("a", "b")) != render(([2], 1), ("a", "b"))


def test_subclasses_of_scalars_are_not_mistaken_for_them():
    class Number(int):
        pass

    class Text(str):
        __slots__ = ()

    assert render((Number(7),), ("a",)) not in {render((7,), ("a",)), render(([7],), ("a",))}
    assert render((Text("x"),), ("a",)) != render(("x",), ("a",))


def test_hostile_strings_cannot_spell_other_arguments():
    calls = [("a','b",), ("a", "b"), ("a,b",), ("'a'",), ("a",), ("7",), (7,), ("#" + "0" * 32,), ("None",), (None,), ("", ""), ("",), ()]

    assert len({render(call, ("x",) * len(call)) for call in calls}) == len(calls)


# --- size and shape ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "large",
    [bytes(1 << 26), bytearray(1 << 26), "x" * (1 << 26), memoryview(bytes(1 << 26)), memoryview(bytes(1 << 27))[::2]],
    ids=["bytes", "bytearray", "str", "memoryview", "sliced memoryview"],
)
def test_a_large_argument_is_hashed_in_bounded_memory(large):
    tracemalloc.start()
    try:
        render((large,), ("blob",))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 1 << 23


def test_text_beyond_a_chunk_is_encoded_as_if_at_once():
    text = "añ\U0001f600\ud800" * 300_000

    assert encode(text) == b"s1200000:" + text.encode("utf-8", "surrogatepass")


def test_a_huge_int_is_encoded_in_linear_time():
    assert encode(10**100_000) != encode(10**100_000 + 1)


def test_nesting_has_no_limit_of_its_own():
    def nested(depth):
        value = []
        for _ in range(depth):
            value = [value]
        return value

    assert encode(nested(10_000)) == b"l1:" * 10_000 + b"l0:"
    with pytest.raises(UnkeyableArgument, match="nested deeper than"):
        digest(nested(140_000), "tree")


def test_shared_references_are_encoded_like_copies():
    shared = [1]

    assert encode([shared, shared, {"a": shared}]) == encode([[1], [1], {"a": [1]}])


def test_what_contains_itself_is_refused_where_the_circle_closes():
    looped: list[object] = [1]
    looped.append({"back": looped})
    pair: dict[str, object] = {}
    pair["other"] = [pair]

    with pytest.raises(UnkeyableArgument, match="contains itself") as refused:
        digest((0, looped), "args")
    assert refused.value.argument == "args[1][1]['back']"
    with pytest.raises(UnkeyableArgument, match="contains itself") as refused:
        render((pair,), ("pair",))
    assert refused.value.argument == "pair['other'][0]"


def test_what_contains_itself_through_a_set_is_refused():
    class Node:
        def __cache_key__(self):
            return frozenset({self})

    with pytest.raises(UnkeyableArgument, match="contains itself, or nests sets"):
        digest(Node(), "node")


# --- refusals ------------------------------------------------------------------------------------------------------
REFUSED = {
    "x": object(),
    "x[1]": [1, object()],
    "x['a'][1]": {"a": {1: object()}},
    "x[tuple]": {(1, 2): object()},
    "x['" + "k" * 39 + "]": {"k" * 100: object()},
    "x{element}[1]": {1, (2, object())},
    "x{key}[1]": {(2, object()): 1},
    "x[1][1][2]": ([0], [0, [1, [2], object()]]),
}


@pytest.mark.parametrize(("path", "value"), REFUSED.items(), ids=REFUSED)
def test_a_refusal_names_the_path_the_type_and_the_remedies(path, value):
    with pytest.raises(UnkeyableArgument) as refused:
        render((1, value), ("first", "x"))

    assert refused.value.argument == path
    assert refused.value.type_name == "object"
    assert all(remedy in str(refused.value) for remedy in ("ignore=", "key=", "__cache_key__"))


def test_two_keys_that_look_alike_are_refused():
    with pytest.raises(UnkeyableArgument, match="two of its keys cannot be told apart"):
        digest({math.nan: 1, -math.nan: 2}, "odds")


class Meddler:
    def __init__(self, meddle):
        self.meddle = meddle

    def __cache_key__(self):
        self.meddle()
        return 0


def test_what_changes_while_its_key_is_made_is_refused():
    mapping: dict[object, object] = {}
    mapping |= {"a": Meddler(lambda: mapping.update(b=1)), "z": 2}
    items: list[object] = []
    items += [Meddler(items.clear), 2]
    members: set[object] = set()
    members |= {Meddler(lambda: members.add(1)), 2}

    for value in (mapping, items, members):
        with pytest.raises(UnkeyableArgument, match="changed while") as refused:
            digest([value], "x")
        assert refused.value.argument == "x[0]"


def test_an_exception_of_the_users_own_method_passes():
    def fail():
        raise LookupError("no id yet")

    with pytest.raises(LookupError, match="no id yet"):
        digest([Meddler(fail)])
