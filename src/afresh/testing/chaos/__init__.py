"""The chaos harness: fleets of clients on a server in trouble, and their history held against the contract."""
