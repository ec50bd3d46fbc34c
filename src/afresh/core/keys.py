"""Names on the server: namespaces, ids, tags, and the slot twins of a key.

A namespace owns these names; each script of afresh touches the names of one id, or of one tag, and so one cluster slot::

    <ns>:v:{<id>}    the entry                     <ns>:t:{<h>}    the stamp of a tag
    <ns>:l:{<id>}    its lease                     <ns>:h:{<name>} a memo table
    <ns>:t:{<id>}    its own stamp                 <ns>:z:{…}      the listeners' heartbeats: never set
    <ns>:o:{<h>}    the transactions that are writing under a tag
    <ns>:z:{run}    which run of the server the namespace's stamp is from (core/restarts.py)
    <ns>:d:{<id>}    the compression dictionaries of a function
    <ns>:x:{<name>} who holds a lock               <ns>:q:{<name>} who waits for it, in order
    <ns>:w:{<name>} the lock's fence, and until when each of those who wait keeps its place

``<id>`` is a kind (``f`` function, ``k`` user key), ``:`` and text, or ``#`` and a digest. Text is escaped so that it holds no brace;
``h`` is 16 hex digits, which no id can be, since an id has ``:`` or ``#`` as its second character.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import count
from typing import NamedTuple, final

from afresh.core.digest import blake2b
from afresh.errors import ConfigurationError

__all__ = [
    "SLOTS",
    "Key",
    "LockNames",
    "Names",
    "Namespace",
    "Tag",
    "Watched",
    "dictionaries_of",
    "function_id",
    "key_slot",
    "key_tag",
    "leases_each",
    "lock_names",
    "run_note",
    "twins",
    "user_id",
    "values_each",
    "watched",
    "writers_of",
]

SLOTS = 16384
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@=,+<>-]{1,120}", re.ASCII)
_PLAIN_LINES = re.compile(r"[A-Za-z0-9_.:/@=,+<>\n-]+", re.ASCII)
_NAME_SAFE = "<>/-@+=,"
_LONGEST = 120


@final
class Key(str):
    """The id of a memoized call, as ``handle.key(...)`` gives it.

    Opaque, and of a type of its own: an application's ``str`` key never names the same entry.
    """

    __slots__ = ("function",)
    function: str | None

    def __new__(cls, text: str, function: str | None = None) -> Key:
        """Make a key of an id, and the implicit tag of the function that it belongs to."""
        key = super().__new__(cls, text)
        key.function = function
        return key

    def __reduce__(self) -> tuple[type[Key], tuple[str, str | None]]:
        return Key, (str(self), self.function)


class Names(NamedTuple):
    """What belongs to one id on the server; all three share a slot."""

    value: str
    lease: str
    stamp: str


class LockNames(NamedTuple):
    """What belongs to one lock on the server; all three share a slot."""

    holder: str
    queue: str
    waiters: str


class Tag(NamedTuple):
    """A tag as the server knows it."""

    hash: bytes
    key: str

    @property
    def writers(self) -> str:
        """The name of the transactions that are writing under it."""
        return writers_of(self.key)


def writers_of(stamp: str) -> str:
    """Return the name of the transactions that are writing under the tag whose stamp has this name."""
    namespace, _, rest = stamp.rpartition(":t:{")  # a namespace holds no brace
    return f"{namespace}:o:{{{rest}"


class Watched(NamedTuple):
    """What the near tier hears of, and how it proves that it does.

    Attributes:
        prefixes: of the names whose changes are pushed: all stamps, and the values of applications' keys.
        beat: the name that heartbeats unlink. Nothing is ever stored under it.
        channel: a channel on which nobody publishes.
    """

    prefixes: tuple[str, ...]
    beat: str
    channel: str


def user_id(key: str) -> str:
    """Return the id of an application's key. Injective."""
    return "k:" + key if _PLAIN.fullmatch(key) else "k" + _text(key, ":")  # the first is what most come to, without a call


def function_id(name: str, version: int | str = 0) -> str:
    """Return the id of a function, to which the canonical arguments are appended. Holds no ``:`` or ``#`` but its own."""
    if "@" in name or "%" in name:  # so that the first @ parts name and version
        name = name.replace("%", "%25").replace("@", "%40")
    text = name if version == 0 and isinstance(version, int) else f"{name}@{version}"
    return "f" + _text(text, "")


def _text(text: str, safe: str) -> str:
    if _PLAIN.fullmatch(text) and (safe == ":" or ":" not in text):
        return ":" + text
    from urllib.parse import quote

    escaped = quote(text, safe=_NAME_SAFE + safe, errors="surrogatepass")
    if len(escaped) <= _LONGEST:
        return ":" + escaped
    return "#" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Namespace:
    """The names of one cache.

    Args:
        name: letters of your choice; no braces, white space or control characters, at most 120 characters.

    Raises:
        ConfigurationError: if the name cannot be one.
    """

    __slots__ = ("name", "tag")

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[^\s{}\x00-\x20\x7f\ud800-\udfff]{1,120}", name):
            msg = (
                f"namespace={name!r} cannot be a namespace: use 1 to 120 characters without braces (they would move keys to "
                f"another cluster slot), white space or control characters."
            )
            raise ConfigurationError(msg)
        self.name = name
        self.tag = self.tag_of("afresh:namespace")

    def names(self, identity: str) -> Names:
        """Return the three names of an id."""
        name = self.name
        # Every call comes by here: what Names(...) would do before this takes as long as all the rest.
        return tuple.__new__(Names, (f"{name}:v:{{{identity}}}", f"{name}:l:{{{identity}}}", f"{name}:t:{{{identity}}}"))

    def names_of(self, key: str) -> Names:
        """Return the names of an application's key, or of a memoized call's ``Key``."""
        return self.names(key if isinstance(key, Key) else user_id(key))

    def tag_of(self, tag: str) -> Tag:
        """Return a tag's hash and the name of its stamp."""
        digest = blake2b(tag.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return Tag(digest, self.stamp_key(digest))

    def stamp_key(self, tag_hash: bytes) -> str:
        """Return the name of the stamp of a tag known by its hash."""
        return f"{self.name}:t:{{{tag_hash.hex()}}}"

    def value_of(self, stamp: str) -> str:
        """Return the name of the entry whose own stamp has this name; any other name as it is."""
        prefix = f"{self.name}:t:"
        return f"{self.name}:v:{stamp[len(prefix) :]}" if stamp.startswith(prefix) else stamp

    def table(self, name: str) -> str:
        """Return the name of a memo table's hash."""
        return f"{self.name}:h:{{{_text(name, '').removeprefix(':')}}}"

    @staticmethod
    def function_tag(identity: str) -> str:
        """Return the implicit tag of a function. ``afresh:`` is kept for these: naming one means that function."""
        return "afresh:" + identity


def values_each(namespace: Namespace, keys: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the entries of several of an application's keys: the first ones that `Namespace.names_of` returns."""
    return _each(f"{namespace.name}:v:{{", keys)


def leases_each(namespace: Namespace, keys: Sequence[str]) -> tuple[str, ...]:
    """Return the names of their leases: the second ones."""
    return _each(f"{namespace.name}:l:{{", keys)


def _each(prefix: str, keys: Sequence[str]) -> tuple[str, ...]:
    kind, identities = _identities(keys)
    prefix += kind
    return tuple([f"{prefix}{each}}}" for each in identities])


def _identities(keys: Sequence[str]) -> tuple[str, Iterable[str]]:
    """Return what the ids of these keys begin with, and the rest of each: without a call for each where all of them are plain."""
    lines = "\n".join(keys)
    if _PLAIN_LINES.fullmatch(lines) and lines.count("\n") == len(keys) - 1 and max(map(len, keys)) <= _LONGEST:
        return "k:", keys
    return "", map(user_id, keys)


def watched(namespace: Namespace, outside: str = "") -> Watched:
    """Return what a listener in this namespace names.

    Args:
        namespace: whose stamps and keys to hear of.
        outside: what the names of entries begin with that are kept outside of it; nothing if there are none.
    """
    name = namespace.name
    prefixes = (f"{name}:t:", f"{name}:v:{{k")
    return Watched((*prefixes, outside) if outside else prefixes, f"{name}:z:{{beat}}", f"{name}:z:{{nobody}}")


def key_tag(namespace: Namespace, names: Names) -> Tag:
    """Return the tag that stands for a key in the entries that were made of it."""
    return namespace.tag_of("afresh:" + names.value)  # a function's identity holds no brace


def run_note(namespace: Namespace) -> str:
    """Return the name of the note that says which run of the server a namespace's stamp is from."""
    return f"{namespace.name}:z:{{run}}"


def dictionaries_of(namespace: Namespace, identity: str) -> str:
    """Return the name of the compression dictionaries of a function, by its id."""
    return f"{namespace.name}:d:{{{identity}}}"


def lock_names(namespace: Namespace, lock: str) -> LockNames:
    """Return the three names of a lock."""
    text = _text(lock, ":").removeprefix(":")
    return LockNames(*(f"{namespace.name}:{kind}:{{{text}}}" for kind in "xqw"))


def key_slot(key: str) -> int:
    """Return the cluster slot of a key (CRC16 of its hash tag, or of the whole key)."""
    return crc_hqx(_hash_tag(key).encode("utf-8", "surrogatepass"), 0) % SLOTS


def _hash_tag(key: str) -> str:
    start = key.find("{")
    end = key.find("}", start + 1)
    return key[start + 1 : end] if start >= 0 and end > start + 1 else key


def twins(namespace: str, value: str) -> Names:
    """Return the names for an entry whose value key is given from outside (Django's ``prefix:version:key``), all in its slot."""
    tag = _hash_tag(value)
    rest = "" if tag == value else value
    if "}" in tag or not tag:  # such a key is hashed whole and cannot be quoted in braces: find a tag of the same slot
        tag, rest = _tag_in(key_slot(value)), value
    return Names(value, f"{namespace}:l:{{{tag}}}{rest}", f"{namespace}:t:{{{tag}}}{rest}")


@cache  # a search of 5 ms, for one of 16,384 slots
def _tag_in(slot: int) -> str:
    return next(text for text in map(str, count()) if crc_hqx(text.encode(), 0) % SLOTS == slot)
