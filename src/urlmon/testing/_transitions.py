"""The rows behind the in-memory `TransitionOutbox`; `InMemoryAlertStateCache` adds to them."""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import define, frozen

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.transitions import (
    ENDS,
    MAX_ATTEMPTS,
    ClaimedTransition,
    DeadLetter,
    Transition,
    TransitionKind,
)


@define(kw_only=True)
class _Row:
    """A transition that is neither settled nor given up, in the order of being added."""

    transition: Transition
    due: datetime
    attempts: int = 0
    token: str | None = None
    released: bool = True

    def claimed(self, token: str) -> ClaimedTransition:
        return ClaimedTransition(
            transition=self.transition,
            token=token,
            attempt=self.attempts,
            leased_until=self.due,
        )

    @property
    def line(self) -> tuple[TenantId, MonitorId]:
        """Whose transitions are handed over one after the other."""
        return self.transition.tenant_id, self.transition.monitor_id

    def is_leased(self, now: datetime) -> bool:
        return not self.released and now < self.due


@frozen(kw_only=True)
class _Claim:
    """What a request was given."""

    token: str
    until: datetime
    ids: tuple[str, ...]


class TransitionRows:
    """The outbox of a group of fakes.  Whether a lease was lost is an answer here, not an error."""

    def __init__(self) -> None:
        self._live: dict[str, _Row] = {}
        self._dead: dict[
            str, tuple[DeadLetter, str | None]
        ] = {}  # with the token that gave it back
        self._settled: dict[str, str] = {}
        self._claims: dict[str, _Claim] = {}

    def add(self, transition: Transition, *, now: datetime) -> None:
        """Add a transition, unless it is here already; one that was given up lives again."""
        self._tidy(now)
        self._dead.pop(transition.id, None)
        self._live.setdefault(transition.id, _Row(transition=transition, due=now))
        # What begins anew has not ended, and of what has ended nobody is reminded.
        if transition.kind in ENDS:
            self.withdraw(f"{transition.alert_id}:{ENDS[transition.kind]}", now=now)
        if transition.kind is TransitionKind.RESOLVED:
            self.withdraw(
                f"{transition.alert_id}:{TransitionKind.REMINDER}:{transition.number}", now=now
            )

    def withdraw(self, transition_id: str, *, now: datetime) -> None:
        """Take a transition out that is not leased."""
        row = self._live.get(transition_id)
        if row is not None and not row.is_leased(now):
            del self._live[transition_id]

    def holds(self, tenant_id: TenantId, monitor_id: MonitorId, *, now: datetime) -> bool:
        """Say whether any transition of a monitor is neither settled nor given up."""
        self._tidy(now)
        return any(row.line == (tenant_id, monitor_id) for row in self._live.values())

    def claim(
        self, request_id: str, token: str, *, now: datetime, limit: int, lease: timedelta
    ) -> tuple[ClaimedTransition, ...]:
        """Lease what is due, or return what the same request was given."""
        self._tidy(now)
        self._claims = {key: each for key, each in self._claims.items() if now < each.until}
        if (claim := self._claims.get(request_id)) is not None:
            rows = [self._live[each] for each in claim.ids if each in self._live]
            mine = [row for row in rows if row.token == claim.token and not row.released]
            return tuple(row.claimed(claim.token) for row in mine)
        due = [row for row in self._first_of_each_line() if row.due <= now]
        for row in due[:limit]:
            row.token, row.due, row.released = token, now + lease, False
            row.attempts += 1
        ids = tuple(row.transition.id for row in due[:limit])
        self._claims[request_id] = _Claim(token=token, until=now + lease, ids=ids)
        return tuple(row.claimed(token) for row in due[:limit])

    def settle(self, transition_id: str, token: str, *, now: datetime) -> bool:
        """Take a transition out; False if this claim no longer may."""
        self._tidy(now)
        if self._settled.get(transition_id) == token:
            return True
        row = self._live.get(transition_id)
        if row is None:
            # What nobody knows was settled so long ago that it is forgotten, or was withdrawn.
            return transition_id not in self._dead and transition_id not in self._settled
        if row.token != token:
            return False
        del self._live[transition_id]
        self._settled[transition_id] = token
        return True

    def release(self, transition_id: str, token: str, *, now: datetime, due: datetime) -> bool:
        """Give a transition back; False if this claim no longer may."""
        self._tidy(now)
        row = self._live.get(transition_id)
        if row is None:
            return transition_id in self._dead and self._dead[transition_id][1] == token
        if row.token == token and not row.released:
            row.due, row.released = due, True
            if row.attempts >= MAX_ATTEMPTS:
                self._give_up(row, at=now, token=token)
        return row.token == token

    def backlog(self, *, now: datetime) -> int:
        """Count what is neither settled nor given up."""
        self._tidy(now)
        return len(self._live)

    def dead_letters(self, *, now: datetime) -> list[DeadLetter]:
        """Return what was given up, newest first; of the same instant, by id backwards."""
        self._tidy(now)
        letters = [letter for letter, _ in self._dead.values()]
        return sorted(letters, key=lambda each: (each.at, each.transition.id), reverse=True)

    def _first_of_each_line(self) -> list[_Row]:
        lines: dict[tuple[TenantId, MonitorId], _Row] = {}
        for row in self._live.values():
            lines.setdefault(row.line, row)
        return list(lines.values())

    def _tidy(self, now: datetime) -> None:
        """Give up what was claimed for the last time, and withdraw reminders of what ended."""
        for row in list(self._live.values()):
            if row.attempts >= MAX_ATTEMPTS and row.due <= now:
                self._give_up(row, at=row.due, token=None)
            elif row.transition.kind is TransitionKind.REMINDER and self._has_ended(row):
                self.withdraw(row.transition.id, now=now)

    def _has_ended(self, row: _Row) -> bool:
        """Say whether the end of a reminder's alert is here."""
        return f"{row.transition.alert_id}:{TransitionKind.RESOLVED}" in self._live

    def _give_up(self, row: _Row, *, at: datetime, token: str | None) -> None:
        del self._live[row.transition.id]
        letter = DeadLetter(transition=row.transition, attempts=row.attempts, at=at)
        self._dead[row.transition.id] = letter, token
