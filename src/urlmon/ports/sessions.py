"""The port for the sessions of users."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from urlmon.domain.ids import TenantId
from urlmon.domain.secrets import Secret
from urlmon.domain.sessions import Login, Session


class SessionStore(Protocol):
    """Keeps the sessions of users, each found by a token that only the user has.

    A login is `begin`, then whatever proves the user, then `create`: sessions that were revoked in
    between stay revoked, also the one that is only about to be created.  What is lost is over.

    Every call is atomic.  Every call can raise `UnavailableError`, and may then be made again.
    `InvalidValueError` is raised, before anything is sent, for a `tenant_id` that is no `TenantId`
    and for a `user_id` that is not text of 1 to 200 characters.
    """

    __slots__ = ()

    @abstractmethod
    async def begin(self, tenant_id: TenantId, user_id: str) -> Login:
        """Begin a login, before the user's password or the like is looked at.

        Every call makes a token of its own.  The login is over after an hour.
        """

    @abstractmethod
    async def create(
        self,
        tenant_id: TenantId,
        login: Login,
        *,
        ttl: timedelta,
        lifetime: timedelta,
        attributes: Mapping[str, str] | None = None,
    ) -> Session:
        """Create the session of a login whose user has been proved.

        Repeatable with the same login: the session is given as it is now, and nothing is changed.
        A user who has 100 sessions loses the one that was not found for longest.

        Args:
            tenant_id: The login's own.
            login: What `begin` answered.
            ttl: How long it lasts without being found, 1 second to `lifetime`.
            lifetime: How long it lasts at most, to 366 days; both in whole milliseconds.
            attributes: Up to 20 texts of 500 characters, by names of 1 to 100.

        Raises:
            ConflictError: The login is over: after an hour, when all sessions of the user were
                revoked since it began, or when its session was created and is over (`entity` =
                `"login"`).
            InvalidValueError: An argument is out of its range, or `tenant_id` is not the login's.
        """

    @abstractmethod
    async def find(self, token: Secret) -> Session | None:
        """Return the session of a token, which then lasts for its `ttl` from now.

        Returns:
            None if there is none, if it is over, or if the text is no token at all.
        """

    @abstractmethod
    async def revoke(self, token: Secret) -> None:
        """End the session of a token, if there is one.  Repeatable."""

    @abstractmethod
    async def revoke_one(self, tenant_id: TenantId, user_id: str, *, session_id: str) -> None:
        """End a session that was listed, if it is the user's.  Repeatable.

        Raises:
            InvalidValueError: The id is not text of 1 to 64 characters.
        """

    @abstractmethod
    async def revoke_all(self, tenant_id: TenantId, user_id: str) -> None:
        """End all sessions of a user, and all logins that have begun.

        Once it has returned, no token that was made before is ever good again.  Repeatable; a
        repeat also ends what was begun since.
        """

    @abstractmethod
    async def list(self, tenant_id: TenantId, user_id: str) -> tuple[Session, ...]:
        """Return the sessions of a user, newest first.  They are not found by that."""
