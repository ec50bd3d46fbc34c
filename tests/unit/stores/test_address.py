"""URLs that cannot be, and what is not repeated of them."""

from __future__ import annotations

import pytest

from afresh import Cache, ConfigurationError, NotAvailable
from afresh.stores.address import MAX_CONNECTIONS, parse_url


@pytest.mark.parametrize(
    ("url", "shown", "options"),
    [
        ("redis://localhost", "redis://localhost:6379/0", {"host": "localhost", "port": 6379}),
        ("redis://", "redis://localhost:6379/0", {"host": "localhost", "port": 6379}),
        ("redis://h:7/3", "redis://h:7/3", {"host": "h", "port": 7, "db": 3}),
        ("redis://h/?db=3", "redis://h:6379/3", {"host": "h", "port": 6379, "db": 3}),
        ("redis://[::1]:7", "redis://::1:7/0", {"host": "::1", "port": 7}),
        ("redis://u:p%40%2Fw@h", "redis://h:6379/0", {"host": "h", "port": 6379, "username": "u", "password": "p@/w"}),
        ("redis://:p@h?client_name=n", "redis://h:6379/0", {"host": "h", "port": 6379, "password": "p", "client_name": "n"}),
        ("unix:///run/s", "unix:///run/s", {"path": "/run/s"}),
        ("unix://u:p@/run/s?db=2", "unix:///run/s", {"path": "/run/s", "db": 2, "username": "u", "password": "p"}),
        ("unix:///run/a%20b", "unix:///run/a b", {"path": "/run/a b"}),
        ("memory://", "memory://", {}),
        ("memory://?max_entries=5", "memory://", {"max_entries": 5}),
        ("embedded://", "embedded://", {}),
        ("embedded:///dir", "embedded:///dir", {}),
        (
            "rediss://h?ssl_cert_reqs=none&ssl_check_hostname=no&ssl_ca_certs=/ca",
            "rediss://h:6379/0",
            {"host": "h", "port": 6379, "ssl_cert_reqs": "none", "ssl_check_hostname": False, "ssl_ca_certs": "/ca"},
        ),
    ],
)
def test_a_url_says_where_and_how(url: str, shown: str, options: dict[str, object]) -> None:
    address = parse_url(url)

    assert address.shown == shown
    assert dict(address.options) == options
    assert address.scheme == url.partition(":")[0]


def test_an_address_shows_no_secret() -> None:
    address = parse_url("redis://some-user:some-word@h/0")

    assert "some-" not in repr(address)
    assert "some-" not in address.shown


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:6379", "must look like redis://localhost:6379/0; what was given has no scheme"),
        ("", "what was given has no scheme"),
        (
            "reddis://h",
            r"unknown URL scheme reddis://\. Did you mean redis://\? One of: redis://, rediss://, unix://, memory://, embedded://",
        ),
        ("http://h", r"unknown URL scheme http://\. One of: "),
        ("redis://h?max_connections=0", "max_connections='0' in a redis:// URL is not a number from 1 up"),
        ("redis://h?timeuot=1", r"unknown option 'timeuot' in a redis:// URL\. It takes: db, client_name"),
        ("redis://h?client_nam=1", r"Did you mean 'client_name'\?"),
        ("embedded://?db=1", "It takes none"),
        ("rediss://h?ssl_check_hostname=perhaps", "is not a yes or no"),
        ("redis://h/one", "the path of a redis:// URL is the number of the database"),
        ("redis://h/1?db=2", "the path of a redis:// URL is the number of the database"),
        ("redis://h:99999", "must be a number from 1 to 65535"),
        ("redis://h/0#1", "escape a '#' in the password as %23"),
        ("unix://run/s", r"needs the absolute path of a socket: unix:///run/valkey/valkey\.sock"),
        ("unix://", "needs the absolute path of a socket"),
        ("memory://host", "no host: write memory://"),
        ("memory:///path", "no host: write memory://"),
        ("embedded://dir", r"write embedded:///an/absolute/directory \(three slashes\)"),
    ],
)
def test_a_url_that_cannot_be_says_what_is_wrong(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Cache(url)


@pytest.mark.parametrize("url", [None, 7, b"redis://h"])
def test_what_is_no_text_is_no_url(url: object) -> None:
    with pytest.raises(ConfigurationError, match="what was given has no scheme"):
        parse_url(url)


@pytest.mark.parametrize("scheme", ["redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"])
def test_clusters_and_sentinels_are_for_later(scheme: str) -> None:
    with pytest.raises(NotAvailable, match=r"not available in this version: use redis:// to one primary"):
        Cache(f"{scheme}://:hidden@h")


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:hid℀den@host",
        "redis://:pass?hidden@host/0",
        "redis://:123?hidden=word@host/0",
        "redis://user:hidden@[::1",
        "redis://:123/hidden@host",
        "redis://:123#hidden@host",
        "redis://:hidden/word@host",
        "redis://:hidden@host:port/0",
        "hidden://:hidden@host",
        ":hidden@host",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Cache(url)
    assert "hid" not in str(caught.value).replace("hidden://", "")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("url", ["redis://host/?db=-1", "redis://host/?db=1_0", "memory://?max_entries=-5", "redis://host/?db="])
def test_an_option_that_is_no_number_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a number"):
        Cache(url)


def test_how_many_connections_there_may_be_is_no_option_of_a_connection() -> None:
    address = parse_url("redis://h?max_connections=7")

    assert address.max_connections == 7
    assert "max_connections" not in address.options
    assert parse_url("unix:///s").max_connections == MAX_CONNECTIONS
