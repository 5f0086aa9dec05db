"""What is sent to a server, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from attrs import define
from redis.exceptions import RedisError

Argument: TypeAlias = str | int | bytes
Reply: TypeAlias = "bytes | int | list[Reply] | None"


class Fate(Enum):
    """How far a command came."""

    UNSENT = "unsent"
    SENT = "sent"
    ANSWERED = "answered"


@define(eq=False)
class Command:
    """One command on its way.

    Attributes:
        words: The command and its arguments.
        key: Which node of a cluster serves it: the one of this key, or any where there is none.
        writes: Whether it may change something.
        fate: How far it came.
        answer: What the server said, which may be an error.
    """

    words: Sequence[Argument]
    key: str | None = None
    writes: bool = False
    fate: Fate = Fate.UNSENT
    answer: Reply | RedisError = None

    @property
    def refused(self) -> bool:
        """Whether the server answered with an error."""
        return self.fate is Fate.ANSWERED and isinstance(self.answer, RedisError)

    @property
    def maybe_applied(self) -> bool:
        """Whether it can have changed something."""
        return self.writes and self.fate is not Fate.UNSENT and not self.refused
