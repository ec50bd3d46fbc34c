"""What Django's keys are to the flows: entries whose names are given from outside, and that carry no stamps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from afresh.core.batches import Alike
from afresh.core.keys import twins
from afresh.core.plain_puts import Puts
from afresh.core.policy import Policy, policy_under
from afresh.core.reads import Request
from afresh.core.stamps import NOTHING
from afresh.django.configuration import Configuration
from afresh.django.values import DjangoValues

__all__ = ["OWNER", "READ", "Requests"]

# Under which name the counters have what happens here.
OWNER: Final = "django"
READ: Final = policy_under(None)
# As in `afresh.facade`: what most programs read, they read often. Django warns of longer keys.
_MOST_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 250


class Requests:
    """Makes them.

    Args:
        configuration: of the cache.

    Attributes:
        values: its codec.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._namespace = configuration.namespace
        self._near_head = configuration.near_head
        self.values = DjangoValues()
        self._remembered = lru_cache(_MOST_REMEMBERED)(self._made)

    def of(self, name: str, policy: Policy = READ) -> Request:
        """Return the request for the key of this name. The near tier, if there is one, may keep it if it hears what becomes of it."""
        make = self._remembered if len(name) <= _LONGEST_REMEMBERED else self._made
        return make(name) if policy is READ else make(name, policy)

    def _made(self, name: str, policy: Policy = READ) -> Request:
        is_near = name.startswith(self._near_head)
        fields = (twins(self._namespace, name), NOTHING, policy, self.values, OWNER, None, is_near, False, True, None)
        return tuple.__new__(Request, fields)  # what Request(…) does before this takes as long as half of the rest

    def alike(self, names: tuple[str, ...], policy: Policy = READ) -> Alike:
        """Return what is wanted of several keys."""
        like = self.of(names[0], policy)._replace(near=all(name.startswith(self._near_head) for name in names))
        return Alike(like, names, lambda at: twins(self._namespace, names[at]))

    def puts(self, names: tuple[str, ...], values: Sequence[object], policy: Policy) -> Puts:
        """Return what puts values under several keys."""
        return Puts(self.alike(names, policy), [twins(self._namespace, name).lease for name in names], values)
