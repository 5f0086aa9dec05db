"""The Redis `SessionStore`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from urlmon.domain._validators import check_text
from urlmon.domain.ids import TenantId, require_owner, require_tenant
from urlmon.domain.secrets import Secret
from urlmon.domain.sessions import (
    LOGIN_WINDOW,
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
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._commands import Reply
from urlmon_adapters.redis._errors import STORE
from urlmon_adapters.redis._replies import decoding, items, number, text
from urlmon_adapters.redis._scripts import load
from urlmon_adapters.redis._states import from_us, to_us

_MICROSECOND: Final = timedelta(microseconds=1)
_WINDOW_US: Final = LOGIN_WINDOW // _MICROSECOND


class RedisSessionStore(SessionStore):
    """Keeps the sessions of a user in one hash; tokens are known by their digests alone."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def begin(self, tenant_id: TenantId, user_id: str) -> Login:
        token = new_session_token(require_tenant(tenant_id), user_id)
        reply = await self._run("begin", user_digest(tenant_id, user_id), _WINDOW_US)
        with decoding("SessionStore.begin"):
            generation, until = map(number, items(reply))
            return Login(
                tenant_id=tenant_id,
                user_id=user_id,
                token=token,
                generation=generation,
                until=from_us(until),
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
        reply = await self._run(
            "create",
            user_digest(tenant_id, login.user_id),
            session_id_of(login.token),
            json.dumps([str(tenant_id), login.user_id, terms.attributes]),
            login.generation,
            to_us(login.until),
            terms.ttl // _MICROSECOND,
            terms.lifetime // _MICROSECOND,
        )
        if not reply:
            raise ConflictError(STORE, "SessionStore.create", entity="login", current="over")
        with decoding("SessionStore.create"):
            return _decode(reply)

    async def find(self, token: Secret) -> Session | None:
        user = locate(token)
        if user is None:
            return None
        reply = await self._run("find", user, session_id_of(token))
        with decoding("SessionStore.find"):
            return _decode(reply) if reply else None

    async def revoke(self, token: Secret) -> None:
        user = locate(token)
        if user is not None:
            await self._run("revoke", user, session_id_of(token))

    async def revoke_one(self, tenant_id: TenantId, user_id: str, *, session_id: str) -> None:
        user = user_digest(require_tenant(tenant_id), user_id)
        check_text("session_id", session_id, longest=64)
        await self._run("revoke_one", user, session_id, script="revoke")

    async def revoke_all(self, tenant_id: TenantId, user_id: str) -> None:
        user = user_digest(require_tenant(tenant_id), user_id)
        await self._run("revoke_all", user, _WINDOW_US)

    async def list(self, tenant_id: TenantId, user_id: str) -> tuple[Session, ...]:
        reply = await self._run("list", user_digest(require_tenant(tenant_id), user_id))
        with decoding("SessionStore.list"):
            return newest_first(map(_decode, items(reply)))

    async def _run(
        self, what: str, user: str, *arguments: str | int, script: str | None = None
    ) -> Reply:
        """Run the script of a method on the sessions of a user."""
        return await self._client.run(
            f"SessionStore.{what}",
            load("clock", "session", f"session_{script or what}"),
            (self._client.keys.sessions(user),),
            *arguments,
        )


def _decode(reply: Reply) -> Session:
    """Read what `row_of` in `session.lua` answers."""
    session_id, data, times = map(text, items(reply))
    tenant_id, user_id, attributes = json.loads(data)
    created, seen, ttl, expires, ends, _ = map(int, times.split(" "))
    return Session(
        id=session_id,
        tenant_id=TenantId(tenant_id),
        user_id=user_id,
        attributes=tuple((name, value) for name, value in attributes),
        created_at=from_us(created),
        seen_at=from_us(seen),
        ttl=ttl * _MICROSECOND,
        expires_at=from_us(expires),
        ends_at=from_us(ends),
    )
