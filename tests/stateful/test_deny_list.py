"""Random programs on denied tokens: the fake and the real adapter give the same answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from tests.fixtures.twins import Twins, WorkingProgram, run_program

from urlmon.domain.ids import TenantId
from urlmon.domain.sessions import LOGIN_WINDOW

MINUTE: Final = timedelta(minutes=1)
TOKENS: Final = st.sampled_from(["a", "a}", "{a}"])
OFFSETS: Final = st.integers(-3, 12).map(lambda tens: (10 * tens + 5) * MINUTE)


class Denials(WorkingProgram):
    """Everything that can be done to a list of denied tokens."""

    def __init__(self, twins: Twins) -> None:
        super().__init__(twins)
        self.begun: tuple[datetime, datetime] | None = None

    @initialize()
    def begin(self) -> None:
        """Look at the clock of both: each has its own."""
        tenant_id = TenantId.new()
        logins = self.twins.ask(lambda stores: stores.sessions.begin(tenant_id, "ann"))
        assert logins is not None
        self.begun = logins[0].until - LOGIN_WINDOW, logins[1].until - LOGIN_WINDOW

    def at(self, stores: object, offset: timedelta) -> datetime:
        """Return an instant by the clock of a store."""
        assert self.begun is not None
        return self.begun[stores is not self.twins.stores[0]] + offset

    @rule(token_id=TOKENS, offset=OFFSETS)
    def deny(self, token_id: str, offset: timedelta) -> None:
        """Deny a token, perhaps one that is over."""
        self.twins.same(
            lambda stores: stores.deny_list.deny(token_id, until=self.at(stores, offset))
        )

    @rule(token_id=TOKENS, offset=OFFSETS)
    def ask(self, token_id: str, offset: timedelta) -> None:
        """Ask for a token that was issued at some time, perhaps before the list was used."""
        self.twins.same(
            lambda stores: stores.deny_list.is_denied(token_id, issued_at=self.at(stores, offset))
        )


def test_deny_list(redis_url: str) -> None:
    """Whatever is denied, the fake and Redis answer alike at every step."""
    run_program(Denials, redis_url)
