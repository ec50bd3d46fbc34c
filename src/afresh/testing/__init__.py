"""What afresh is tested with, for the tests of those who use it: waiting, stepping through every interleaving, and a network that fails."""

from afresh.testing.proxy import FaultProxy
from afresh.testing.stepping import Exploration, Failure, explore, pause
from afresh.testing.waiting import wait_until, wait_until_async

__all__ = ["Exploration", "Failure", "FaultProxy", "explore", "pause", "wait_until", "wait_until_async"]
