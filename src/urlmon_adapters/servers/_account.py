"""The account that a server runs as."""

from __future__ import annotations

import os
import pwd
from typing import Final

from attrs import frozen

from urlmon_adapters.servers.errors import ServerError


@frozen
class Account:
    """What `subprocess` needs to start a program as someone; all None means as ourselves."""

    name: str | None = None
    uid: int | None = None
    gid: int | None = None

    @property
    def extra_groups(self) -> list[int] | None:
        """No groups of ours for someone else."""
        return None if self.uid is None else []


OURSELVES: Final = Account()


def unprivileged(server: str) -> Account:
    """Return ourselves, or `nobody` when we are root, for a server that refuses root."""
    if os.geteuid() != 0:
        return OURSELVES
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        reason = "does not run as root, and there is no account `nobody` to run it as"
        raise ServerError(server, reason) from None
    return Account(nobody.pw_name, nobody.pw_uid, nobody.pw_gid)
