"""What is measured: ``python -m benchmarks`` runs every module of this folder that has ``comparisons()``.

Absolute times differ from machine to machine; only the ratio of two candidates of one comparison, measured in turn in one run, holds.
The first candidate is what the others are divided by: mostly the **floor**, a bare blocking socket with hiredis and the decoding.
An aim holds if the upper end of the ratio's interval is within it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Comparison", "Run", "Timed"]

# Runs an operation that many times and returns how many seconds that took.
Timed = Callable[[int], float]


class Run(NamedTuple):
    """What an area gets to measure with.

    Attributes:
        host: of a Valkey of this run's own.
        port: of the same.
        rounds: how many samples to take of each candidate.
    """

    host: str
    port: int
    rounds: int

    @property
    def url(self) -> str:
        """For clients."""
        return f"redis://{self.host}:{self.port}/0"


@dataclass(frozen=True)
class Comparison:
    """Several ways to do one piece of work.

    Attributes:
        work: what is done.
        samples: µs per operation by candidate, one for each round; those of one round were taken one right after the other.
        aims: the greatest ratio to the first candidate that is aimed at, by candidate.
        unit: of the samples, where they are not µs.
        profiles: shows where a candidate's time goes, a line each; by candidate. To be called before the area goes on.
        note: what else was found, a sentence.
    """

    work: str
    samples: Mapping[str, Sequence[float]]
    aims: Mapping[str, float] = field(default_factory=dict)
    unit: str = "µs"
    profiles: Mapping[str, Callable[[], Iterable[str]]] = field(default_factory=dict)
    note: str = ""

    @property
    def first(self) -> str:
        """The candidate that the others are divided by."""
        return next(iter(self.samples))

    def median_us(self, candidate: str) -> float:
        """Return what one operation costs."""
        return statistics.median(self.samples[candidate])

    def spread_us(self, candidate: str) -> tuple[float, float]:
        """Return the tenth and the ninetieth percentile."""
        deciles = statistics.quantiles(self.samples[candidate], n=10, method="inclusive")
        return deciles[0], deciles[-1]

    def ratio(self, candidate: str) -> float:
        """Return how many times the first candidate's cost this one's is: the median over the rounds."""
        return statistics.median(self._ratios(candidate))

    def ratio_interval(self, candidate: str) -> tuple[float, float]:
        """Return between which two values that median lies, 95 times of a hundred: by rank, whatever the distribution."""
        ratios = sorted(self._ratios(candidate))
        reach = 0.98 * math.sqrt(len(ratios))
        low, high = math.floor(len(ratios) / 2 - reach), math.ceil(len(ratios) / 2 + reach)
        return ratios[max(0, low)], ratios[min(len(ratios) - 1, high)]

    def missed(self) -> list[str]:
        """Return the candidates whose aim does not hold: that the upper end of their interval is beyond."""
        return [candidate for candidate, aim in self.aims.items() if self.ratio_interval(candidate)[1] > aim]

    def _ratios(self, candidate: str) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.samples[candidate], self.samples[self.first], strict=True)]
