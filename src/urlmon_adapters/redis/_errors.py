"""Translates redis-py's errors into urlmon's: by class and error code, never by wording."""

from __future__ import annotations

import re
from typing import Final

from redis import exceptions as redis

from urlmon.errors import STATE_LOST, CorruptDataError, StoreError, UnavailableError

STORE: Final = "redis"

_LOGIN: Final = "check user and password in REDIS_URL"
_LOST: Final = "the connection was lost or could not be made: is the server up?"
_FOREIGN: Final = "a key holds what urlmon does not write: does the namespace serve somebody else?"
ONE_NODE: Final = "the server is one node of a cluster: REDIS_URL must begin with redis+cluster://"
# What no server says: the first word of errors that are raised here.
NO_CLUSTER: Final = "NOCLUSTER"
NO_MASTER: Final = "NOMASTER"
# What a person does about it; the keys are the first word of the server's answer.
_ADVICE: Final = {
    "NOAUTH": f"the server asks for a password: {_LOGIN}",
    "WRONGPASS": f"the password was rejected: {_LOGIN}",
    "NOPERM": "the user lacks a permission: grant it the commands and keys that urlmon uses",
    "MOVED": ONE_NODE,
    "ASK": ONE_NODE,
    NO_CLUSTER: "the server is no node of a cluster: REDIS_URL must begin with redis://",
    NO_MASTER: "the Sentinels know no master of that name: check REDIS_URL",
}
# Later the same call can succeed.
_TRANSIENT: Final = {
    "LOST": STATE_LOST,  # said by whole.lua
    "OOM": "the server's memory is full: raise maxmemory, or remove what does not belong there",
    "READONLY": "the server is a replica: point REDIS_URL at the master, or await the failover",
    "LOADING": "the server is still loading its data",
    "MISCONF": "the server cannot save its data and takes no writes: see its log and its disk",
    "NOREPLICAS": "the server has too few replicas (min-replicas-to-write) and takes no writes",
    "BUSY": "the server is busy with somebody's script",
    "MASTERDOWN": "the server is a replica that lost its master",
    "CLUSTERDOWN": "the cluster does not serve these keys now",
    "TRYAGAIN": "the cluster is moving these keys",
}
# Redis 6 puts a command's error inside its own: "ERR Error running script …: -OOM …".
_IN_SCRIPT: Final = re.compile(r"@user_script: ?\d+: -?([A-Z]{3,})\b")
# Where a script of ours failed by itself: it met a value that it cannot work with.
_OF_SCRIPT: Final = re.compile(r"(?<!@)\buser_script:\d+: ")


def translate(
    error: redis.RedisError, operation: str, *, maybe_applied: bool = False
) -> StoreError:
    """Return the error of urlmon that a driver's error means.

    Args:
        error: What redis-py raised.
        operation: The port's method.
        maybe_applied: Whether a write can have been applied.
    """
    code = code_of(error)
    if code in _TRANSIENT:
        return UnavailableError(STORE, operation, _TRANSIENT[code], maybe_applied=maybe_applied)
    if code in _ADVICE:
        return StoreError(STORE, operation, _ADVICE[code])
    if isinstance(error, redis.AuthenticationError):
        return StoreError(STORE, operation, f"the login failed: {_LOGIN}")
    if is_lost(error):
        full = code == "ERR"  # a server that answered, but took no connection
        detail = "the server takes no more clients: raise maxclients" if full else _LOST
        return UnavailableError(STORE, operation, detail, maybe_applied=maybe_applied)
    if code == "WRONGTYPE" or _OF_SCRIPT.search(str(error)):
        return CorruptDataError(STORE, operation, _FOREIGN)
    return StoreError(STORE, operation, f"the server refused it ({code or type(error).__name__})")


def is_lost(error: redis.RedisError) -> bool:
    """Say whether a connection was lost, or could not be made."""
    return isinstance(error, redis.ConnectionError | redis.TimeoutError) and not isinstance(
        error, redis.AuthenticationError
    )


def code_of(error: redis.RedisError) -> str:
    """Return the server's error code, such as "OOM"; "" where the error is the driver's own."""
    inner = _IN_SCRIPT.search(str(error))
    if inner is not None:
        return inner[1]
    if error.status_code is not None:
        return error.status_code
    # The driver leaves a code that it does not know in the text.
    outer = re.match(r"[A-Z]{3,}(?= )", str(error))
    return outer[0] if outer is not None and isinstance(error, redis.ResponseError) else ""
