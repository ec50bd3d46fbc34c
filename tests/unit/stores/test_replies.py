from __future__ import annotations

import pytest

from afresh.errors import StoreUnavailable
from afresh.stores.replies import refused, unavailable


@pytest.mark.parametrize(
    ("text", "code", "advice"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "OOM", "raise maxmemory"),
        ("READONLY You can't write against a read only replica.", "READONLY", "connect to the primary"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE", "choose another namespace"),
        ("NOPERM this user has no permissions to run the 'set' command", "NOPERM", "ACL"),
        ("ERR ACL failure in script: User x has no permissions to run the 'set' command", "NOPERM", "ACL"),
        ("ERR The user executing the script can't run this command or subcommand script: 36, on @user_script:1.", "NOPERM", "ACL"),
        ("LOADING Valkey is loading the dataset in memory", "LOADING", "it will answer soon"),
        ("ERR something unheard of", "ERR", "See the server log"),
        ("", "ERR", "See the server log"),
    ],
)
def test_an_error_reply_becomes_a_code_and_advice(text: str, code: str, advice: str) -> None:
    error = refused(text)

    assert error.code == code
    assert advice in str(error)


def test_arguments_that_the_server_repeats_are_left_out() -> None:
    error = refused("ERR unknown command 'X', with args beginning with: 'a cached value' ")

    assert "a cached value" not in str(error)


def test_a_long_reply_is_cut() -> None:
    assert len(str(refused("ERR " + "x" * 10_000))) < 400


@pytest.mark.parametrize(("error", "said"), [(TimeoutError(), "did not answer in time"), (ConnectionRefusedError(), "was not reached")])
def test_a_server_that_is_not_there_is_told_from_one_that_is_slow(error: Exception, said: str) -> None:
    told = unavailable("redis://h:6379/0", error)

    assert isinstance(told, StoreUnavailable)
    assert str(told).startswith(f"redis://h:6379/0 {said}")
    assert told.is_timeout is isinstance(error, TimeoutError)
