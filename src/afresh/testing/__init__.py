"""What afresh is tested with, for the tests of those who use it: waiting, and stepping through every interleaving."""

from afresh.testing.stepping import Exploration, Failure, explore, pause
from afresh.testing.waiting import wait_until, wait_until_async

__all__ = ["Exploration", "Failure", "explore", "pause", "wait_until", "wait_until_async"]
