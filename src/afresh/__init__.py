"""afresh: caching for Python on Redis and Valkey that you can trust."""
