"""Train compression dictionaries from what is stored, function by function."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from afresh.cache import Cache
from afresh.codec.compression import compress, decompress
from afresh.codec.dictionaries import Dictionaries, number_of, train
from afresh.codec.values import FOREIGN, INTEGER
from afresh.core.dictionaries import CURRENT, fetch_dictionary, take_newest
from afresh.core.envelope import Entry, Flag, parse
from afresh.core.keys import Namespace, dictionaries_of
from afresh.core.ops import Get, HashGet, HashSet, Scan
from afresh.core.ports import Ports
from afresh.core.units import size_bytes
from afresh.errors import ConfigurationError, StoreError, UndecodablePayload
from afresh.runtime.run_now import run_now

__all__ = ["configure", "run"]

_BATCH = 200
# A dictionary wants about ten times its size to learn from.
_SHARE = 10
_SMALLEST = 256
_LEAST_SAMPLES = 20
# One sample of so many is kept back, to measure what the dictionary is worth.
_KEPT_BACK = 5
# A new one is published if it saves at least this part of what is stored today.
_WORTH = 0.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--url", help="of the server; default: AFRESH_URL")
    parser.add_argument("--namespace", default="afresh", help="of the cache; default: afresh")
    parser.add_argument("--function", help="only this one: its name in keys, module.qualname unless you gave another")
    parser.add_argument("--samples", type=int, default=2000, help="how many results of a function to learn from; default: 2000")
    parser.add_argument("--size", default="16KiB", help="of a dictionary, at most; default: 16KiB")
    parser.add_argument("--dry-run", action="store_true", help="measure, and publish nothing")


def run(options: argparse.Namespace) -> int:
    """Train, measure and publish. Status 0 if every function has what it can get, 1 if there was nothing to learn from."""
    _require_zstandard()
    most_bytes = size_bytes(options.size, what="--size")
    if options.samples < _LEAST_SAMPLES:
        raise ConfigurationError(f"--samples={options.samples} is too few to learn from: {_LEAST_SAMPLES} at least.")
    with Cache(options.url, namespace=options.namespace, budget="5s") as cache:
        ports, namespace = cache._engine.sync_ports(), cache._engine.namespace  # noqa: SLF001  a command works on the engine
        found = _functions(ports, namespace, options.function, options.samples)
        if not found:
            print(f"no results are stored in namespace {options.namespace!r}" + (f" of {options.function}" if options.function else ""))
            return 1
        print(f"{'function':<44} {'samples':>8} {'today':>9} {'then':>9}  dictionary")
        for identity, keys in sorted(found.items()):
            _train(ports, Dictionaries(dictionaries_of(namespace, identity)), identity, keys, most_bytes, dry_run=options.dry_run)
    return 0


def _require_zstandard() -> None:
    try:
        import zstandard  # noqa: F401  for that alone
    except ImportError:
        raise ConfigurationError("dictionaries are zstandard's, which is not installed: pip install 'afresh[zstd]'.") from None


def _functions(ports: Ports, namespace: Namespace, name: str | None, most: int) -> dict[str, list[str]]:
    """Return up to so many value keys of each function, by its id."""
    begins = f"{namespace.name}:v:{{f"
    pattern = re.sub(r"([*?\[\]\\])", r"\\\1", begins) + "*"
    found: dict[str, list[str]] = {}
    for at, key in enumerate(_scan(ports, pattern), 1):
        match = re.fullmatch(r"\{(f(?::[^:#]*|#[0-9a-f]{32})).*\}", key[len(begins) - 2 :], re.DOTALL)
        if match and (name is None or match[1].partition("@")[0] == f"f:{name}"):
            keys = found.setdefault(match[1], [])
            if len(keys) < most:
                keys.append(key)
        if at % 10_000 == 0:
            print(f"looked at {at:,} keys …", file=sys.stderr)
    return found


def _scan(ports: Ports, pattern: str) -> Iterator[str]:
    cursor = 0
    while True:
        (reply,) = run_now(ports.store.flight((Scan(cursor, pattern, 1000),)))
        if isinstance(reply, StoreError):
            raise reply
        cursor = int(reply[0])
        yield from (key.decode("utf-8", "surrogatepass") for key in reply[1])
        if not cursor:
            return


@dataclass(slots=True)
class _Worth:
    """What results take that a dictionary was not made from."""

    today_bytes: int = 0
    then_bytes: int = 0

    @property
    def saves(self) -> bool:
        return self.then_bytes <= self.today_bytes * (1 - _WORTH)


def _train(ports: Ports, dictionaries: Dictionaries, identity: str, keys: Sequence[str], most_bytes: int, *, dry_run: bool) -> None:
    (told,) = run_now(ports.store.flight((HashGet(dictionaries.key, (CURRENT,)),)))
    run_now(take_newest(ports, dictionaries, told))
    payloads = list(_payloads(ports, dictionaries, keys))
    learned = [payload for at, payload in enumerate(payloads) if at % _KEPT_BACK]
    size = min(most_bytes, sum(map(len, learned)) // _SHARE)
    content = train(learned, size) if len(payloads) >= _LEAST_SAMPLES and size >= _SMALLEST else None
    if content is None:
        _report(identity, len(payloads), None, "too little to learn from")
        return
    worth = _worth(dictionaries, content, payloads[::_KEPT_BACK])
    number, size_kib = number_of(content), len(content) / 1024
    if not worth.saves:
        _report(identity, len(payloads), worth, "not worth it: unchanged")
    elif dry_run:
        _report(identity, len(payloads), worth, f"{size_kib:.1f} KiB, not published (--dry-run)")
    else:
        (reply,) = run_now(ports.store.flight((HashSet(dictionaries.key, (str(number), content, CURRENT, str(number))),)))
        if isinstance(reply, StoreError):
            raise reply
        _report(identity, len(payloads), worth, f"{size_kib:.1f} KiB, number {number}, in use within a minute")


def _report(identity: str, samples: int, worth: _Worth | None, result: str) -> None:
    kept_back = -(-samples // _KEPT_BACK)
    sizes = ("", "") if worth is None else (f"{worth.today_bytes / kept_back:,.0f} B", f"{worth.then_bytes / kept_back:,.0f} B")
    print(f"{identity.partition(':')[2] or identity:<44} {samples:>8,} {sizes[0]:>9} {sizes[1]:>9}  {result}")


def _payloads(ports: Ports, dictionaries: Dictionaries, keys: Sequence[str]) -> Iterator[bytes]:
    """Return what is stored under these keys, as it was before compression; not what is signed, or made by codecs from outside afresh."""
    left = iter(keys)
    while batch := list(islice(left, _BATCH)):
        for raw in run_now(ports.store.flight([Get(key) for key in batch])):
            entry = parse(raw) if isinstance(raw, bytes) else None
            if entry is not None and entry.codec != INTEGER and entry.codec < FOREIGN and not entry.flags & Flag.SIGNED:
                run_now(fetch_dictionary(ports, dictionaries, entry))
                try:
                    yield _uncompressed(dictionaries, entry)
                except UndecodablePayload:
                    continue


def _uncompressed(dictionaries: Dictionaries, entry: Entry) -> bytes:
    most = 2**26
    if not entry.flags & Flag.COMPRESSED:
        return bytes(entry.payload)
    if entry.dictionary:
        return dictionaries.decompress(entry.dictionary, entry.payload, most)
    return decompress(entry.payload, most)


def _worth(dictionaries: Dictionaries, content: bytes, payloads: Sequence[bytes]) -> _Worth:
    trial = Dictionaries(dictionaries.key)
    trial.current = number_of(content)
    trial.know(trial.current, content)
    worth = _Worth()
    for payload in payloads:
        worth.today_bytes += _stored_bytes(dictionaries, payload)
        worth.then_bytes += _stored_bytes(trial, payload)
    return worth


def _stored_bytes(dictionaries: Dictionaries, payload: bytes) -> int:
    packed = dictionaries.compress(payload)
    return len(packed[1] if packed else compress(payload) or payload)
