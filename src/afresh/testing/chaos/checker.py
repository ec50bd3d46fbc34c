"""Does a history keep the contract? Pure: events go in, and what is broken comes out, clause by clause.

Let an invalidation of a scope be called at C and have its effect at T: when it returned with a receipt `applied`, or was reported
replayed, or, for a transaction under a mark, when COMMIT returned. Then, for each read of an entry in that scope, by the moments of its
start and of the start of the compute that its value came of:

1. Redis tier: read after T ⇒ computed at C or later.
2. Near tier: read after T + `max_stale` ⇒ computed at C or later; by the process that invalidated, already after T.
3. Commits under a mark: as 1 and 2, with the COMMIT for the invalidation.
4. Failures: no read raises; a read spends no more than the budget, and a margin, besides computes and waiting for them, or for a lease
   whose holder died, or lost the reply that told it so; every value came of a compute of its own entry; what was not applied is replayed,
   and until then its own process returns nothing computed before it.

What the contract leaves out is not judged, and counted: a commit within which the server lost data, and, after a failover,
invalidations that the old primary acknowledged last. Invalidations that were cancelled, or whose process was killed in the middle, promise
nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from afresh.testing.chaos.history import Compute, Fault, History, Invalidation, Outcome, Read, Tier
from afresh.testing.chaos.places import companions, scopes_of, shown

__all__ = ["FAILOVER", "LOSES_MARKS", "STOPS_CLIENTS", "Clause", "Coverage", "Report", "Terms", "Violation", "check"]

# A replica follows the primary from the start of this fault on, and is in its place at the end.
FAILOVER: Final = "failover"
# Faults that may take both names of an open transaction's mark away.
LOSES_MARKS: Final = frozenset(("FLUSHALL", "restart, empty", "restart, snapshot", "eviction", FAILOVER))
# Faults that make clients stand still, with the leases that they hold.
STOPS_CLIENTS: Final = frozenset(("SIGSTOP of a client", "kill -9", "kill -9 right after COMMIT"))
# Faults under which every claim still learns that it has its lease, and can give it up.
ORPHANS_NO_LEASE: Final = frozenset(("FLUSHALL", "eviction", "SCRIPT FLUSH"))
# A fault's effects are looked for until so long after its end.
_AFTERMATH_NS: Final = 2_000_000_000
_SLICE_NS: Final = 100_000_000


@dataclass(frozen=True)
class Terms:
    """What was promised in this run, in ns.

    Attributes:
        budget_ns: what a call may spend on the server.
        margin_ns: what a call may take longer on a machine that is busy, or stopped.
        max_stale_ns: of the near tier.
        lease_ns: how long a dead process's claim keeps others waiting.
        replays: whether queued invalidations are replayed.
    """

    budget_ns: int = 250_000_000
    margin_ns: int = 2_000_000_000
    max_stale_ns: int = 2_000_000_000
    lease_ns: int = 5_000_000_000
    replays: bool = True


class Violation(NamedTuple):
    """What broke a clause: in words, and the events."""

    what: str
    events: tuple[object, ...]


class Coverage(NamedTuple):
    """How often a kind of fault happened, and how often with operations that the clause judged."""

    happened: int
    judged: int


@dataclass
class Clause:
    """One clause's verdict.

    Attributes:
        title: what it is about.
        judged: how many operations it was held against.
        broken: what broke it.
        unjudged: how many it leaves out, by reason.
        covered: the faults that it was held under.
    """

    title: str
    judged: int = 0
    broken: list[Violation] = field(default_factory=list)
    unjudged: Counter[str] = field(default_factory=Counter)
    covered: dict[str, Coverage] = field(default_factory=dict)
    _slices: set[int] = field(default_factory=set, repr=False)

    def judge(self, at_ns: int) -> None:
        """Count an operation that began at this moment."""
        self.judged += 1
        self._slices.add(at_ns // _SLICE_NS)

    def cover(self, faults: Iterable[Fault]) -> None:
        """Find out which faults its operations met."""
        slices = sorted(self._slices)
        happened, judged = Counter[str](), Counter[str]()
        for fault in faults:
            if fault.happened:
                first = bisect_left(slices, fault.start_ns // _SLICE_NS)
                met = first < len(slices) and slices[first] <= (fault.end_ns + _AFTERMATH_NS) // _SLICE_NS
                happened[fault.kind] += 1
                judged[fault.kind] += met
        self.covered = {kind: Coverage(count, judged[kind]) for kind, count in sorted(happened.items())}


@dataclass
class Report:
    """The verdict on a run.

    Attributes:
        clauses: by number.
        reads: how many there were.
        hits: how many were served what had been computed before they began.
        computes: how many were started.
        invalidations: how many, by what became of them.
        stale: reads that returned what an invalidation or a commit forbids.
        lost: invalidations that a read after the calm contradicts, or that were queued and never replayed.
        longest_ns: the longest read in all.
        worst_ns: the longest that a read took besides computes and waiting for them.
    """

    clauses: dict[int, Clause]
    reads: int = 0
    hits: int = 0
    computes: int = 0
    invalidations: Counter[str] = field(default_factory=Counter)
    stale: int = 0
    lost: int = 0
    longest_ns: int = 0
    worst_ns: int = 0

    @property
    def is_kept(self) -> bool:
        """Whether no clause is broken."""
        return not any(clause.broken for clause in self.clauses.values())


def check(history: History, terms: Terms) -> Report:
    """Judge a run. Cost: a few µs for each read."""
    report = Report(
        {
            1: Clause("no stale read of the Redis tier"),
            2: Clause("the near tier within max_stale, its own process at once"),
            3: Clause("nothing from before a COMMIT, even if its writer dies"),
            4: Clause("reads never raise nor exceed the budget; no invalidation is lost"),
        }
    )
    report.computes = len(history.computes)
    report.invalidations = Counter(_fate(each, history) for each in history.invalidations)
    judge = _Judge(history, terms, report)
    for read in history.reads:
        judge.read(read)
    judge.failures()
    report.lost += len(judge.lost)
    for clause in report.clauses.values():
        clause.cover(history.faults)
    return report


def _fate(invalidation: Invalidation, history: History) -> str:
    if invalidation.outcome != Outcome.QUEUED:
        return Outcome(invalidation.outcome).name.lower()
    return "replayed" if (invalidation.process, invalidation.number) in history.replayed else "not applied"


class _Floors:
    """From when on nothing older may be served, for each scope: invalidations by the moment of their effect."""

    def __init__(self, effects: Iterable[tuple[int, Invalidation]] = ()) -> None:
        self._moments: defaultdict[int, list[int]] = defaultdict(list)
        self._newest: defaultdict[int, list[Invalidation]] = defaultdict(list)
        for moment, each in sorted(effects):
            newest = self._newest[each.scope]
            newest.append(each if not newest or each.start_ns > newest[-1].start_ns else newest[-1])
            self._moments[each.scope].append(moment)

    def broken_by(self, read: Read, at_ns: int) -> Invalidation | None:
        """Return the newest invalidation whose effect came before this moment and that the read's value is older than."""
        found: Invalidation | None = None
        for scope in scopes_of(read.entry):
            moments = self._moments.get(scope)
            if moments and (count := bisect_left(moments, at_ns)):
                newest = self._newest[scope][count - 1]
                if read.computed_ns < newest.start_ns and (found is None or newest.start_ns > found.start_ns):
                    found = newest
        return found


class _Judge:
    """Holds each event against the clauses."""

    def __init__(self, history: History, terms: Terms, report: Report) -> None:
        self._history, self._terms, self._report = history, terms, report
        self.lost: set[tuple[int, int]] = set()
        effects = list(self._effects())
        self._applied = _Floors(each for each in effects if each[1].outcome != Outcome.COMMITTED)
        self._committed = _Floors(each for each in effects if each[1].outcome == Outcome.COMMITTED)
        self._queued = self._own_floors(Outcome.QUEUED) if terms.replays else {}
        self._own = self._own_floors(Outcome.APPLIED)
        self._busy = _Busy(history, terms)

    def _own_floors(self, outcome: Outcome) -> dict[int, _Floors]:
        """Return what each process may not serve any more once its own invalidations have returned."""
        own: defaultdict[int, list[tuple[int, Invalidation]]] = defaultdict(list)
        for each in self._history.invalidations:
            if each.outcome == outcome:
                own[each.process].append((each.end_ns, each))
        return {process: _Floors(mine) for process, mine in own.items()}

    def _effects(self) -> Iterator[tuple[int, Invalidation]]:
        """Yield each invalidation with the moment from which it counts; count those that the contract leaves out."""
        clauses = self._report.clauses
        failovers = [fault for fault in self._history.faults if fault.kind == FAILOVER and fault.happened]
        of_marks = [fault for fault in self._history.faults if fault.kind in LOSES_MARKS and fault.happened]
        for each in self._history.invalidations:
            moment: int | None = each.end_ns
            if each.outcome == Outcome.QUEUED:
                moment = self._history.replayed.get((each.process, each.number))
            if moment is None:
                continue
            if any(fault.start_ns <= moment <= fault.end_ns for fault in failovers):
                clauses[1].unjudged["acknowledged just before a failover: asynchronous replication may lose it"] += 1
            elif each.outcome == Outcome.COMMITTED and any(f.end_ns >= each.since_ns and f.start_ns <= each.end_ns for f in of_marks):
                clauses[3].unjudged["the server lost data within the transaction"] += 1
            else:
                yield moment, each

    def read(self, read: Read) -> None:
        """Hold a read against every clause."""
        report, clauses = self._report, self._report.clauses
        report.reads += 1
        report.hits += read.computed_ns < read.start_ns
        tier, at_ns = (2, read.start_ns - self._terms.max_stale_ns) if read.tier == Tier.NEAR else (1, read.start_ns)
        clauses[tier].judge(read.start_ns)
        clauses[4].judge(read.start_ns)
        own = self._own.get(read.process, _NO_FLOORS).broken_by(read, read.start_ns)  # a process sees its own effect at once, near too
        queued = self._queued.get(read.process, _NO_FLOORS).broken_by(read, read.start_ns)
        forbidding = {tier: own or self._applied.broken_by(read, at_ns), 4: queued}
        if report.invalidations["committed"]:
            clauses[3].judge(read.start_ns)
            forbidding[3] = self._committed.broken_by(read, at_ns)
        report.stale += any(forbidding.values())
        for number, each in forbidding.items():
            if each is not None:
                self._stale(number, read, each)
        self._of_a_compute(read)
        self._in_time(read)

    def _stale(self, number: int, read: Read, forbidding: Invalidation) -> None:
        if self._history.calm_since_ns and read.start_ns > self._history.calm_since_ns:
            self.lost.add((forbidding.process, forbidding.number))
        late_ms = (read.start_ns - forbidding.end_ns) / 1e6
        old_ms = (forbidding.start_ns - read.computed_ns) / 1e6
        what = f"{shown(read.entry)} read {late_ms:.1f} ms after {shown(forbidding.scope)} was invalidated, computed {old_ms:.1f} ms before"
        self._broken(number, what, read, forbidding, self._history.computes.get(read.compute))

    def _of_a_compute(self, read: Read) -> None:
        compute = self._history.computes.get(read.compute)
        if compute is None or compute.entry != read.entry or compute.start_ns != read.computed_ns:
            self._broken(4, f"{shown(read.entry)} returned a value that no compute of it made", read, compute)

    def _in_time(self, read: Read) -> None:
        taken_ns, terms = read.end_ns - read.start_ns, self._terms
        self._report.longest_ns = max(self._report.longest_ns, taken_ns)
        if taken_ns <= min(self._report.worst_ns, terms.budget_ns + terms.margin_ns):
            return
        waited_ns = self._busy.within(read.entry, read.start_ns, read.end_ns)
        # What was not served as it was there, or came with others that were not, may have waited for a lease that nobody held any more.
        if read.computed_ns >= read.start_ns or len(companions(read.entry)) > 1:
            waited_ns += min(terms.lease_ns, self._busy.orphaned(read.start_ns, read.end_ns))
        spent_ns = max(0, taken_ns - waited_ns)
        self._report.worst_ns = max(self._report.worst_ns, spent_ns)
        # Who waits for a flight waits for its leader's round trips too, which have a budget of their own.
        if spent_ns > (2 if waited_ns else 1) * terms.budget_ns + terms.margin_ns:
            self._broken(
                4, f"{shown(read.entry)} took {taken_ns / 1e6:.0f} ms, {spent_ns / 1e6:.0f} of them neither computing nor waiting", read
            )

    def failures(self) -> None:
        """Hold what is no read against clause 4."""
        clause, terms, history = self._report.clauses[4], self._terms, self._history
        for raised in history.raised:
            clause.judge(raised.start_ns)
            self._broken(4, f"reading {shown(raised.entry)} raised; its client's log has the traceback", raised)
        for each in history.invalidations:
            if each.outcome == Outcome.COMMITTED:
                continue
            clause.judge(each.start_ns)
            spent_ns = each.end_ns - each.start_ns - self._busy.stopped(each.start_ns, each.end_ns)
            if spent_ns > terms.budget_ns + terms.margin_ns:
                self._broken(4, f"invalidating {shown(each.scope)} took {spent_ns / 1e6:.0f} ms", each)
            if not terms.replays or each.outcome == Outcome.APPLIED or (each.process, each.number) in history.replayed:
                continue
            if each.process in history.died_at:
                clause.unjudged["queued by a process that was killed"] += 1
            else:
                self.lost.add((each.process, each.number))
                self._broken(4, f"the invalidation of {shown(each.scope)} was queued and never replayed", each)

    def _broken(self, number: int, what: str, *events: object) -> None:
        self._report.clauses[number].broken.append(Violation(what, events))


_NO_FLOORS: Final = _Floors()


class _Busy:
    """When a caller of an entry may have been computing, or waiting for a compute or for a process that stands still."""

    def __init__(self, history: History, terms: Terms) -> None:
        lease_ns = terms.lease_ns
        # A process that is stopped or killed may hold a lease; nobody waits for it longer than that lives.
        still = [(each.start_ns, each.end_ns + lease_ns) for each in history.faults if each.kind in STOPS_CLIENTS]
        self._still = _Union(still)
        # A claim whose reply is lost, or an end that is, leaves a lease that nobody knows of.
        self._orphaning = _Union((each.start_ns, each.end_ns + lease_ns) for each in history.faults if each.kind not in ORPHANS_NO_LEASE)
        computes: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for each in history.computes.values():
            computes[each.entry].append((each.start_ns, _end_of(each, history, lease_ns)))
        self._computing = {
            entry: _Union([*still, *(one for other in companions(entry) for one in computes.get(other, ()))]) for entry in computes
        }

    def within(self, entry: int, start_ns: int, end_ns: int) -> int:
        """Return how much of an interval it was, in ns."""
        return self._computing.get(entry, self._still).within(start_ns, end_ns)

    def orphaned(self, start_ns: int, end_ns: int) -> int:
        """Return for how much of an interval there may have been a lease without a holder."""
        return self._orphaning.within(start_ns, end_ns)

    def stopped(self, start_ns: int, end_ns: int) -> int:
        """Return for how much of an interval a process stood still, or its leases lived on."""
        return self._still.within(start_ns, end_ns)


def _end_of(compute: Compute, history: History, lease_ns: int) -> int:
    if compute.end_ns:
        return compute.end_ns
    # It raised, was cancelled, or its process died: then its lease lapses.
    return history.died_at.get(compute.process, compute.start_ns) + lease_ns


class _Union:
    """A union of intervals."""

    def __init__(self, intervals: Iterable[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(intervals):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def within(self, start: int, end: int) -> int:
        """Return how much of an interval lies in the union."""
        total = 0
        for at in range(bisect_right(self._ends, start), len(self._starts)):
            if self._starts[at] >= end:
                break
            total += min(end, self._ends[at]) - max(start, self._starts[at])
        return total
