"""The in-memory `SessionStore`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from urlmon.domain._validators import check_text
from urlmon.domain.ids import TenantId, require_owner, require_tenant
from urlmon.domain.secrets import Secret
from urlmon.domain.sessions import (
    LOGIN_WINDOW,
    MAX_SESSIONS,
    Login,
    Session,
    SessionTerms,
    locate,
    new_session_token,
    newest_first,
    session_id_of,
    user_digest,
)
from urlmon.errors import ConflictError
from urlmon.ports import SessionStore
from urlmon.testing._sessions import UserSessions
from urlmon.testing.state import InMemoryState


class InMemorySessionStore(SessionStore):
    """Keeps sessions by the digest of their user and of their token."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def begin(self, tenant_id: TenantId, user_id: str) -> Login:
        token = new_session_token(require_tenant(tenant_id), user_id)
        async with self._state.faults.call("SessionStore.begin"):
            return Login(
                tenant_id=tenant_id,
                user_id=user_id,
                token=token,
                generation=self._user(user_digest(tenant_id, user_id)).generation,
                until=self._state.clock.now() + LOGIN_WINDOW,
            )

    async def create(
        self,
        tenant_id: TenantId,
        login: Login,
        *,
        ttl: timedelta,
        lifetime: timedelta,
        attributes: Mapping[str, str] | None = None,
    ) -> Session:
        require_owner(tenant_id, login.tenant_id)
        terms = SessionTerms(ttl=ttl, lifetime=lifetime, attributes=attributes or {})
        operation = "SessionStore.create"
        async with self._state.faults.call(operation):
            now = self._state.clock.now()
            user = self._user(user_digest(tenant_id, login.user_id))
            session_id, live = session_id_of(login.token), user.live(now)
            if session_id in live:
                return live[session_id]
            if session_id in user.created or not user.accepts(login, now):
                raise ConflictError("memory", operation, entity="login", current="over")
            if len(live) >= MAX_SESSIONS:
                del user.kept[min(live, key=lambda each: (live[each].seen_at, each))]
            user.created.add(session_id)
            session = user.kept[session_id] = Session(
                id=session_id,
                tenant_id=tenant_id,
                user_id=login.user_id,
                attributes=terms.attributes,
                created_at=now,
                seen_at=now,
                ttl=ttl,
                expires_at=now + ttl,
                ends_at=now + lifetime,
            )
            return session

    async def find(self, token: Secret) -> Session | None:
        async with self._state.faults.call("SessionStore.find"):
            user, now = self._state.sessions.get(locate(token) or ""), self._state.clock.now()
            session = user.live(now).get(session_id_of(token)) if user else None
            if user is None or session is None:
                return None
            user.kept[session.id] = session.seen(now)
            return user.kept[session.id]

    async def revoke(self, token: Secret) -> None:
        async with self._state.faults.call("SessionStore.revoke"):
            self._drop(locate(token) or "", session_id_of(token))

    async def revoke_one(self, tenant_id: TenantId, user_id: str, *, session_id: str) -> None:
        where = user_digest(require_tenant(tenant_id), user_id)
        check_text("session_id", session_id, longest=64)
        async with self._state.faults.call("SessionStore.revoke_one"):
            self._drop(where, session_id)

    async def revoke_all(self, tenant_id: TenantId, user_id: str) -> None:
        where = user_digest(require_tenant(tenant_id), user_id)
        async with self._state.faults.call("SessionStore.revoke_all"):
            user = self._user(where)
            user.generation = next(self._state.generations)
            user.kept.clear()

    async def list(self, tenant_id: TenantId, user_id: str) -> tuple[Session, ...]:
        where = user_digest(require_tenant(tenant_id), user_id)
        async with self._state.faults.call("SessionStore.list"):
            return newest_first(self._user(where).live(self._state.clock.now()).values())

    def _user(self, where: str) -> UserSessions:
        if where not in self._state.sessions:
            self._state.sessions[where] = UserSessions(next(self._state.generations))
        return self._state.sessions[where]

    def _drop(self, where: str, session_id: str) -> None:
        if where in self._state.sessions:
            self._state.sessions[where].kept.pop(session_id, None)
