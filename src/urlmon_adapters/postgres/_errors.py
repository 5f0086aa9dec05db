"""Translates psycopg's errors into urlmon's: by class and SQLSTATE, never by message text."""

from __future__ import annotations

import psycopg
from psycopg import errors as sql
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from urlmon.errors import CorruptDataError, StoreError, UnavailableError

STORE = "postgresql"

_LOST = "the connection was lost or could not be made: is the server up?"
_LOGIN = (
    "the login failed: check user, password and database in DATABASE_URL (or URLMON_MIGRATION_URL)"
)
# What a person does about it; the keys are SQLSTATEs.
_ADVICE = {
    "42501": "the role lacks a privilege: see docs/how-to/security.md",
    "42P01": "a table is missing: run `urlmon migrate`",
    "42703": "a column is missing: run `urlmon migrate`",
    "42883": "a function is missing: run `urlmon migrate`",
    "53300": "the server has no connection left: lower the pool size or raise max_connections",
    "53100": "the server's disk is full",
    "25006": "the server is read-only: it is a standby, or a failover is under way",
}
# 08 connection, 40 rollback (serialization, deadlock), 53 resources, 57P0x shutdown, 55P03 lock,
# 57014 time limit, 25006 read-only, 25P03 idle time limit: later the same call can succeed.
_TRANSIENT = ("08", "40", "53", "57P", "55P03", "57014", "25006", "25P03")
# The server ended the connection, or says itself that it does not know how a statement ended.
_LOSSES = ("08", "57P01", "57P02", "57P03", "57P05", "40003")
# Serialization failure, deadlock: the server asks for another try of the whole transaction.
_COLLISIONS = ("40001", "40P01")


def translate(error: Exception, operation: str, *, maybe_applied: bool = False) -> StoreError:
    """Return the error of urlmon that a driver's error means.

    Args:
        error: What psycopg or its pool raised.
        operation: The port's method.
        maybe_applied: Whether a COMMIT had been sent; its reply then says what became of it.
    """
    maybe_applied = maybe_applied and _is_loss(error)
    if isinstance(error, PoolTimeout | TooManyRequests):
        return UnavailableError(
            STORE,
            operation,
            "no connection was free in time: is the server up, is the pool large enough?",
        )
    sqlstate = error.sqlstate if isinstance(error, psycopg.Error) else None
    advice = _ADVICE.get(sqlstate or "", "")
    if sqlstate is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        # Of a login that failed libpq tells no SQLSTATE, but whether the server wanted a password.
        refused = error.pgconn is not None and error.pgconn.used_password
        detail = _LOGIN if refused else _LOST
        return UnavailableError(STORE, operation, detail, maybe_applied=maybe_applied)
    if sqlstate is not None and sqlstate.startswith(_TRANSIENT):
        detail = advice or f"the server could not serve it now (SQLSTATE {sqlstate})"
        return UnavailableError(STORE, operation, detail, maybe_applied=maybe_applied)
    if lacks_partition(error):
        # A row that waited while a month was cut out of the default partition finds its place when
        # it is sent again.
        return UnavailableError(STORE, operation, "a partition was made meanwhile: call again")
    if isinstance(error, sql.DataError) or sqlstate is None:
        return CorruptDataError(STORE, operation, f"unexpected data (SQLSTATE {sqlstate})")
    return StoreError(STORE, operation, advice or f"the server refused it (SQLSTATE {sqlstate})")


def repeats_after(error: UnavailableError) -> int:
    """Return how often a call may be run again at once after it ended so."""
    cause = error.__cause__
    if cause is None:
        return 1  # what an adapter met was gone when it looked
    if isinstance(cause, sql.OperationalError) and cause.sqlstate in _COLLISIONS:
        return 3
    return int(_is_loss(cause) or lacks_partition(cause))


def lacks_partition(error: BaseException | None) -> bool:
    """Say whether a row was refused for the bounds of partitions, which have no name."""
    return isinstance(error, sql.CheckViolation) and violated(error) is None


def _is_loss(error: BaseException) -> bool:
    """Say whether the connection was lost: without a reply nobody knows what was done last."""
    if isinstance(error, PoolClosed | PoolTimeout | TooManyRequests):
        return False
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    return error.sqlstate is None or error.sqlstate.startswith(_LOSSES)


def violated(error: psycopg.Error) -> str | None:
    """Return the name of the constraint that an error is about; None for any other error."""
    return error.diag.constraint_name if isinstance(error, sql.IntegrityError) else None
