"""What a driver's error of Redis becomes."""

from __future__ import annotations

import pytest
from redis import exceptions as redis

from urlmon.errors import CorruptDataError, StoreError, UnavailableError
from urlmon_adapters.redis import build_topology
from urlmon_adapters.redis._errors import translate
from urlmon_adapters.redis._nodes import OneServer


def server_said(line: str) -> redis.RedisError:
    """Return what the driver makes of an error line."""
    from redis._parsers import BaseParser

    error = BaseParser.parse_error(line)
    assert isinstance(error, redis.RedisError)
    return error


IN_SCRIPT = "ERR Error running script (call to f_0af): @user_script:1: @user_script: 1: -"
NO_PASSWORD_SET = (
    "ERR AUTH <password> called without any password configured for the default user. Are you sure"
    " your configuration is correct?"
)


@pytest.mark.parametrize(
    ("line", "kind", "advice"),
    [
        ("OOM command not allowed", UnavailableError, "raise maxmemory"),
        (f"{IN_SCRIPT}OOM command not allowed", UnavailableError, "raise maxmemory"),
        (f"{IN_SCRIPT}READONLY You can't write", UnavailableError, "master"),
        ("READONLY You can't write", UnavailableError, "master"),
        ("LOADING Redis is loading", UnavailableError, "loading"),
        ("MISCONF Redis is configured to save", UnavailableError, "disk"),
        ("NOREPLICAS Not enough good replicas", UnavailableError, "replicas"),
        ("BUSY Redis is busy running a script", UnavailableError, "busy"),
        ("MASTERDOWN Link with MASTER is down", UnavailableError, "replica"),
        ("CLUSTERDOWN The cluster is down", UnavailableError, "cluster"),
        ("TRYAGAIN Multiple keys request", UnavailableError, "cluster"),
        ("ERR max number of clients reached", UnavailableError, "maxclients"),
        ("MOVED 1 127.0.0.1:1", StoreError, "cluster"),
        ("NOAUTH Authentication required.", StoreError, "password"),
        ("WRONGPASS invalid username-password pair", StoreError, "password was rejected"),
        (NO_PASSWORD_SET, StoreError, "login"),
        ("NOPERM this user has no permissions", StoreError, "permission"),
        ("WRONGTYPE Operation against a key", CorruptDataError, "namespace"),
        (f"{IN_SCRIPT[:-17]} user_script:1: attempt to index", CorruptDataError, "namespace"),
        ("ERR unknown command", StoreError, "ERR"),
        ("SOMETHING else", StoreError, "SOMETHING"),
    ],
)  # fmt: skip
def test_answers(line: str, kind: type[StoreError], advice: str) -> None:
    """Each answer of the server becomes one error, which says what to do."""
    error = translate(server_said(line), "Locks.renew")
    assert type(error) is kind
    assert advice in error.detail
    assert (error.store, error.operation) == ("redis", "Locks.renew")
    assert not getattr(error, "maybe_applied", False)


@pytest.mark.parametrize("kind", [redis.ConnectionError, redis.TimeoutError])
@pytest.mark.parametrize("maybe_applied", [False, True])
def test_lost_connections(kind: type[redis.RedisError], maybe_applied: bool) -> None:  # noqa: FBT001
    """A lost connection is unavailability; what was sent before may have been applied."""
    error = translate(kind("at secret host"), "x", maybe_applied=maybe_applied)
    assert isinstance(error, UnavailableError)
    assert error.maybe_applied is maybe_applied
    assert "secret" not in str(error)


def test_an_unreadable_answer_may_hide_anything() -> None:
    """An answer that is no Redis protocol is an error without a guess."""
    error = translate(redis.InvalidResponse("Protocol Error: b'H'"), "x")
    assert type(error) is StoreError


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:6379",
        "http://:a-secret@127.0.0.1",
        "redis://:a-secret@127.0.0.1:port",
        "redis://:a/secret@127.0.0.1:6379",
        "redis://:a#secret@127.0.0.1:6379/0",
        "redis://:a-secret@127.0.0.1/0?socket_connect_timeout=secret",
        "redis://:a-secret@127.0.0.1/0?no_such_option=secret",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    """A URL that cannot be used is named by its setting, and no part of it is shown."""
    import traceback

    from urlmon.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="REDIS_URL") as caught:
        build_topology(url)
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    assert "secret" not in shown.replace("a_secret", "")


def test_options_that_are_ours() -> None:
    """A URL cannot make the driver retry, decode, or wait by itself; what else it says counts."""
    topology = build_topology(
        "redis://user:secret@host:1/2?protocol=3&socket_timeout=9&decode_responses=yes"
        "&retry_on_timeout=yes&socket_connect_timeout=3"
    )
    assert isinstance(topology, OneServer)
    connection = topology._node.connection()
    assert (connection.host, connection.port, connection.db) == ("host", 1, 2)
    assert connection.retry.get_retries() == 0
    assert connection.protocol == 2
    assert connection.socket_timeout is None
    assert connection.socket_connect_timeout == 3
    assert connection.client_name == "urlmon"
    assert not connection.encoder.decode_responses
    assert "secret" not in repr(topology._node.pool)
