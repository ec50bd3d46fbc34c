"""A result in words, for people."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import fill

from afresh.testing.chaos.checker import Clause, Report
from afresh.testing.chaos.fleet import Result

__all__ = ["LIMITS", "rendered"]

LIMITS = (
    "Not promised, and so not judged: a bare put() or set() that races another writer; what an old primary acknowledged last before a "
    "failover; a transaction within which the server loses its mark; invalidations whose caller was cancelled or killed "
    "before it got a receipt."
)
_SHOWN = 5
_WIDTH = 120


def rendered(result: Result) -> str:
    """Return what a run found, clause by clause, with the first operations that broke each."""
    return "\n".join(_lines(result))


def _lines(result: Result) -> Iterator[str]:
    report = result.report
    fates = ", ".join(f"{count:,} {fate}" for fate, count in sorted(report.invalidations.items()))
    yield f"operations          {report.reads:,} reads, {report.computes:,} computes"
    yield f"invalidations       {report.invalidations.total():,}: {fates}"
    yield f"hit ratio           {report.hits / max(1, report.reads):.1%}"
    yield f"near hits           {result.history.near_hits:,}, of clients that lived to tell"
    yield f"stale reads         {report.stale}"
    yield f"lost invalidations  {report.lost}"
    yield f"worst read          {report.longest_ns / 1e6:,.0f} ms, {_worst(report)} of it neither computing nor waiting for a compute"
    yield f"faults              {_faults(result)}"
    for number, clause in report.clauses.items():
        yield from _clause(number, clause)
    yield fill(LIMITS, _WIDTH)
    yield from (f"FAILED: {each}" for each in result.failed)


def _worst(report: Report) -> str:
    # Shorter ones were not looked into.
    return f"{report.worst_ns / 1e6:,.0f} ms" if report.worst_ns else "the budget and its margin at most"


def _faults(result: Result) -> str:
    tried: dict[str, list[int]] = {}
    for fault in result.history.faults:
        tried.setdefault(fault.kind, []).append(fault.happened)
    return ", ".join(f"{kind} {sum(1 for each in happened if each)}/{len(happened)}" for kind, happened in sorted(tried.items()))


def _clause(number: int, clause: Clause) -> Iterator[str]:
    verdict = "not tried" if not clause.judged else f"BROKEN {len(clause.broken)} times" if clause.broken else "kept"
    yield f"clause {number}: {clause.title}: {verdict}, {clause.judged:,} operations"
    if clause.judged:
        covered = ", ".join(f"{kind} {count.judged}" for kind, count in clause.covered.items() if count.judged)
        yield fill(f"under {covered or 'no faults'}", _WIDTH, initial_indent="    ", subsequent_indent="    ")
    for reason, count in clause.unjudged.items():
        yield f"    not judged: {count:,}: {reason}"
    for violation in clause.broken[:_SHOWN]:
        yield f"  ! {violation.what}"
        yield from (f"      {event}" for event in violation.events)
