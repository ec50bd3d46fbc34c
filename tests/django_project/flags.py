"""A module that a process may not have loaded when it finds an instance of its class in the cache."""

from dataclasses import dataclass


@dataclass
class Flag:
    name: str
