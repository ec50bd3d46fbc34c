"""What the Django backend reads: plain data, and pickles that the project itself has signed. Anything else is a miss."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import override_settings
from django.utils.safestring import SafeString, mark_safe
from hypothesis import given, strategies as st

from afresh.codec.msgpack import MsgpackCodec
from afresh.codec.pickle import PickleCodec
from afresh.codec.signing import Signer
from afresh.core.envelope import Flag, pack_prefix, parse
from afresh.django.values import DjangoValues

pytest_plugins = ["tests.django_project.fixtures"]
pytestmark = pytest.mark.keys(r"t-[0-9a-f]{8}:-?\d+:.*", permanent=True)

ROOT = Path(__file__).parents[2]
NOTHING = "nothing"

opened = []


class Exploit:
    """Unpickling an instance of this would be noticed."""

    def __reduce__(self):
        return opened.append, ("unpickled",)


@dataclass
class Flagged:
    name: str


def envelope(payload, *, codec, flags=0, tags=0):
    until_ms = 2**63
    prefix = pack_prefix(b"", flags=flags, codec=codec, tags=tags, created_ms=1, fresh_until_ms=until_ms, cost_us=0, schema=0)
    return prefix + payload


@pytest.fixture
def name(namespace):
    """Where the entry of key "k" is on the server."""
    return f"{namespace}:1:k"


# --- never unpickled -----------------------------------------------------------------------------------------------
def test_a_pickle_that_nobody_signed_is_not_opened(cache, call, server, name):
    bomb = pickle.dumps(Exploit())
    foreign = Signer([b"another secret, of somebody else"])
    prefix = envelope(b"", codec=PickleCodec.codec_id, flags=Flag.SIGNED)
    crafted = [
        bomb,
        envelope(bomb, codec=PickleCodec.codec_id),
        *(envelope(bomb, codec=codec, flags=flags) for codec in (1, 2, 128, 255) for flags in (0, Flag.SIGNED, Flag.COMPRESSED)),
        envelope(bytes(16) + bomb, codec=PickleCodec.codec_id, flags=Flag.SIGNED),
        prefix + foreign.seal(name.encode(), prefix, bomb),
    ]

    for raw in crafted:
        server.command("SET", name, raw)
        assert call(cache, "get", "k", NOTHING) == NOTHING
        assert call(cache, "get_many", ["k"]) == {}
        assert call(cache, "has_key", "k") is False
        assert call(cache, "get_or_set", "k", "computed") == "computed"
        server.command("SET", name, raw)
        assert call(cache, "add", "k", "added") is True
        assert call(cache, "get", "k") == "added"
    assert opened == []


def test_a_signed_entry_serves_under_no_other_key_and_not_when_changed(cache, call, server, name, namespace):
    call(cache, "set", "k", mark_safe("<b>"))
    raw = server.command("GET", name)

    server.command("SET", f"{namespace}:1:other", raw)
    assert call(cache, "get", "other", NOTHING) == NOTHING
    untouched = {*range(16, 24)}  # fresh until: `touch` changes it on the server
    for at in sorted({*range(len(raw))} - untouched):
        server.command("SET", name, raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        assert call(cache, "get", "k", NOTHING) == NOTHING, at
    server.command("SET", name, raw)
    assert call(cache, "get", "k") == "<b>"


@pytest.mark.parametrize("raw", [b"", b"42", b"text", b"\xaf\xfe\x01", b"\xaf\xfe\x02" + bytes(40), b"\xaf\xfe\x01" + b"\xff" * 40])
def test_foreign_bytes_are_a_miss_and_are_replaced(cache, call, server, name, raw):
    server.command("SET", name, raw)
    assert call(cache, "get", "k", NOTHING) == NOTHING

    assert call(cache, "get_or_set", "k", "computed") == "computed"
    assert call(cache, "get", "k") == "computed"


def test_another_type_under_the_key_is_a_miss_and_is_replaced(cache, call, server, name):
    server.command("RPUSH", name, "a", "list")
    assert call(cache, "get", "k", NOTHING) == NOTHING

    call(cache, "set", "k", "stored")
    assert call(cache, "get", "k") == "stored"


def test_plain_data_make_no_instance_of_a_class(cache, call, server, name):
    crafted = MsgpackCodec().encode(Flagged("made by a payload"))
    server.command("SET", name, envelope(crafted, codec=MsgpackCodec.codec_id))

    assert call(cache, "get", "k", NOTHING) == NOTHING


# --- secrets -------------------------------------------------------------------------------------------------------
def test_a_changed_secret_makes_pickles_misses_unless_the_old_one_is_a_fallback(cache, call):
    call(cache, "set_many", {"k": mark_safe("<b>"), "plain": 1})

    with override_settings(SECRET_KEY="a new one"):
        assert call(cache, "get_many", ["k", "plain"]) == {"plain": 1}
    with override_settings(SECRET_KEY="a new one", SECRET_KEY_FALLBACKS=["an older one", "short"]):
        assert call(cache, "get", "k") == "<b>"
        call(cache, "set", "k", mark_safe("<i>"))
    assert call(cache, "get", "k", NOTHING) == NOTHING


def test_the_secret_is_read_when_the_first_pickle_is_met(cache, call):
    with override_settings(SECRET_KEY=""):
        call(cache, "set", "k", {"plain": (1, 2)})
        assert call(cache, "get", "k") == {"plain": (1, 2)}

        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY"):
            call(cache, "set", "k", mark_safe("<b>"))


# --- which values --------------------------------------------------------------------------------------------------
def test_another_process_finds_an_instance_whose_module_it_has_not_loaded(cache, server, namespace):
    write = """
import django, sys
from django.conf import settings
settings.configure(SECRET_KEY="short", CACHES={"default": {
    "BACKEND": "afresh.django.RedisCache", "LOCATION": sys.argv[1], "KEY_PREFIX": sys.argv[2]}})
from tests.django_project.flags import Flag
from django.core.cache import cache
cache.set("k", {"flag": Flag("on")})
"""
    subprocess.run([sys.executable, "-c", write, server.url, namespace], cwd=ROOT, check=True)
    sys.modules.pop("tests.django_project.flags", None)

    assert repr(cache.get("k")["flag"]) == "Flag(name='on')"


def test_a_response_is_kept_with_its_headers_and_cookies(cache, call):
    response = HttpResponse("page", status=201, headers={"X-Made": "here"})
    response.set_cookie("flavour", "plain")
    call(cache, "set", "k", response)
    got = call(cache, "get", "k")

    assert (got.content, got.status_code, got["X-Made"], got.cookies) == (b"page", 201, "here", response.cookies)


def test_what_cannot_be_pickled_raises_what_pickle_raises_and_changes_nothing(cache, call):
    call(cache, "set", "k", "old")

    class Local:
        pass

    for value, error in [(Local(), (AttributeError, pickle.PicklingError)), ((n for n in ()), TypeError), ({"a": lambda: 1}, Exception)]:
        for act in ("set", "add", "get_or_set"):
            key = "k" if act == "set" else "other"
            with pytest.raises(error) as raised:
                call(cache, act, key, value)
            assert type(raised.value).__module__ in {"builtins", "_pickle"}
        with pytest.raises(error):
            call(cache, "set_many", {"k": "new", "other": value})
    assert call(cache, "get_many", ["k", "other"]) == {"k": "old"}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.datetimes() | st.uuids(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=10,
)


@pytest.mark.usefixtures("_project")
@given(st.one_of(PLAIN, PLAIN.map(lambda value: [value, mark_safe("<b>")]), st.text().map(mark_safe)))
def test_values_survive_their_envelope_and_plain_ones_are_not_signed(value):
    values = DjangoValues()
    encoded = values.encode(value)
    prefix = envelope(b"", codec=encoded.codec, flags=encoded.flags)
    decoded = values.decode("k", parse(values.seal("k", prefix, encoded)))

    assert decoded == value
    assert type(decoded) is type(value)
    is_plain = not any(isinstance(part, SafeString) for part in (value, *(value if isinstance(value, list) else ())))
    assert bool(encoded.flags & Flag.SIGNED) != is_plain
