r"""``clear()`` for one cache among others on a server: which keys are its own, and dropping these alone.

A cache's keys are told by how it makes them. Its key function is asked for two keys with names and versions that nobody uses; where
these come up in what it returns, any name and version may stand, and where the two differ otherwise, anything::

    shop:719374529:afresh-probe-a     shop:(?:-?\d+):.*
    shop:719374529:0cc175b9c0f1b6a8   shop:(?:-?\d+).*      a key function that hashes the name

SCAN looks for what begins with the fixed text before these; the exact rule is applied to what it returns. With it ``shop:eu:1:k`` of a
cache whose prefix is ``shop:eu`` is not ours, nor is anything in a namespace ``shop``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from afresh.core.changes import change
from afresh.core.ops import Scan, Unlink
from afresh.core.ports import Ports
from afresh.django.configuration import ImproperlyConfiguredCache
from afresh.errors import StoreError

__all__ = ["Extent", "clear", "extent_of"]

_SCAN_COUNT: Final = 1000
_UNLINK_KEYS: Final = 500

_PROBES: Final = (("afresh-probe-a", 719374529), ("afresh-probe-b", 618592437))
_KEY: Final = ".*"
_VERSION: Final = r"-?\d+"


class Extent(NamedTuple):
    """Which keys are a cache's own.

    Attributes:
        head: what all of them begin with; never empty.
        rule: matches the whole of a key.
    """

    head: str
    rule: re.Pattern[str]

    def owns(self, key: str) -> bool:
        """Say whether this is one of them."""
        return self.rule.fullmatch(key) is not None


def extent_of(make_key: Callable[[str, int], str], version: object) -> Extent:
    """Return the extent of the keys that a function makes, in all versions.

    Args:
        make_key: from a key and a version to the name on the server.
        version: the cache's own version, which need not be a number.

    Raises:
        ImproperlyConfiguredCache: if the names do not begin with a text that tells them from other applications' names.
    """
    one, other = (_pieces(make_key, *probe) for probe in _PROBES)
    alike = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))
    head, *rest = one[:alike] or [""]
    # ":1:key" is how Django writes a key without a prefix. Without the version, punctuation alone is nobody's own.
    if not rest or not ((head and rest[0] == _VERSION) or any(map(str.isalnum, head))):
        raise ImproperlyConfiguredCache(
            "clear() cannot tell this cache's keys from other applications': what KEY_FUNCTION returns must begin with a fixed text "
            "(such as KEY_PREFIX) that the version or the key follows as it is. Nothing was deleted."
        )
    rule = re.escape(head)
    for at, piece in enumerate(rest):
        is_fixed = at % 2
        rule += re.escape(piece) if is_fixed else f"(?:{piece}|{re.escape(str(version))})" if piece == _VERSION else piece
    return Extent(head, re.compile(rule if one == other else f"{rule}.*", re.DOTALL | re.ASCII))


def _pieces(make_key: Callable[[str, int], str], key: str, version: int) -> list[str]:
    """Return fixed texts and, between them, what stands for the key and the version."""
    pieces = re.split(f"({key}|{version})", str(make_key(key, version)))
    return [piece if at % 2 == 0 else _KEY if piece == key else _VERSION for at, piece in enumerate(pieces)]


async def clear(ports: Ports, extent: Extent, namespace: str) -> bool:
    """Drop every entry of a cache, and every claim to compute one. True if all are gone; what is written meanwhile may stay.

    Leases go first: then a compute that began before this call finds its lease gone, wherever the scan of the entries is by then.

    Cost: two scans of the server's keys, 1,000 looked at in each round trip, and 1 more for every 500 dropped. Blocks nobody.
    """
    leases = f"{namespace}:l:{{"
    try:
        await _unlink(ports, leases, lambda name: extent.owns(_leased(name.removeprefix(leases))))
        await _unlink(ports, extent.head, extent.owns)
    except StoreError as error:
        ports.events.suppressed("clear", error)
        return False
    return True


def _leased(rest: str) -> str:
    """Return the entry's name from its lease's, as `afresh.core.keys.twins` makes it: ``tag}`` or ``some-tag}name``."""
    tag, _, name = rest.partition("}")
    return name or tag


async def _unlink(ports: Ports, head: str, is_ours: Callable[[str], bool]) -> None:
    pattern = re.sub(r"([*?\[\]\\^-])", r"\\\1", head) + "*"
    cursor = 0
    while True:
        (reply,) = await change(ports, (), [Scan(cursor, pattern, _SCAN_COUNT)])
        cursor, names = int(reply[0]), [name.decode("utf-8", "replace") for name in reply[1]]
        ours = [name for name in names if is_ours(name)]
        for at in range(0, len(ours), _UNLINK_KEYS):
            first, *more = some = ours[at : at + _UNLINK_KEYS]
            await change(ports, some, [Unlink(first, tuple(more))])
        if not cursor:
            return
