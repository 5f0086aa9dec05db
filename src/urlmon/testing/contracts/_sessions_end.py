"""What every `SessionStore` must pass: how sessions and logins are ended."""

from __future__ import annotations

import asyncio

from urlmon.domain.sessions import LOGIN_WINDOW
from urlmon.errors import ConflictError
from urlmon.testing.contracts._sessions import LIFETIME, MINUTE, SECOND, User, assert_over
from urlmon.testing.contracts.stores import WorkingStores


class EndingContract:
    """The part of the contract of `SessionStore` about what is over."""

    async def test_revoke(self, working: WorkingStores) -> None:
        """A revoked session is over at once and for good, and others are not."""
        user = User(working)
        login, other = await user.begin(), await user.log_in()
        session = await user.create(login)
        for _ in range(2):
            await working.sessions.revoke(login.token)
            assert await working.sessions.find(login.token) is None
            assert session.id not in [each.id for each in await user.list()]
        await assert_over(user.create(login))  # as when a creation arrives twice
        assert await working.sessions.find(login.token) is None
        assert await working.sessions.find(other) is not None

    async def test_revoke_one(self, working: WorkingStores) -> None:
        """A session that was listed is revoked by its id, by its user alone."""
        user, stranger = User(working), User(working)
        login, other = await user.begin(), await user.log_in()
        session = await user.create(login)
        await working.sessions.revoke_one(*stranger.key, session_id=session.id)
        await working.sessions.revoke_one(user.key[0], "bob", session_id=session.id)
        assert len(await user.list()) == 2
        for _ in range(2):
            await working.sessions.revoke_one(*user.key, session_id=session.id)
            assert await working.sessions.find(login.token) is None
        await working.sessions.revoke_one(*user.key, session_id="nobody's")
        await assert_over(user.create(login))
        assert await working.sessions.find(other) is not None

    async def test_revoke_all(self, working: WorkingStores) -> None:
        """Nothing that was made or begun before is good again; a new login is."""
        user, other = User(working), User(working)
        tokens = [await user.log_in() for _ in range(3)]
        others = await other.log_in()
        begun = [await user.begin() for _ in range(2)]
        for login in begun:
            await user.revoke_all()
            assert await user.list() == ()
            await assert_over(user.create(login))
        for token in (*tokens, *(login.token for login in begun)):
            assert await working.sessions.find(token) is None
        assert await working.sessions.find(others) is not None
        assert await working.sessions.find(await user.log_in()) is not None

    async def test_lost(self, working: WorkingStores) -> None:
        """What was lost is over: sessions, and logins that had begun, revoked before or not."""
        user, stranger = User(working), User(working)
        token, begun = await user.log_in(), await user.begin()
        await stranger.revoke_all()
        others = await stranger.begin()
        await working.lose()
        assert await working.sessions.find(token) is None
        assert await user.list() == ()
        await assert_over(user.create(begun))
        await stranger.revoke_all()
        await assert_over(stranger.create(others))
        assert await working.sessions.find(await user.log_in()) is not None
        await assert_over(user.create(begun))

    async def test_revoke_all_of_nothing(self, working: WorkingStores) -> None:
        """Of a user who has no session, logins that have begun are ended all the same."""
        user = User(working)
        await user.revoke_all()
        login = await user.begin()
        await user.revoke_all()
        await assert_over(user.create(login))

    async def test_revoke_all_and_create_at_once(self, working: WorkingStores) -> None:
        """In whatever order they arrive, no session of a login that began before is left."""
        for _ in range(10):
            user = User(working)
            logins = [await user.begin() for _ in range(8)]
            calls = [user.create(login) for login in logins]
            answers = await asyncio.gather(
                *calls[:4], user.revoke_all(), *calls[4:], return_exceptions=True
            )
            assert await user.list() == ()
            for login, answer in zip(logins, (*answers[:4], *answers[5:]), strict=True):
                assert not isinstance(answer, Exception) or isinstance(answer, ConflictError)
                assert await working.sessions.find(login.token) is None
                await assert_over(user.create(login))

    async def test_login_takes_too_long(self, working: WorkingStores) -> None:
        """A login is over after an hour; its session, once created, is not."""
        user = User(working)
        early, late = await user.begin(), await user.begin()
        await working.advance(LOGIN_WINDOW - SECOND)
        session = await user.create(early, ttl=LIFETIME)
        await working.advance(SECOND)
        await assert_over(user.create(late))
        assert await user.create(early) == session
        assert await working.sessions.find(early.token) is not None

    async def test_expired_is_not_created_again(self, working: WorkingStores) -> None:
        """A session that is over does not come back, when its creation arrives again."""
        user = User(working)
        login = await user.begin()
        await user.create(login, ttl=MINUTE, lifetime=MINUTE)
        await working.advance(MINUTE)
        await assert_over(user.create(login))
        await user.log_in()  # and after whatever was cleaned up
        await assert_over(user.create(login))
        await working.advance(LOGIN_WINDOW)
        await assert_over(user.create(login))
        await user.list()
        await assert_over(user.create(login))

    async def test_revoked_is_cleaned_up(self, working: WorkingStores) -> None:
        """A user can log in and out without end, and be revoked ever after."""
        user = User(working)
        for _ in range(5):
            login = await user.begin()
            await user.create(login)
            await working.sessions.revoke(login.token)
            await working.advance(LOGIN_WINDOW)
            assert await user.list() == ()
            await assert_over(user.create(login))
