"""Random programs on sessions: the fake and the real adapter give the same answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.fixtures.twins import Twins, WorkingProgram, run_program

from urlmon.domain.ids import TenantId
from urlmon.domain.sessions import Login, Session, session_id_of

if TYPE_CHECKING:
    from urlmon.testing.contracts.stores import WorkingStores

    User = tuple[TenantId, str]

MINUTE: Final = timedelta(minutes=1)
TENANTS: Final = [TenantId.new() for _ in range(2)]
USERS: Final = st.tuples(st.sampled_from(TENANTS), st.sampled_from(["ann", "a}"]))
TTLS: Final = st.sampled_from([5, 15, 25]).map(lambda minutes: minutes * MINUTE)
LIFETIMES: Final = st.sampled_from([25, 45, 85]).map(lambda minutes: minutes * MINUTE)


class Sessions(WorkingProgram):
    """Everything that can be done to the sessions of two users of two tenants each."""

    def __init__(self, twins: Twins) -> None:
        super().__init__(twins)
        self.logins: list[tuple[Login, Login]] = []
        self.first: tuple[datetime, datetime] | None = None
        self.revoked: set[int] = set()

    def login(self, stores: WorkingStores, number: int) -> Login:
        """Return one of the newest logins, as the store made it."""
        return self.logins[number][stores is not self.twins.stores[0]]

    def one_of(self, number: int) -> int:
        """Return the number of one of the newest logins."""
        return len(self.logins) - 1 - number % min(len(self.logins), 6)

    def facts(self, session: Session | None, which: int) -> object:
        """Return what both say of a session: its login, and its times by the minute."""
        if session is None:
            return None
        assert self.first is not None
        ids = [session_id_of(each[which].token) for each in self.logins]
        times = (session.created_at, session.seen_at, session.expires_at, session.ends_at)
        minutes = [round((each - self.first[which]) / MINUTE) for each in times]
        return (
            ids.index(session.id),
            *(session.tenant_id, session.user_id, session.attributes, session.ttl),
            *minutes,
        )

    def alike(self, fake: Session | None, real: Session | None) -> None:
        """Assert that both say the same of a session."""
        assert self.facts(fake, 0) == self.facts(real, 1)

    @rule(user=USERS)
    def begin(self, user: User) -> None:
        """Begin a login."""
        answers = self.twins.ask(lambda stores: stores.sessions.begin(*user))
        assert answers is not None
        self.logins.append(answers)
        self.first = self.first or (answers[0].until, answers[1].until)
        assert [round((answers[each].until - self.first[each]) / MINUTE) for each in (0, 1)] == (
            [round((answers[0].until - self.first[0]) / MINUTE)] * 2
        )

    @precondition(lambda self: self.logins)
    @rule(number=st.integers(0), ttl=TTLS, lifetime=LIFETIMES, text=st.text("a{\n", max_size=3))
    def create(self, number: int, ttl: timedelta, lifetime: timedelta, text: str) -> None:
        """Create the session of a login, for the first time or again."""
        number = self.one_of(number)
        answers = self.twins.ask(
            lambda stores: stores.sessions.create(
                (login := self.login(stores, number)).tenant_id,
                login,
                ttl=ttl,
                lifetime=lifetime,
                attributes={"text": text},
            )
        )
        if answers is not None:
            self.alike(*answers)
            assert number not in self.revoked

    @precondition(lambda self: self.logins)
    @rule(number=st.integers(0))
    def find(self, number: int) -> None:
        """Find a session, whatever became of it."""
        number = self.one_of(number)
        answers = self.twins.ask(
            lambda stores: stores.sessions.find(self.login(stores, number).token)
        )
        assert answers is not None
        self.alike(*answers)
        assert answers[0] is None or number not in self.revoked

    @precondition(lambda self: self.logins)
    @rule(number=st.integers(0), by_id=st.booleans())
    def revoke(self, number: int, *, by_id: bool) -> None:
        """Revoke a session, by its token or its id."""
        number = self.one_of(number)
        if not by_id:
            self.twins.same(lambda stores: stores.sessions.revoke(self.login(stores, number).token))
            return
        self.twins.same(
            lambda stores: stores.sessions.revoke_one(
                (login := self.login(stores, number)).tenant_id,
                login.user_id,
                session_id=session_id_of(login.token),
            )
        )

    @rule(user=USERS)
    def revoke_all(self, user: User) -> None:
        """Revoke all sessions of a user."""
        self.twins.same(lambda stores: stores.sessions.revoke_all(*user))
        self.revoked |= {
            number
            for number, (login, _) in enumerate(self.logins)
            if (login.tenant_id, login.user_id) == user
        }

    @rule(user=USERS)
    def read(self, user: User) -> None:
        """List the sessions of a user; those of one instant are in any order."""
        answers = self.twins.ask(lambda stores: stores.sessions.list(*user))
        assert answers is not None
        fake, real = (
            sorted(repr(self.facts(each, which)) for each in sessions)
            for which, sessions in enumerate(answers)
        )
        assert fake == real


def test_sessions(redis_url: str) -> None:
    """Whatever is done to sessions, the fake and Redis answer alike at every step."""
    run_program(Sessions, redis_url)
