"""The error tree."""

from __future__ import annotations

import copy
import inspect
import pickle
from datetime import timedelta

import pytest

from urlmon import errors
from urlmon.errors import (
    AlreadyExistsError,
    ConfigurationError,
    ConflictError,
    CorruptDataError,
    InvalidValueError,
    LeaseLostError,
    LimitExceededError,
    MigrationError,
    NotFoundError,
    StoreError,
    UnavailableError,
    UrlmonError,
)

_AT = ("memory", "MonitorRepo.add")
_EXAMPLES: list[tuple[UrlmonError, dict[str, object], str]] = [
    (
        InvalidValueError("url", "must be short"),
        {"field": "url", "reason": "must be short"},
        "url: must be short",
    ),
    (ConfigurationError("A is missing", "B is wrong"), {}, "A is missing\nB is wrong"),
    (MigrationError("a file has changed"), {}, "a file has changed"),
    (StoreError(*_AT, "broken"), {}, "MonitorRepo.add (memory): broken"),
    (
        NotFoundError(*_AT, entity="tenant", key="7"),
        {"entity": "tenant", "key": "7"},
        "MonitorRepo.add (memory): no tenant 7",
    ),
    (
        AlreadyExistsError(*_AT, entity="monitor", field="name"),
        {"entity": "monitor", "field": "name"},
        "MonitorRepo.add (memory): a different monitor with this name exists",
    ),
    (
        ConflictError(*_AT, entity="monitor", current="3"),
        {"entity": "monitor", "current": "3"},
        "MonitorRepo.add (memory): the monitor has changed: it is now 3",
    ),
    (
        LimitExceededError(*_AT, limit_name="max_monitors", limit="5"),
        {"limit_name": "max_monitors", "limit": "5"},
        "MonitorRepo.add (memory): the tenant's limit max_monitors = 5 is reached",
    ),
    (
        UnavailableError(*_AT, "gone", maybe_applied=True, retry_after=timedelta(seconds=5)),
        {"maybe_applied": True, "retry_after": timedelta(seconds=5)},
        "MonitorRepo.add (memory): gone",
    ),
    (
        LeaseLostError(*_AT, name="m"),
        {"name": "m"},
        "MonitorRepo.add (memory): the lease on m is no longer held",
    ),
    (CorruptDataError(*_AT, "odd"), {}, "MonitorRepo.add (memory): odd"),
]
_IDS = [type(error).__name__ for error, _, _ in _EXAMPLES]


def test_every_error_has_an_example() -> None:
    """A class that is added to the tree is added here."""
    tree = {
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, UrlmonError)
    }
    assert {type(error) for error, _, _ in _EXAMPLES} == tree - {UrlmonError}


@pytest.mark.parametrize(("error", "attributes", "message"), _EXAMPLES, ids=_IDS)
def test_attributes_and_message(
    error: UrlmonError, attributes: dict[str, object], message: str
) -> None:
    """The facts are attributes, and the message is made of them."""
    assert {name: getattr(error, name) for name in attributes} == attributes
    assert str(error) == message
    if isinstance(error, StoreError):
        assert (error.store, error.operation) == _AT
        assert message.endswith(error.detail)


@pytest.mark.parametrize(("error", "attributes", "message"), _EXAMPLES, ids=_IDS)
def test_copies(error: UrlmonError, attributes: dict[str, object], message: str) -> None:
    """An error that went to another process is the same."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        other = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own bytes
        for each in (other, copy.copy(other), copy.deepcopy(other)):
            assert type(each) is type(error)
            assert vars(each) == vars(error)
            assert each.args == error.args
            assert str(each) == message
    assert attributes.items() <= vars(error).items()


def test_builtin_bases() -> None:
    """Who knows only the builtins catches the fitting ones."""
    assert issubclass(InvalidValueError, ValueError)
    assert issubclass(NotFoundError, LookupError)
    assert not issubclass(UnavailableError, InvalidValueError)


def test_a_failure_is_only_maybe_applied_when_said_so() -> None:
    """Nothing is assumed to have been written."""
    assert UnavailableError(*_AT, "gone").maybe_applied is False


def test_a_store_asks_for_no_wait_unless_it_says_so() -> None:
    """The default names no time, so that a caller waits as long as it usually does."""
    assert UnavailableError(*_AT, "gone").retry_after is None


def test_all_problems_of_a_configuration() -> None:
    """Each problem is kept as a line of its own."""
    assert ConfigurationError("A", "B").problems == ("A", "B")
