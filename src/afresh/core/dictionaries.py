"""Compression dictionaries from the server: which is the newest, and what an entry was compressed with."""

from __future__ import annotations

from typing import Protocol

from afresh.core.envelope import Entry
from afresh.core.ops import HashGet
from afresh.core.ports import Ports
from afresh.errors import StoreError

__all__ = ["CURRENT", "Dictionaries", "fetch_dictionary", "take_newest"]

# The field of the hash that names the newest.
CURRENT = "current"


class Dictionaries(Protocol):
    """The compression dictionaries of one function, as far as they are here. See `afresh.codec.dictionaries`."""

    current: int

    @property
    def key(self) -> str:
        """The name of the hash that has them all."""
        ...

    def is_due(self, now_us: int, /) -> bool:
        """Say whether it is time to ask for the newest number, and count that as done."""
        ...

    def lacks(self, number: int, /) -> bool:
        """Say whether this one must be fetched."""
        ...

    def know(self, number: int, content: bytes, /) -> None:
        """Keep one."""
        ...


async def fetch_dictionary(ports: Ports, dictionaries: Dictionaries | None, entry: Entry | None) -> bool:
    """Fetch what an entry was compressed with, unless it is here. True if it was fetched. Cost: 1 round trip, once for each dictionary."""
    if dictionaries is None or entry is None or not entry.dictionary or not dictionaries.lacks(entry.dictionary):
        return False
    return await _fetch(ports, dictionaries, entry.dictionary)


async def take_newest(ports: Ports, dictionaries: Dictionaries, told: object) -> None:
    """Compress with the dictionary that the server says is the newest. Cost: none; 1 round trip for one that is new here."""
    number = int(told[0]) if isinstance(told, list) and told[0] is not None and told[0].isdigit() else 0
    if not number or not dictionaries.lacks(number) or await _fetch(ports, dictionaries, number):
        dictionaries.current = number


async def _fetch(ports: Ports, dictionaries: Dictionaries, number: int) -> bool:
    try:
        (fields,) = await ports.store.flight((HashGet(dictionaries.key, (str(number),)),))
    except StoreError as error:
        ports.events.suppressed("read", error)
        return False
    content = fields[0] if isinstance(fields, list) else None
    if content is None:
        return False
    dictionaries.know(number, content)
    return not dictionaries.lacks(number)
