"""Where the store is: a cache's URL, checked at once and without I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from afresh.errors import ConfigurationError, NotAvailable

__all__ = ["MAX_CONNECTIONS", "Address", "parse_url"]

MAX_CONNECTIONS: Final = 50


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0", "yes", "no"}:
        raise ValueError(text)
    return text.lower() in {"true", "1", "yes"}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _positive(text: str) -> int:
    if not (number := _number(text)):
        raise ValueError(text)
    return number


_NETWORK: Final[Mapping[str, Callable[[str], Any]]] = {"db": _number, "client_name": str, "max_connections": _positive}
_TLS: Final[Mapping[str, Callable[[str], Any]]] = {
    "ssl_ca_certs": str,
    "ssl_ca_path": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_cert_reqs": str,
    "ssl_check_hostname": _boolean,
}
_WANTED: Final[Mapping[Callable[[str], Any], str]] = {_number: "number", _positive: "number from 1 up", _boolean: "yes or no"}
# What each scheme takes after the question mark.
_OPTIONS: Final[Mapping[str, Mapping[str, Callable[[str], Any]]]] = MappingProxyType(
    {
        "redis": _NETWORK,
        "rediss": {**_NETWORK, **_TLS},
        "unix": _NETWORK,
        "memory": {"max_entries": _number},
        "embedded": {},
    }
)
_SPOKEN: Final = frozenset({"username", "password", "client_name", "db"})
_LATER: Final = frozenset({"redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"})


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed URL. `shown` is fit for messages: it holds no user, password or option.

    Attributes:
        scheme: ``redis``, ``rediss``, ``unix``, ``memory`` or ``embedded``.
        path: of the socket or the embedded server's directory; None where there is none.
        options: keyword arguments for redis-py's connection, or the memory store.
        max_connections: how many connections the threads of a process have at most.
    """

    scheme: str
    shown: str
    path: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    max_connections: int = MAX_CONNECTIONS

    @property
    def of_socket(self) -> dict[str, Any]:
        """Those of the options that opening a socket needs. The others are for who speaks over it."""
        return {name: value for name, value in self.options.items() if name not in _SPOKEN}


def parse_url(url: str) -> Address:
    """Return the address that a URL names.

    Raises:
        ConfigurationError: naming what is wrong, without user or password.
    """
    if not isinstance(url, str) or "://" not in url:
        # What was passed may be a password or a host with one: it is not repeated.
        msg = f"a cache's URL must look like redis://localhost:6379/0; what was given has no scheme. One of: {_schemes()}."
        raise ConfigurationError(msg)
    try:
        parts = urlsplit(url)
    except ValueError:  # its message repeats user and password
        msg = "the host of a cache's URL cannot be read: write redis://user:password@host:6379/0, odd characters escaped as %.."
        raise ConfigurationError(msg) from None
    if parts.scheme in _LATER:
        msg = f"{parts.scheme}:// is not available in this version: use redis:// to one primary."
        raise NotAvailable(msg)
    if parts.scheme not in _OPTIONS:
        nearest = get_close_matches(parts.scheme, _OPTIONS, 1)
        hint = f" Did you mean {nearest[0]}://?" if nearest else ""
        msg = f"unknown URL scheme {parts.scheme}://.{hint} One of: {_schemes()}."
        raise ConfigurationError(msg)
    options = _query(parts)
    if parts.scheme in {"memory", "embedded"}:
        return _local(parts, options)
    if parts.username:
        options["username"] = unquote(parts.username)
    if parts.password:
        options["password"] = unquote(parts.password)
    return _unix(parts, options) if parts.scheme == "unix" else _tcp(parts, options)


def _schemes() -> str:
    return ", ".join(f"{scheme}://" for scheme in _OPTIONS)


def _query(parts: SplitResult) -> dict[str, Any]:
    if "@" in parts.query:  # what was taken for options is the end of a password
        msg = f"a {parts.scheme}:// URL has an '@' among its options: escape a '?' in the password as %3F, an '@' in an option as %40."
        raise ConfigurationError(msg)
    known = _OPTIONS[parts.scheme]
    options: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            nearest = get_close_matches(name, known, 1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            among = f" It takes: {', '.join(known)}." if known else " It takes none."
            msg = f"unknown option {name!r} in a {parts.scheme}:// URL.{hint}{among}"
            raise ConfigurationError(msg)
        try:
            options[name] = known[name](text)
        except ValueError:
            msg = f"option {name}={text!r} in a {parts.scheme}:// URL is not a {_WANTED[known[name]]}."
            raise ConfigurationError(msg) from None
    return options


def _local(parts: SplitResult, options: dict[str, Any]) -> Address:
    path = unquote(parts.path) or None
    if parts.netloc or (parts.scheme == "memory" and path):
        form = "embedded:///an/absolute/directory (three slashes)" if parts.scheme == "embedded" else "memory://"
        msg = f"{parts.scheme}:// takes no host: write {form}."
        raise ConfigurationError(msg)
    return Address(parts.scheme, f"{parts.scheme}://{path or ''}", path, options)


def _unix(parts: SplitResult, options: dict[str, Any]) -> Address:
    path = unquote(parts.path)
    if not path or parts.hostname:
        msg = "a unix:// URL needs the absolute path of a socket: unix:///run/valkey/valkey.sock (three slashes)."
        raise ConfigurationError(msg)
    most = options.pop("max_connections", MAX_CONNECTIONS)
    return Address("unix", f"unix://{path}", path, {**options, "path": path}, most)


def _tcp(parts: SplitResult, options: dict[str, Any]) -> Address:
    try:
        port = parts.port or 6379
    except ValueError:
        msg = f"the port of a {parts.scheme}:// URL must be a number from 1 to 65535 (is a '/', '@' or '#' in the password not escaped?)."
        raise ConfigurationError(msg) from None
    database = parts.path.strip("/")
    if database and (not database.isascii() or not database.isdigit() or "db" in options):
        msg = f"the path of a {parts.scheme}:// URL is the number of the database, as in {parts.scheme}://localhost:6379/0."
        raise ConfigurationError(msg)
    if parts.fragment:
        msg = f"a {parts.scheme}:// URL has no '#' part: escape a '#' in the password as %23."
        raise ConfigurationError(msg)
    if database:
        options["db"] = int(database)
    host = unquote(parts.hostname or "localhost")
    shown = f"{parts.scheme}://{host}:{port}/{options.get('db', 0)}"
    most = options.pop("max_connections", MAX_CONNECTIONS)
    return Address(parts.scheme, shown, None, {**options, "host": host, "port": port}, most)
