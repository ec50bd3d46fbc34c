from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import Any, get_type_hints

import pytest

from afresh.core import ops
from afresh.stores.scripts import SCRIPTS, packed, script, words


def test_every_operation_has_its_script_and_every_script_its_operation() -> None:
    lying_there = {file.name.removesuffix(".lua") for file in (files("afresh") / "scripts").iterdir() if file.name.endswith(".lua")}

    assert {name for name, _ in SCRIPTS.values()} | {"tag_state"} == lying_there


def test_a_script_that_names_the_state_of_a_tag_begins_with_it() -> None:
    state = (files("afresh") / "scripts" / "tag_state.lua").read_text("utf-8")

    assert {name for name, _ in SCRIPTS.values() if script(name).source.startswith(state)} == {"bump", "end", "mark", "stamp"}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_scripts_keys_are_the_first_fields_and_named_in_its_comment(kind: Any) -> None:
    name, count = SCRIPTS[kind]
    own = script(name).source.removeprefix((files("afresh") / "scripts" / "tag_state.lua").read_text("utf-8"))
    keys = own.partition("KEYS ")[2].partition("ARGV")[0]

    assert len(keys.split(",")) == count
    assert all(get_type_hints(kind)[field] is str for field in kind._fields[:count])


def test_a_script_is_known_by_the_digest_of_its_source() -> None:
    known = script("put")

    assert known.sha == sha1(known.source.encode(), usedforsecurity=False).hexdigest()
    assert script("put") is known


def test_an_operation_is_the_words_of_a_command() -> None:
    put = ops.Put("v", "l", b"bytes", 5)

    assert words(ops.Get("k")) == ("GET", "k")
    assert words(ops.HashGet("h", ("0", "max"))) == ("HMGET", "h", "0", "max")
    assert words(ops.Unlink("a", ("b", "c"))) == ("UNLINK", "a", "b", "c")
    assert words(ops.Scan(0, "p*", 10)) == ("SCAN", "0", "MATCH", "p*", "COUNT", "10")
    assert words(put) == ("EVALSHA", script("put").sha, "2", "v", "l", b"bytes", "5")
    assert words(put, with_source=True) == ("EVAL", script("put").source, "2", "v", "l", b"bytes", "5")
    assert packed(ops.Get("ключ")) == b"*2\r\n$3\r\nGET\r\n$8\r\n" + "ключ".encode() + b"\r\n"
