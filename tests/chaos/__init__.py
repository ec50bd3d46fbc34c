"""Chaos: many processes on servers in trouble, and histories checked against the contract."""
