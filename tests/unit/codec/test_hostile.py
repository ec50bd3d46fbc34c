"""Bytes that no encoder of ours wrote: a value or `UndecodablePayload`, in bounded memory, and never a crash."""

from __future__ import annotations

import resource
import subprocess
import sys
import tracemalloc

import ormsgpack
import pytest
from hypothesis import given, settings, strategies as st

from afresh.codec.kinds import KINDS
from afresh.codec.msgpack import MsgpackCodec
from afresh.errors import UndecodablePayload
from tests.unit.codec.models import Callback, Color, Pair, Point
from tests.unit.codec.test_msgpack import EXAMPLES, values

codec = MsgpackCodec()
KIND_CODES = [kind.code for kind in KINDS]


def decode(payload: bytes) -> object:
    """Decode; refuse any exception but the one that is allowed."""
    try:
        return codec.decode(payload)
    except UndecodablePayload as error:
        return error


def headed(code: int, *parts: object) -> bytes:
    return ormsgpack.packb([ormsgpack.Ext(code, b""), *parts], option=ormsgpack.OPT_NON_STR_KEYS)


@given(st.binary(max_size=200))
def test_random_bytes_decode_or_are_refused(payload: bytes) -> None:
    decode(payload)
    decode(b"\x92\xc7\x00" + payload)


@settings(max_examples=400)
@given(st.one_of(values, st.sampled_from(EXAMPLES)), st.data())
def test_mutated_payloads_decode_or_are_refused(value: object, data: st.DataObject) -> None:
    payload = bytearray(codec.encode(value))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(payload)))
        length = data.draw(st.integers(0, 8))
        payload[start : start + length] = data.draw(st.binary(max_size=8))

    decode(bytes(payload))


parts = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=20) | st.sampled_from(
        ["", "a", "1e999999999", "<U9", "|O", "(((", "2024-01-01", "../../etc/passwd", "list", "9" * 5_000, "fe80::%1/64", "V8", "<i8"]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=1_000)
@given(st.sampled_from([1, 2, 3, 4, 5, 127, *KIND_CODES]), st.lists(parts, max_size=4))
def test_kinds_with_parts_of_any_type_decode_or_are_refused(code: int, given_parts: list[object]) -> None:
    decode(headed(code, *given_parts))


@given(st.sampled_from([Point, Pair, Color, Callback]), st.lists(parts, max_size=3))
def test_classes_with_parts_of_any_type_decode_or_are_refused(cls: type, given_parts: list[object]) -> None:
    layout = codec._classes.named(f"{cls.__module__}:{cls.__qualname__}", codec._classes._layout(cls).fingerprint)

    decode(headed(4, [layout.name, layout.fingerprint], *given_parts))


@pytest.mark.parametrize("value", EXAMPLES, ids=[f"{type(value).__name__}-{number}" for number, value in enumerate(EXAMPLES)])
def test_truncated_payloads_are_refused(value: object) -> None:
    payload = codec.encode(value)
    for length in {0, 1, len(payload) // 2, len(payload) - 1}:
        if length < len(payload):
            assert isinstance(decode(payload[:length]), UndecodablePayload)


RANGE, NETWORK = ormsgpack.Ext(21, b""), ormsgpack.Ext(59, b"")
POINT = ["tests.unit.codec.models:Point", codec._classes._layout(Point).fingerprint]

BOMBS = {
    "arrays": b"\x91" * 1_000_000,
    "maps": b"\x81\xa1a" * 300_000,
    "tuples": b"\x92\xc7\x00\x10" * 300_000 + b"\xc0",
    "tuples that end": b"\x92\xc7\x00\x10" * 500 + b"\xc0",
    "keys": b"\x81" + b"\x91" * 100_000,
    "an array of 4 G": b"\xdd\xff\xff\xff\xff",
    "arrays of 4 G": b"\xdd\xff\xff\xff\xff" * 1_000,
    "a map of 4 G": b"\xdf\xff\xff\xff\xff\xa1a\xc0",
    "text of 4 G": b"\xdb\xff\xff\xff\xff",
    "bytes of 4 G": b"\xc6\xff\xff\xff\xff",
    "an extension of 4 G": b"\xc9\xff\xff\xff\xff\x10",
    "a bytearray of a size": headed(19, 2**40),
    "an array of a shape": headed(64, "<i8", [2**40], b""),
    "an array over nothing": headed(64, "<i8", [2**40], None),
    "items of no size": headed(64, "<U0", [2**40], b""),
    "objects": headed(64, "|O", [1], b"\1" * 8),
    "no code points": headed(64, "<U1", [1], b"\xff" * 4),
    "a power of a fraction": headed(41, "1e999999999", None),
    "a power of one fraction": headed(41, "1e999999999"),
    "an array of a number": headed(29, "d", 2**40),
    "an array of a range": headed(29, "d", [RANGE, 0, 2**40, 1]),
    "a deque of a range": headed(25, [RANGE, 0, 2**40, 1], None),
    "a Counter of a network": headed(27, [NETWORK, "::/0"]),
    "an OrderedDict of a range": headed(26, [RANGE, 0, 2**40, 1]),
    "a defaultdict of a network": headed(28, "list", [NETWORK, "::/0"]),
    "an array of the shape of a range": headed(64, "<i8", [RANGE, 0, 2**40, 1], b""),
    "bytes of a range": headed(2, [RANGE, 0, 255, 1]),
    "the state of a network": headed(4, POINT, [NETWORK, "::/0"]),
    "a deep pattern": headed(30, "(" * 50_000, 0),
    "a zone that is a path": headed(37, "../../../etc/passwd"),
    "a date that is none": headed(32, "2024-02-30"),
    "an extension that heads nothing": b"\xc7\x00\x10",
    "a head in the middle": b"\x92\x01\xc7\x00\x10",
    "an unknown head": b"\x91\xc7\x00\x7f",
    "a head with bytes": b"\xd4\x10\x00",
    "an instance of nothing": headed(4),
    "a class by a number": headed(4, 3, {}),
    "an unhashable item": headed(17, []),
    "an odd number of keys and values": headed(1, 1, 2, 3),
    "a reserved byte": b"\xc1",
    "nothing": b"",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_in_little_memory(name: str) -> None:
    tracemalloc.start()
    try:
        outcome = decode(BOMBS[name])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(outcome, UndecodablePayload) or name == "tuples that end"
    assert peak < 8_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4_000_000


def test_the_stack_holds_what_the_parser_admits_even_when_python_admits_more() -> None:
    code = """
import sys
from afresh.codec.msgpack import MsgpackCodec
from afresh.errors import UndecodablePayload
sys.setrecursionlimit(1_000_000)
for head in (b"\\x91", b"\\x81\\xa1a", b"\\x92\\xc7\\x00\\x10", b"\\x92\\xc7\\x00\\x19\\x91", b"\\x93\\xc7\\x00\\x04\\x92\\xa1a\\x00"):
    for levels in (300, 500, 1_000, 100_000):
        try:
            MsgpackCodec().decode(head * levels + b"\\xc0")
        except UndecodablePayload:
            pass
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("deed", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_no_undecodable_payload(deed: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object) -> None:
        raise deed

    payload = codec.encode(Point(1))
    monkeypatch.setattr("afresh.codec.lifting.KINDS_BY_CODE", {16: KINDS[0]._replace(load=interrupted)})

    with pytest.raises(deed):
        codec.decode(codec.encode((1,)))
    assert codec.decode(payload) == Point(1)


def test_no_interrupt_is_lost_in_the_parser() -> None:
    # In a process of its own: an interrupt that meets a callback of pytest's or hypothesis's is lost there.
    code = """
import _thread, signal, threading
from afresh.codec.msgpack import MsgpackCodec
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in a shell's background
payload = MsgpackCodec().encode([((), ()) for _ in range(3_000)])
for turn in range(40):
    fired = threading.Event()
    timer = threading.Timer(0.005 + turn * 0.0003, lambda: (fired.set(), _thread.interrupt_main()))
    try:
        timer.start()
        while not fired.is_set():
            MsgpackCodec().decode(payload)
        timer.join()
    except KeyboardInterrupt:
        continue
    raise AssertionError("an interrupt was lost")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
