"""Every error that leaves a port of urlmon, in one tree.

A caller decides by class: `InvalidValueError` is a bug or bad input on its own side,
`UnavailableError` may be tried again, every other `StoreError` is an answer.  Messages name what
and which, and never hold a secret.  An error of a driver reaches a caller only as `__cause__`.
"""

from __future__ import annotations

from datetime import timedelta

STATE_LOST = "the working state was lost and is being rebuilt from the record: try again soon"
"""The detail of the `UnavailableError` that says so (`urlmon.ports.WorkingState`)."""


class UrlmonError(Exception):
    """The root of all errors of urlmon; never raised itself."""


class InvalidValueError(UrlmonError, ValueError):
    """A value that the domain refuses; nothing was sent to a store.

    Attributes:
        field: The name of the offending field or argument.
        reason: What is allowed, in words; the refused value itself is not repeated.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class ConfigurationError(UrlmonError):
    """The settings cannot be used; holds every problem at once.

    Attributes:
        problems: One line a problem, each opening with its environment name; never a secret.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


class MigrationError(UrlmonError):
    """The schema could not be brought, or is not, where this version needs it."""


class StoreError(UrlmonError):
    """A store refused or failed an operation.

    Attributes:
        store: `"postgresql"`, `"influxdb"`, `"redis"` or `"memory"`.
        operation: The port's method, such as `"MonitorRepo.add"`.
        detail: What happened, in words.
    """

    def __init__(self, store: str, operation: str, detail: str) -> None:
        super().__init__(store, operation, detail)
        self.store = store
        self.operation = operation
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.operation} ({self.store}): {self.detail}"


class NotFoundError(StoreError, LookupError):
    """No such row for this tenant; the same whether it does not exist or belongs to someone else.

    Attributes:
        entity: What was looked for, such as `"monitor"`.
        key: The key that was looked for.
    """

    def __init__(self, store: str, operation: str, *, entity: str, key: str) -> None:
        super().__init__(store, operation, f"no {entity} {key}")
        self.entity = entity
        self.key = key

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args[:2], {"entity": self.entity, "key": self.key})


class AlreadyExistsError(StoreError):
    """Another row has this unique key already.

    Attributes:
        entity: What exists, such as `"monitor"`.
        field: The field that must be unique, such as `"name"`.
    """

    def __init__(self, store: str, operation: str, *, entity: str, field: str) -> None:
        super().__init__(store, operation, f"a different {entity} with this {field} exists")
        self.entity = entity
        self.field = field

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args[:2], {"entity": self.entity, "field": self.field})


class ConflictError(StoreError):
    """The request is valid, but the present state forbids it.

    Attributes:
        entity: What is in conflict, such as `"monitor"`.
        current: The present version or state, as text: what the caller has to look at again.
    """

    def __init__(self, store: str, operation: str, *, entity: str, current: str) -> None:
        super().__init__(store, operation, f"the {entity} has changed: it is now {current}")
        self.entity = entity
        self.current = current

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (
            type(self),
            self.args[:2],
            {"entity": self.entity, "current": self.current},
        )


class LimitExceededError(StoreError):
    """The tenant's limit does not allow it.

    Attributes:
        limit_name: The limit, such as `"max_monitors"`.
        limit: Its value.
    """

    def __init__(self, store: str, operation: str, *, limit_name: str, limit: str) -> None:
        super().__init__(store, operation, f"the tenant's limit {limit_name} = {limit} is reached")
        self.limit_name = limit_name
        self.limit = limit

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (
            type(self),
            self.args[:2],
            {"limit_name": self.limit_name, "limit": self.limit},
        )


class UnavailableError(StoreError):
    """The store could not be reached or did not answer; the call may be made again.

    Attributes:
        maybe_applied: Whether a write can have been applied although its answer was lost.  Every
            write of urlmon may be repeated, so repeating is right in both cases.
        retry_after: How long the store asks to be left alone; None if it does not say.
    """

    def __init__(
        self,
        store: str,
        operation: str,
        detail: str,
        *,
        maybe_applied: bool = False,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(store, operation, detail)
        self.maybe_applied = maybe_applied
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        kwargs = {"maybe_applied": self.maybe_applied, "retry_after": self.retry_after}
        return _rebuild, (type(self), self.args, kwargs)


class LeaseLostError(StoreError):
    """Someone else holds the lease now, or its time is over.

    Attributes:
        name: What was leased.
    """

    def __init__(self, store: str, operation: str, *, name: str) -> None:
        super().__init__(store, operation, f"the lease on {name} is no longer held")
        self.name = name

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args[:2], {"name": self.name})


class CorruptDataError(StoreError):
    """What was read is not what this version of urlmon writes."""


def _rebuild(
    cls: type[StoreError], args: tuple[object, ...], kwargs: dict[str, object]
) -> StoreError:
    """Rebuild an error with keyword arguments from a pickle."""
    return cls(*args, **kwargs)  # type: ignore[arg-type]
