"""Who has uncommitted writes stays apart from the others.

What it computes may rest on what nobody else sees yet, and what others compute does not show what it has written: it neither leads nor
joins a flight, and so takes no lease and stores nothing that it computes. Entries are served to it as to anybody.
"""

from __future__ import annotations

from contextvars import ContextVar

from afresh.core.transactions import Transaction

__all__ = ["enter", "is_apart", "leave"]

# The transactions of this thread or task, outermost first. Tasks that it starts inherit them, until they end.
_WRITING: ContextVar[tuple[Transaction, ...]] = ContextVar("afresh_writing", default=())


def is_apart() -> bool:
    """Say whether this thread or task has uncommitted writes."""
    writing = _WRITING.get()
    return bool(writing) and any(transaction.is_open for transaction in writing)


def enter(transaction: Transaction) -> None:
    """Stay apart until the transaction ends."""
    _WRITING.set((*_WRITING.get(), transaction))


def leave(transaction: Transaction) -> None:
    """Forget the transaction; also where other context variables hold than where it was entered."""
    _WRITING.set(tuple(each for each in _WRITING.get() if each is not transaction))
