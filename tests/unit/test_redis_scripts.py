"""The scripts use what every supported server has, and take their keys as keys."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

SCRIPTS = sorted(
    (each.name, each.read_text("utf-8"))
    for each in (files("urlmon_adapters.redis") / "scripts").iterdir()
    if each.name.endswith(".lua")
)
# Commands of Redis 6.2, with those of their options that the scripts may use.
ALLOWED = {
    "DEL", "EXISTS", "GET", "HDEL", "HEXISTS", "HGET", "HGETALL", "HINCRBY", "HLEN", "HMGET",
    "HSCAN", "HSET", "HSETNX", "HVALS", "HKEYS", "INCRBY", "INFO", "PEXPIRE", "PEXPIREAT",
    "PERSIST", "PTTL", "PUBLISH", "SET", "TIME", "UNLINK", "ZADD", "ZCARD", "ZCOUNT", "ZRANGE",
    "ZRANGEBYSCORE", "ZREM", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE", "ZREVRANGE", "ZSCORE",
}  # fmt: skip
# Options that came later: SET … NX GET together, EXPIRE … NX|XX|GT|LT.
_LATER = re.compile(
    r'"SET"[^\n]*"NX"[^\n]*"GET"|"SET"[^\n]*"GET"[^\n]*"NX"|"P?EXPIRE(?:AT)?"[^\n]*"(?:NX|XX|GT|LT)"'
)


@pytest.mark.parametrize(("name", "text"), SCRIPTS, ids=[name for name, _ in SCRIPTS])
def test_commands(name: str, text: str) -> None:
    """A script calls commands of Redis 6.2 only, each by a name that can be read here."""
    calls = re.findall(r"redis\.p?call\(\s*([^,)\s]+)", text)
    names = [each.strip('"') for each in calls]
    assert all(each.startswith('"') for each in calls), f"{name}: a command without a plain name"
    assert not {*names} - ALLOWED
    assert not _LATER.search(text)
    assert "redis.call" not in text.replace("redis.call(", "")


@pytest.mark.parametrize(("name", "text"), SCRIPTS, ids=[name for name, _ in SCRIPTS])
def test_functions(name: str, text: str) -> None:
    """A script uses no function of the server that came after 6.2."""
    used = {*re.findall(r"\bredis\.(\w+)", text)}
    assert used <= {"call", "pcall", "error_reply", "status_reply", "sha1hex"}, name


@pytest.mark.parametrize(
    "text",
    [
        'redis.call("HPEXPIRE", KEYS[1], 1)',
        "redis.call(command, KEYS[1])",
        'redis.call("SET", KEYS[1], 1, "NX", "GET")',
        'redis.call("PEXPIRE", KEYS[1], 1, "GT")',
        "local call = redis.call",
    ],
)
def test_the_test(text: str) -> None:
    """Each of these is found."""
    with pytest.raises(AssertionError):
        test_commands("x", text)
