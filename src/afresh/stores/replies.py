"""What the server and redis-py say when something is wrong, in afresh's words. Translated here and nowhere else."""

from __future__ import annotations

import re

from afresh.errors import StoreError, StoreRefused, StoreUnavailable

__all__ = ["not_connected", "refused", "unavailable"]

_ADVICE = {
    "OOM": "The server is full: raise maxmemory, or set a maxmemory-policy that evicts (allkeys-lfu suits a cache).",
    "READONLY": "This server is a replica: connect to the primary.",
    "LOADING": "The server is loading its data: it will answer soon.",
    "BUSY": "The server is running somebody's long script.",
    "NOAUTH": "The server wants a password: put it into the URL, redis://user:password@host.",
    "WRONGPASS": "The server does not know this user and password: see the URL.",
    "NOPERM": "The ACL does not let this user: it needs EVAL, EVALSHA, GET, MGET, SET, PSETEX, UNLINK, SCAN and hashes in the namespace.",
    "WRONGTYPE": "Another application keeps something else under this name: choose another namespace.",
    "MASTERDOWN": "The replica has lost its primary.",
    "NOREPLICAS": "The server takes no writes while too few replicas follow it.",
    "TRYAGAIN": "The cluster is moving this key: it will answer soon.",
    "CLUSTERDOWN": "The cluster has no primary for this key now.",
    "MOVED": "This server is a node of a cluster: connect to one primary.",
    "MISCONF": "The server refuses writes until it can save its data again.",
}

# A command that a script may not run has no code of its own: Valkey 9 says the first, Redis 7 the second.
_NOPERM_IN_SCRIPT = re.compile("ERR (ACL failure in script|The user executing the script can't run)")


def refused(text: str, advice: str = "See the server log.") -> StoreRefused:
    """Return the error for a server's error reply. The reply's echo of arguments is cut off: it may hold a value."""
    code = text.split(" ", 1)[0] or "ERR"
    if code == "ERR" and _NOPERM_IN_SCRIPT.match(text):
        code = "NOPERM"
    said = text.split(", with args", 1)[0][:200].rstrip(".")
    return StoreRefused(code, f"the server refused: {said}. {_ADVICE.get(code, advice)}")


def not_connected(shown: str, error: BaseException) -> StoreError:
    """Return the error for a connection that could not be opened: what the server said to it, if it said something."""
    from redis.exceptions import AuthenticationError, ResponseError  # loaded by who connects

    if not isinstance(error, (AuthenticationError, ResponseError)):
        return unavailable(shown, error)
    code = getattr(error, "status_code", None) or "ERR"  # redis-py cuts the word off, and keeps it since 7
    return refused(f"{code} {error}", f"Are user, password and database of {shown} right in the cache's URL?")


def unavailable(shown: str, error: BaseException) -> StoreUnavailable:
    """Return the error for a server that was not reached, or did not answer in time."""
    is_timeout = isinstance(error, TimeoutError) or "Timeout" in type(error).__name__
    what = "did not answer in time" if is_timeout else "was not reached"
    msg = f"{shown} {what} ({type(error).__name__}). Is the server running, and is the cache's URL right?"
    return StoreUnavailable(msg, is_timeout=is_timeout)
