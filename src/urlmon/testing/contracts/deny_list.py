"""The contract of `DenyList`."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from urlmon.domain._validators import EARLIEST, LATEST
from urlmon.domain.deny_list import CLOCK_SKEW
from urlmon.domain.ids import TenantId
from urlmon.domain.sessions import LOGIN_WINDOW
from urlmon.errors import InvalidValueError
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import WorkingStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS, IMPOSSIBLE_TEXTS

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)


async def now(working: WorkingStores) -> datetime:
    """Return the time of the store's clock: a login says when it will be over."""
    return (await working.sessions.begin(TenantId.new(), "a user")).until - LOGIN_WINDOW


async def in_use(working: WorkingStores) -> datetime:
    """Use the list, and return an instant at which it has long been in use."""
    await working.deny_list.deny("the first", until=LATEST - MICROSECOND)
    await working.advance(MINUTE)
    return await now(working)


class DenyListContract:
    """What every `DenyList` must hold."""

    async def test_denied(self, working: WorkingStores) -> None:
        """A token is denied from when that was asked for until its end, and no other one is."""
        deny_list, issued_at = working.deny_list, await in_use(working)
        assert not await deny_list.is_denied("a", issued_at=issued_at)
        for _ in range(2):
            await deny_list.deny("a", until=issued_at + HOUR)
            assert await deny_list.is_denied("a", issued_at=issued_at)
        assert not await deny_list.is_denied("b", issued_at=issued_at)
        await working.advance(HOUR - MINUTE)
        assert await deny_list.is_denied("a", issued_at=issued_at)
        await working.advance(MINUTE)
        assert not await deny_list.is_denied("a", issued_at=issued_at)

    async def test_latest_end(self, working: WorkingStores) -> None:
        """Denied with several ends, a token is denied until the latest, in whatever order."""
        deny_list, issued_at = working.deny_list, await in_use(working)
        ends = [issued_at + hours * HOUR for hours in (2, 4, 1)]
        for token_id, order in (("a", ends), ("b", ends[::-1])):
            for until in order:
                await deny_list.deny(token_id, until=until)
        await working.advance(4 * HOUR - MINUTE)
        for token_id in ("a", "b"):
            assert await deny_list.is_denied(token_id, issued_at=issued_at)
        await working.advance(MINUTE)
        for token_id in ("a", "b"):
            assert not await deny_list.is_denied(token_id, issued_at=issued_at)

    async def test_past_end(self, working: WorkingStores) -> None:
        """A token that is over already need not be denied, and does not end another denial."""
        deny_list, issued_at = working.deny_list, await in_use(working)
        await deny_list.deny("a", until=EARLIEST)
        assert not await deny_list.is_denied("a", issued_at=issued_at)
        await deny_list.deny("b", until=issued_at + HOUR)
        await deny_list.deny("b", until=issued_at)
        assert await deny_list.is_denied("b", issued_at=issued_at)

    async def test_first_use(self, working: WorkingStores) -> None:
        """What was issued before the list was first used, or just after, is denied for ever."""
        deny_list, begun = working.deny_list, await now(working)
        issues = [EARLIEST, begun - HOUR, begun, begun + CLOCK_SKEW]
        for _ in range(3):
            for issued_at in issues:
                assert await deny_list.is_denied("a", issued_at=issued_at)
            assert not await deny_list.is_denied("a", issued_at=begun + CLOCK_SKEW + MINUTE)
            await working.advance(HOUR)

    async def test_ids(self, working: WorkingStores) -> None:
        """Ids are text of any kind, and differ however alike they look."""
        deny_list, issued_at = working.deny_list, await in_use(working)
        ids = [*HOSTILE_TEXTS, "a", "A", "a:b", "a%3Ab", "{a}", "*", "\U0001f525" * 200]
        for number, token_id in enumerate(ids):
            await deny_list.deny(token_id, until=issued_at + HOUR)
            for other, each in enumerate(ids):
                denied = await deny_list.is_denied(each, issued_at=issued_at)
                assert denied is (other <= number)

    async def test_arguments(self, working: WorkingStores) -> None:
        """Arguments at their limits are taken, those beyond are refused by name."""
        deny_list, naive = working.deny_list, NOON.replace(tzinfo=None)
        zone = timezone(timedelta(hours=-9, minutes=-30))
        issued_at = await in_use(working)
        await deny_list.deny("x" * 200, until=(LATEST - MICROSECOND).astimezone(zone))
        assert await deny_list.is_denied("x" * 200, issued_at=issued_at.astimezone(zone))
        refused = [
            *(("token_id", deny_list.deny(t, until=NOON)) for t in ("", "x" * 201)),
            *(("token_id", deny_list.deny(t, until=NOON)) for t in IMPOSSIBLE_TEXTS),
            *(("token_id", deny_list.is_denied(t, issued_at=NOON)) for t in ("", "x" * 201)),
            *(("token_id", deny_list.is_denied(t, issued_at=NOON)) for t in IMPOSSIBLE_TEXTS),
            ("until", deny_list.deny("a", until=naive)),
            ("issued_at", deny_list.is_denied("a", issued_at=naive)),
        ]
        for name, call in refused:
            error = await refusal_of(call)
            assert isinstance(error, InvalidValueError)
            assert error.field == name
        assert not await deny_list.is_denied("a", issued_at=issued_at)
