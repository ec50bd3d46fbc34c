"""Compression: where it is worth it, and never more memory than allowed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import tracemalloc

import pytest
import zstandard
from hypothesis import given, strategies as st

from afresh.codec.compression import compress, decompress
from afresh.errors import UndecodablePayload

PAGE = b"<li>a recipe</li>" * 1_000


def test_what_was_compressed_decompresses() -> None:
    packed = compress(PAGE)

    assert packed is not None
    assert len(packed) < len(PAGE) / 10
    assert decompress(packed, len(PAGE)) == PAGE
    assert decompress(memoryview(b"header" + packed)[6:], 1 << 20) == PAGE


@pytest.mark.parametrize(
    "payload", [b"", b"a" * 1_023, os.urandom(10_000), os.urandom(9_500) + b"a" * 500], ids=["empty", "short", "random", "mostly random"]
)
def test_what_saves_little_stays_as_it_is(payload: bytes) -> None:
    assert compress(payload) is None


def test_a_tenth_is_enough() -> None:
    assert compress(os.urandom(8_500) + b"a" * 1_500) is not None
    assert compress(b"a" * 1_024) is not None


def bomb(size: int) -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(bytes(size))


HOSTILE = {
    "bomb": bomb(200_000_000),
    "no size": zstandard.ZstdCompressor(write_content_size=False).compress(PAGE),
    "cut": zstandard.compress(PAGE)[:-5],
    "longer": zstandard.compress(PAGE) + b"x",
    "two frames": zstandard.compress(b"a" * 2_000) * 2,
    "empty": b"",
    "junk": b"junk" * 10,
    "header": zstandard.compress(PAGE)[:6],
    "size of 2**64": b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8,
}


@pytest.mark.parametrize("packed", HOSTILE.values(), ids=HOSTILE)
def test_hostile_frames_are_refused_in_little_memory(packed: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UndecodablePayload):
            decompress(packed, 1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 4 << 20


@given(st.binary(max_size=100), st.integers(0, 60), st.binary(max_size=4))
def test_mutated_frames_are_refused_or_within_bounds(noise: bytes, position: int, change: bytes) -> None:
    packed = bytearray(zstandard.compress(PAGE[:3_000] + noise))
    packed[position : position + len(change)] = change
    for attempt in (noise, bytes(packed)):
        try:
            assert len(decompress(attempt, 5_000)) <= 5_000
        except UndecodablePayload:
            continue


def test_threads_do_not_share_contexts() -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        payload = bytes([number]) * 5_000 + PAGE
        for _ in range(100):
            packed = compress(payload)
            if packed is None or decompress(packed, 1 << 20) != payload:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong


def test_without_zstandard_nothing_is_compressed_and_compressed_payloads_are_misses() -> None:
    code = f"""
import sys
sys.modules["zstandard"] = None
from afresh.codec.compression import compress, decompress
from afresh.errors import UndecodablePayload
assert compress(b"a" * 10_000) is None
try:
    decompress({zstandard.compress(PAGE)!r}, 1 << 20)
except UndecodablePayload as error:
    assert "install zstandard" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_compression_does_not_import_zstandard() -> None:
    subprocess.run([sys.executable, "-c", "import sys, afresh.codec.compression; assert 'zstandard' not in sys.modules"], check=True)
