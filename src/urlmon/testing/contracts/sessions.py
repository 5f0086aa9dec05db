"""The contract of `SessionStore`."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta

from attrs import evolve

from urlmon.domain.ids import TenantId
from urlmon.domain.secrets import Secret
from urlmon.domain.sessions import (
    LONGEST_SESSION,
    MAX_SESSIONS,
    new_session_token,
)
from urlmon.errors import InvalidValueError
from urlmon.testing.contracts._sessions import (
    ANN,
    DAY,
    LIFETIME,
    MINUTE,
    SECOND,
    TTL,
    User,
    assert_over,
)
from urlmon.testing.contracts._sessions_end import EndingContract
from urlmon.testing.contracts.isolation import assert_nil_refused, refusal_of
from urlmon.testing.contracts.stores import WorkingStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS, IMPOSSIBLE_TEXTS


class SessionStoreContract(EndingContract):
    """What every `SessionStore` must hold."""

    async def test_login(self, working: WorkingStores) -> None:
        """A session is found by its token, from its creation on and with all that it was given."""
        user = User(working)
        login = await user.begin()
        assert (login.tenant_id, login.user_id) == user.key
        assert login.token.reveal() not in repr(login)
        assert await working.sessions.find(login.token) is None
        assert await user.list() == ()
        session = await user.create(login, attributes={"agent": "a browser", "address": ""})
        assert (session.tenant_id, session.user_id) == user.key
        assert session.attributes == (("agent", "a browser"), ("address", ""))
        assert session.seen_at == session.created_at
        assert session.expires_at == session.created_at + TTL
        assert session.ends_at == session.created_at + LIFETIME
        assert session.created_at.tzinfo is UTC
        found = await working.sessions.find(login.token)
        assert found is not None
        assert evolve(found, seen_at=session.seen_at, expires_at=session.expires_at) == session
        assert await user.list() == (found,)
        assert login.token.reveal() not in repr(found)

    async def test_tokens_differ(self, working: WorkingStores) -> None:
        """Every login has a token of its own, of one that has begun with no sign of it."""
        user = User(working)
        logins = [await user.begin() for _ in range(20)]
        assert len({each.token for each in logins}) == 20
        sessions = [await user.create(each) for each in logins]
        assert len({each.id for each in sessions}) == 20
        for login, session in zip(logins, sessions, strict=True):
            found = await working.sessions.find(login.token)
            assert found is not None
            assert found.id == session.id

    async def test_repeated_creation(self, working: WorkingStores) -> None:
        """A creation that is repeated answers the session as it is, and changes nothing."""
        user = User(working)
        login = await user.begin()
        session = await user.create(login, attributes={"a": "b"})
        assert await user.create(login, attributes={"a": "b"}) == session
        other = await user.create(login, attributes={"other": ""}, ttl=MINUTE, lifetime=DAY)
        assert other == session
        await working.advance(MINUTE)
        found = await working.sessions.find(login.token)
        assert found is not None
        assert found.seen_at > session.seen_at
        assert await user.create(login) == found
        assert await user.list() == (found,)

    async def test_creations_at_once(self, working: WorkingStores) -> None:
        """Of many creations of one login at once there is one session."""
        user = User(working)
        login = await user.begin()
        sessions = await asyncio.gather(*(user.create(login) for _ in range(20)))
        assert len(set(sessions)) == 1
        assert await user.list() == (sessions[0],)

    async def test_sliding(self, working: WorkingStores) -> None:
        """A session lasts for its ttl from when it was last found, and no longer."""
        user = User(working)
        token = await user.log_in()
        for _ in range(5):
            await working.advance(TTL - SECOND)
            await user.list()  # finds nothing
            found = await working.sessions.find(token)
            assert found is not None
            assert found.expires_at == found.seen_at + TTL
        await working.advance(TTL)
        assert await working.sessions.find(token) is None
        assert await user.list() == ()
        assert await working.sessions.find(token) is None

    async def test_absolute_end(self, working: WorkingStores) -> None:
        """However often it is found, a session is over at its end."""
        user = User(working)
        token = await user.log_in(ttl=2 * MINUTE, lifetime=5 * MINUTE)
        for number in range(4):
            await working.advance(MINUTE)
            found = await working.sessions.find(token)
            assert found is not None
            assert (found.expires_at == found.ends_at) is (number >= 3 - 1)
        await working.advance(MINUTE)
        assert await working.sessions.find(token) is None

    async def test_wrong_tokens(self, working: WorkingStores) -> None:
        """What is no token finds nothing and ends nothing, however alike it looks."""
        user = User(working)
        login = await user.begin()
        token = login.token.reveal()
        session = await user.create(login)
        where, _, secret = token.partition(".")
        for text in (
            *HOSTILE_TEXTS,
            *(session.id, where, secret, f"{where}.", f".{secret}", f"{where}{secret}"),
            *(f"{token} ", f" {token}", f"{token}\n", token[:-1], token.swapcase(), token * 2),
            f"{secret}.{where}",
            f"{where}.{'A' * 43}",
            new_session_token(*user.key).reveal(),
        ):
            assert await working.sessions.find(Secret(text)) is None
            await working.sessions.revoke(Secret(text))
        assert len(await user.list()) == 1

    async def test_list(self, working: WorkingStores) -> None:
        """A user's sessions are listed newest first, as they are."""
        user, ids = User(working), []
        for number in range(5):
            login = await user.begin()
            ids.append((await user.create(login, attributes={"number": f"{number}"})).id)
            await working.advance(SECOND)
        listed = await user.list()
        assert [each.id for each in listed] == ids[::-1]
        assert [dict(each.attributes)["number"] for each in listed] == list("43210")

    async def test_too_many(self, working: WorkingStores) -> None:
        """The session that was not found for longest makes room, for good."""
        user, logins = User(working), []
        for _ in range(MAX_SESSIONS):
            logins.append(await user.begin())
            await user.create(logins[-1])
            await working.advance(timedelta(milliseconds=1))
        await working.sessions.find(logins[0].token)
        await user.log_in()
        assert len(await user.list()) == MAX_SESSIONS
        assert await working.sessions.find(logins[0].token) is not None
        assert await working.sessions.find(logins[1].token) is None
        assert await working.sessions.find(logins[2].token) is not None
        await assert_over(user.create(logins[1]))

    async def test_texts_come_back_exactly(self, working: WorkingStores) -> None:
        """User ids and attributes are text of any kind, never changed, and users differ."""
        tenant_id = TenantId.new()
        names = [*HOSTILE_TEXTS, "\U0001f525" * 200, "{a}", "{a}b", "a:b", "*", "a", "A"]
        users = [User(working, tenant_id, name) for name in names]
        tokens = []
        for user, name in zip(users, names, strict=True):
            attributes = {name[:100]: name, "empty": ""}
            tokens.append(await user.log_in(attributes=attributes))
            found = await working.sessions.find(tokens[-1])
            assert found is not None
            assert (found.user_id, dict(found.attributes)) == (name, attributes)
            assert await user.list() == (found,)
        await users[0].revoke_all()
        found_after = [await working.sessions.find(token) for token in tokens]
        assert [each is None for each in found_after] == [True] + [False] * (len(users) - 1)

    async def test_arguments(self, working: WorkingStores) -> None:
        """Arguments at their limits are taken, those beyond are refused by name."""
        user, sessions = User(working), working.sessions
        login = await user.begin()
        largest = {f"{number:0100}": "\U0001f525" * 500 for number in range(20)}
        await User(working).log_in(ttl=SECOND, lifetime=SECOND)
        await user.log_in(ttl=LONGEST_SESSION, lifetime=LONGEST_SESSION, attributes=largest)
        us = timedelta(microseconds=1)
        refused = [
            *(("user_id", sessions.begin(user.key[0], text)) for text in ("", "x" * 201)),
            *(("user_id", sessions.begin(user.key[0], text)) for text in IMPOSSIBLE_TEXTS),
            ("user_id", sessions.list(user.key[0], "")),
            ("user_id", sessions.revoke_all(user.key[0], "")),
            ("user_id", sessions.revoke_one(user.key[0], "", session_id="a")),
            *(("session_id", sessions.revoke_one(*user.key, session_id=t)) for t in ("", "x" * 65)),
            *(("ttl", user.create(login, ttl=ttl)) for ttl in (SECOND - us, SECOND + us, -TTL)),
            ("ttl", user.create(login, ttl=LIFETIME + SECOND)),
            ("lifetime", user.create(login, lifetime=LONGEST_SESSION + SECOND)),
            ("lifetime", user.create(login, lifetime=LIFETIME + us)),
            *(
                ("attributes", user.create(login, attributes=each))
                for each in (
                    {"": ""},
                    {"x" * 101: ""},
                    {"a": "x" * 501},
                    {f"{number}": "" for number in range(21)},
                    *({"a": text} for text in IMPOSSIBLE_TEXTS),
                )
            ),
            ("tenant_id", sessions.create(TenantId.new(), login, ttl=TTL, lifetime=LIFETIME)),
        ]
        for name, call in refused:
            error = await refusal_of(call)
            assert isinstance(error, InvalidValueError)
            assert error.field == name
        assert len(await user.list()) == 1

    async def test_isolation(self, working: WorkingStores) -> None:
        """A user of the same name in another tenant is another user."""
        ann, stranger = User(working), User(working)
        assert ann.key[1] == stranger.key[1] == ANN
        token = await ann.log_in()
        found = await working.sessions.find(token)
        assert found is not None
        assert await stranger.list() == ()
        await working.sessions.revoke_one(*stranger.key, session_id=found.id)
        await stranger.revoke_all()
        assert await ann.list() == (found,)
        await stranger.log_in()
        await ann.revoke_all()
        assert len(await stranger.list()) == 1

    async def test_nil_tenant(self, working: WorkingStores) -> None:
        """The nil tenant is refused by every method."""
        sessions = working.sessions
        login = await User(working).begin()
        await assert_nil_refused(
            lambda nil: sessions.begin(nil, ANN),
            lambda nil: sessions.create(nil, login, ttl=TTL, lifetime=LIFETIME),
            lambda nil: sessions.revoke_one(nil, ANN, session_id="a"),
            lambda nil: sessions.revoke_all(nil, ANN),
            lambda nil: sessions.list(nil, ANN),
        )
