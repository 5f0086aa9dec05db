"""The port for tenants."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol

from urlmon.domain.ids import TenantId
from urlmon.domain.pages import Page
from urlmon.domain.tenants import Tenant, TenantStatus


class TenantRepo(Protocol):
    """Keeps tenants.

    Every call is one transaction.  Every call can raise `UnavailableError`, and may then be made
    again.  `InvalidValueError` is raised, before anything is sent, for a `tenant_id` that is no
    `TenantId`.
    """

    __slots__ = ()

    @abstractmethod
    async def add(self, tenant: Tenant) -> Tenant:
        """Store a new tenant; `tenant.version` must be 1.

        Repeatable: the same tenant again gives the same answer, as long as it was not changed.

        Returns:
            The tenant as stored: equal to the argument.

        Raises:
            AlreadyExistsError: Another tenant has the id (`field` = `"id"`) or the slug (`"slug"`).
            InvalidValueError: The version is not 1.
        """

    @abstractmethod
    async def get(self, tenant_id: TenantId) -> Tenant:
        """Return a tenant.

        Raises:
            NotFoundError: There is none with this id.
        """

    @abstractmethod
    async def find_by_slug(self, slug: str) -> Tenant | None:
        """Return the tenant with a slug; None if there is none or the text cannot be a slug."""

    @abstractmethod
    async def list(
        self,
        *,
        status: TenantStatus | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Tenant]:
        """Return tenants in order of their ids, which is the order of their making.

        This call serves operators: it goes across tenants.

        Args:
            status: Only those with this status.
            cursor: `next_cursor` of the page before.
            limit: Items of a page, 1 to 1,000.

        Raises:
            InvalidValueError: The limit is out of range, or the cursor is from another list.
        """

    @abstractmethod
    async def update(self, tenant: Tenant) -> Tenant:
        """Replace name, slug, status, limits and `updated_at` of the stored version.

        `tenant.version` is the version that the caller has seen; `created_at` is not changed.
        Repeatable: the same update again gives the same answer, as long as nothing came between.
        Lower limits are accepted; they bind from the next monitor on that is added or updated.

        Returns:
            The tenant as stored, its version one higher.

        Raises:
            NotFoundError: There is none with this id.
            ConflictError: The stored version is another one; `current` is it.
            AlreadyExistsError: Another tenant has the slug (`field` = `"slug"`).
        """

    @abstractmethod
    async def set_status(
        self, tenant_id: TenantId, *, status: TenantStatus, at: datetime
    ) -> Tenant:
        """Activate or suspend a tenant, whatever its version.

        Repeatable: a tenant that has the status already is returned unchanged.  Otherwise its
        version goes up by one, `updated_at` becomes `at`, and the directory's change feed reports
        its monitors.

        Raises:
            NotFoundError: There is none with this id.
            InvalidValueError: The instant is naive.
        """

    @abstractmethod
    async def remove(self, tenant_id: TenantId) -> None:
        """Remove a tenant with its monitors, channels and alerts, in one transaction.

        However many there are, it takes a moment: all of it is gone for every reader, and the sweep
        (`urlmon.services.sweep`) deletes it later, with the check results.  Id and slug are free at
        once; to add the id again before the sweep is done takes as long as the sweep would.
        Repeatable: a tenant that does not exist is left that way.
        """
