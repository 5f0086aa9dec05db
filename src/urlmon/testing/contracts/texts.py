"""Text that careless stores change or trip over, and text that no store may be asked to keep."""

from __future__ import annotations

from typing import Final

HOSTILE_TEXTS: Final = (
    "'; DROP TABLE tenants; --",
    '"quoted" `text`',
    "line\nbreak\r\nand\ttab",
    "back\\slash\\",
    "  spaces at both ends  ",
    "%s %(id)s $1 :id {id} ${id}",
    "NULL",
    "\\N",
    '{"a",b}',
    '["a", null]',
    "\x01\x1b\x7f",
    "\N{PILE OF POO}\U0010ffff",
    "e\N{COMBINING ACUTE ACCENT}\N{LATIN SMALL LETTER E WITH ACUTE}",
    "\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}\N{NO-BREAK SPACE}\ufeff",
)
"""Each must come back exactly."""

IMPOSSIBLE_TEXTS: Final = ("nul\x00", "\ud800", "\udfff tail")
"""Each must be refused before a store sees it."""
