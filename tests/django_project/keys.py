"""A key function, for settings that name it by its path."""


def make_key(key: str, key_prefix: str, version: int) -> str:
    return f"mine:{key_prefix}:{version}:{key}"
