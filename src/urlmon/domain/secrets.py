"""Secret text that does not show itself."""

from __future__ import annotations

from typing import NoReturn

from urlmon.domain._validators import check_text


class Secret:
    """A secret of up to 4,096 characters, readable through `reveal` alone.

    `repr`, `str` and formatting give asterisks, and it cannot be pickled.

    Raises:
        InvalidValueError: The text is empty, too long, or holds NUL or a lone surrogate.
    """

    __slots__ = ("_text",)

    def __init__(self, value: str) -> None:
        self._text = check_text("secret", value, longest=4096)

    def reveal(self) -> str:
        """Return the secret text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")
