"""Field validators of the domain: each says what it allows when it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import Attribute

from urlmon.errors import InvalidValueError

Validator = Callable[[object, "Attribute[Any]", Any], None]

# Outside of this span no store is asked: InfluxDB ends in 2262, and no check was due before 2000.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def check_text(field: str, value: object, *, longest: int, shortest: int = 1) -> str:
    """Return `value` if it is text that every store keeps exactly.

    Raises:
        InvalidValueError: It is no text, of another length, or holds NUL or a lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidValueError(field, "must be text")
    if not shortest <= len(value) <= longest:
        raise InvalidValueError(field, f"must have {shortest} to {longest} characters")
    if "\x00" in value:
        raise InvalidValueError(field, "must not hold the NUL character")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidValueError(field, "must be valid Unicode, without lone surrogates")
    return value


def text(longest: int, *, shortest: int = 1) -> Validator:
    """Validate text that every store keeps exactly."""

    def validate(_: object, attribute: Attribute[Any], value: object) -> None:
        check_text(attribute.name, value, longest=longest, shortest=shortest)

    return validate


def pattern(expression: str, meaning: str) -> Validator:
    """Validate text that a regular expression matches from end to end."""
    compiled = re.compile(expression)

    def validate(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, str) or compiled.fullmatch(value) is None:
            raise InvalidValueError(attribute.name, meaning)

    return validate


def whole(lowest: int, highest: int) -> Validator:
    """Validate an integer; `True` and `1.0` are none."""

    def validate(_: object, attribute: Attribute[Any], value: object) -> None:
        if type(value) is not int or not lowest <= value <= highest:
            raise InvalidValueError(
                attribute.name, f"must be a whole number from {lowest} to {highest}"
            )

    return validate


def duration(lowest: timedelta, highest: timedelta, *, unit: timedelta) -> Validator:
    """Validate a duration that is a multiple of `unit`."""

    def validate(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, timedelta) or not lowest <= value <= highest or value % unit:
            raise InvalidValueError(
                attribute.name, f"must be from {lowest} to {highest} in steps of {unit}"
            )

    return validate


def check_milliseconds(
    field: str, value: object, lowest: timedelta, highest: timedelta, meaning: str
) -> timedelta:
    """Return a duration of whole milliseconds.

    Args:
        field: Its name.
        value: What is given for it.
        lowest: The shortest that it may be.
        highest: The longest.
        meaning: Both, in words.

    Raises:
        InvalidValueError: It is no such duration.
    """
    if (
        not isinstance(value, timedelta)
        or not lowest <= value <= highest
        or value % timedelta(milliseconds=1)
    ):
        raise InvalidValueError(field, f"must be {meaning} in whole milliseconds")
    return value


def check_instant(field: str, value: object) -> datetime:
    """Return an aware instant in UTC.

    Raises:
        InvalidValueError: It is no datetime, has no zone, or is outside of 2000 to 2199.
    """
    if not isinstance(value, datetime) or value.tzinfo is None or value.utcoffset() is None:
        raise InvalidValueError(field, "must be a datetime with a time zone")
    try:
        utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    except OverflowError as exc:
        raise InvalidValueError(field, "must be in the years 2000 to 2199") from exc
    if not EARLIEST <= utc < LATEST:
        raise InvalidValueError(field, "must be in the years 2000 to 2199")
    return utc


def is_positive(duration: object) -> bool:
    """Say whether a value is a duration longer than nothing."""
    return isinstance(duration, timedelta) and duration > timedelta(0)


def check_first_version(version: int) -> None:
    """Refuse to add what claims to have been changed already.

    Raises:
        InvalidValueError: The version is not 1.
    """
    if version != 1:
        raise InvalidValueError("version", "must be 1 for what is new")


def instant(_: object, attribute: Attribute[Any], value: object) -> None:
    """Validate an instant; a zone other than UTC was converted by `to_utc`."""
    check_instant(attribute.name, value)


def to_utc(value: datetime) -> datetime:
    """Convert an aware datetime to UTC; leave everything else to the validator."""
    # A value of another class has no tzinfo, and is the validator's to refuse.
    if getattr(value, "tzinfo", None) not in {None, UTC}:
        try:
            return value.astimezone(UTC)
        except (OverflowError, ValueError):
            return value
    return value


def to_utc_or_none(value: datetime | None) -> datetime | None:
    """Convert as `to_utc` does; keep None."""
    return None if value is None else to_utc(value)


def optional(validator: Validator) -> Validator:
    """Let None pass, and validate everything else."""

    def validate(instance: object, attribute: Attribute[Any], value: object) -> None:
        if value is not None:
            validator(instance, attribute, value)

    return validate


def text_pairs(longest: int, key: Callable[[str, object], object]) -> Validator:
    """Validate up to `longest` pairs of a key, checked by `key`, and text of 4,096 characters."""

    def validate(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, tuple) or len(value) > longest:
            raise InvalidValueError(attribute.name, f"must have at most {longest} pairs")
        for pair in value:
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise InvalidValueError(attribute.name, "must hold pairs of text")
            key(attribute.name, pair[0])
            check_text(attribute.name, pair[1], longest=4096, shortest=0)

    return validate


def kind_of(kind: type[object]) -> Validator:
    """Validate the class of a value."""

    def validate(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            raise InvalidValueError(attribute.name, f"must be a {kind.__name__}")

    return validate


def distinct(longest: int, item: Validator, *, shortest: int = 0) -> Validator:
    """Validate a tuple of distinct items, each by `item`."""

    def validate(instance: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, tuple) or not shortest <= len(value) <= longest:
            raise InvalidValueError(attribute.name, f"must have {shortest} to {longest} items")
        for each in value:
            item(instance, attribute, each)
        if len(set(value)) != len(value):
            raise InvalidValueError(attribute.name, "must not repeat an item")

    return validate
