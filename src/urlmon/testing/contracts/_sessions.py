"""A user whose sessions a contract looks at."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import timedelta

from urlmon.domain.ids import TenantId
from urlmon.domain.secrets import Secret
from urlmon.domain.sessions import Login, Session
from urlmon.errors import ConflictError
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import WorkingStores

ANN = "ann"
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
TTL = 30 * MINUTE
LIFETIME = 30 * DAY


class User:
    """A user, by default of a tenant of their own."""

    def __init__(
        self, working: WorkingStores, tenant_id: TenantId | None = None, name: str = ANN
    ) -> None:
        self.sessions = working.sessions
        self.key = tenant_id or TenantId.new(), name

    async def begin(self) -> Login:
        """Begin a login."""
        return await self.sessions.begin(*self.key)

    async def create(
        self,
        login: Login,
        *,
        ttl: timedelta = TTL,
        lifetime: timedelta = LIFETIME,
        attributes: Mapping[str, str] | None = None,
    ) -> Session:
        """Create the session of a login."""
        return await self.sessions.create(
            self.key[0], login, ttl=ttl, lifetime=lifetime, attributes=attributes
        )

    async def log_in(
        self,
        *,
        ttl: timedelta = TTL,
        lifetime: timedelta = LIFETIME,
        attributes: Mapping[str, str] | None = None,
    ) -> Secret:
        """Create a session, and return its token."""
        login = await self.begin()
        await self.create(login, ttl=ttl, lifetime=lifetime, attributes=attributes)
        return login.token

    async def list(self) -> tuple[Session, ...]:
        """List the sessions."""
        return await self.sessions.list(*self.key)

    async def revoke_all(self) -> None:
        """Revoke all sessions."""
        await self.sessions.revoke_all(*self.key)


async def assert_over(creation: Awaitable[object]) -> None:
    """Assert that a creation is refused, because its login is over."""
    error = await refusal_of(creation)
    assert isinstance(error, ConflictError)
    assert (error.entity, error.current) == ("login", "over")
    assert error.operation == "SessionStore.create"
