"""Late tags: what a result depends on, where only the result says so.

Stamps must be older than the compute, and these tags are not known before it has returned. So their stamps are taken afterwards, and
count only if the near tier's listener has heard of no change to them **since before the compute began**. Rules, each with the race that it
closes:

1. What was invalidated meanwhile was pushed, but perhaps it is still on its way. After the stamps are read a *mark* is written, a name of
   its own among the stamps: the server pushes in the order of its changes, so once the mark has been heard, so has everything before it.
2. A tag that had no stamp could be invalidated without a trace. Its first stamp is made here, and that is pushed, too: it counts like any
   other change, and the result is not stored. The next one is.
3. What changes after the stamps were read makes them differ from those that the result carries.
4. A listener that has begun anew meanwhile has not heard everything: it proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from afresh.core.keys import Tag
from afresh.core.ops import Announce, Stamp
from afresh.core.policy import tag_ttl_ms
from afresh.core.ports import Ports
from afresh.core.stamps import STAMP_BYTES, Captured
from afresh.errors import StoreError

if TYPE_CHECKING:
    from afresh.core.commits import Claim

__all__ = ["add_late_tags"]

# Between two looks at what the listener has heard. A push takes less than a millisecond, unless the listener's thread must wait.
_PAUSES_MS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
_MARK_MS: Final = 1000


async def add_late_tags(ports: Ports, claim: Claim, names: Sequence[str]) -> None:
    """Have a result depend on these tags, too. One that cannot, without a doubt, is not stored.

    Cost: 1 round trip, and the time of a push.
    """
    request = claim.request
    must_store = claim.vector is not None and claim.mark is not None
    if request.namespace is None or not names or not (must_store or claim.reader):
        return
    tags = [request.namespace.tag_of(name) for name in dict.fromkeys(names)]
    stamps = await _proven(ports, claim, tags)
    if stamps is not None:
        claim.captured = claim.captured or Captured(None)
        claim.captured.note(stamps)
        if claim.reader is not None:
            claim.reader.note(stamps)
        return
    claim.vector = None
    ports.events.not_stored(request.owner, "tags of the result not proven")
    if claim.reader is not None:
        claim.reader.is_whole = False


async def _proven(ports: Ports, claim: Claim, tags: Sequence[Tag]) -> dict[bytes, bytes] | None:
    """Return the stamps, by the tags' hashes, if they are as old as the compute."""
    near, token, request = ports.near, claim.token, claim.request
    if near is None or token is None or request.namespace is None:
        return None
    mark = request.namespace.stamp_key(ports.token(STAMP_BYTES))
    px_ms = tag_ttl_ms(request.policy.longest_ttl_ms, request.policy.kept_ms)
    reading = [Stamp(tag.key, tag.writers, ports.token(STAMP_BYTES), px_ms) for tag in tags]
    try:
        *stamps, told = await ports.store.flight([*reading, Announce(mark, _MARK_MS, ports.token(STAMP_BYTES))])
    except StoreError as error:
        ports.events.suppressed("late tags", error)
        return None
    if isinstance(told, StoreError) or not all(isinstance(stamp, bytes) and len(stamp) == STAMP_BYTES for stamp in stamps):
        return None  # full, or marked by a transaction
    names = [tag.key for tag in tags]
    silent = near.silence(token, names, mark)
    for pause_ms in _PAUSES_MS:
        if silent is not None:
            break
        await ports.clock.sleep_ms(pause_ms)
        silent = near.silence(token, names, mark)
    return {tag.hash: stamp for tag, stamp in zip(tags, stamps, strict=True)} if silent else None
