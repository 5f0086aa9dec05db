"""What the in-memory `SessionStore` keeps of a user."""

from __future__ import annotations

from datetime import datetime

from attrs import define, field

from urlmon.domain.sessions import Login, Session


@define
class UserSessions:
    """The sessions of a user, by their ids.

    Attributes:
        generation: What a login begins with; another one after all sessions were revoked or lost.
        kept: Those that were not revoked.
        created: The ids of all that there ever were: no login is used again.
    """

    generation: int
    kept: dict[str, Session] = field(factory=dict)
    created: set[str] = field(factory=set)

    def live(self, now: datetime) -> dict[str, Session]:
        """Return those that are not over."""
        return {name: each for name, each in self.kept.items() if now < each.expires_at}

    def accepts(self, login: Login, now: datetime) -> bool:
        """Say whether a session may still be created from a login."""
        return self.generation == login.generation and now < login.until
