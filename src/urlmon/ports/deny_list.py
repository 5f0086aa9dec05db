"""The port for signed tokens that are refused before their time."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol


class DenyList(Protocol):
    """Refuses signed tokens that carry their own end, such as JWTs, by their ids.

    The list fails closed.  It knows since when it is complete: since it was first used, and anew
    since the store may have lost entries, as by losing its data, a restart or a failover.  A token
    that was issued before, or up to ten seconds after, is denied, because it may have been on the
    list that was lost.  So tokens should be short-lived, and those who hold one be able to get
    another.

    Ids are the application's own and shared by all tenants.  Every call can raise
    `UnavailableError`, and may then be made again; who cannot ask must take the answer for yes.
    """

    __slots__ = ()

    @abstractmethod
    async def deny(self, token_id: str, *, until: datetime) -> None:
        """Deny a token until its own end.  Repeatable; the latest end counts.

        Args:
            token_id: 1 to 200 characters.
            until: When the token is over by itself.

        Raises:
            InvalidValueError: An argument is out of its range.
        """

    @abstractmethod
    async def is_denied(self, token_id: str, *, issued_at: datetime) -> bool:
        """Say whether a token is to be refused; that it is over by itself is not looked at.

        Args:
            token_id: 1 to 200 characters.
            issued_at: When the token was issued, as it says under its signature.

        Raises:
            InvalidValueError: An argument is out of its range.
        """
