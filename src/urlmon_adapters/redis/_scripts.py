"""The Lua scripts: each a file, or several joined, that the server runs in one step."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from attrs import frozen

PACKAGE: Final = "urlmon_adapters.redis"


@frozen
class Script:
    """A script as the server knows it.

    Attributes:
        text: The source.
        digest: What it is called by, once the server has it.
    """

    text: str
    digest: str


@cache
def load(*names: str) -> Script:
    """Read a script, joined of the files `scripts/<name>.lua`: what it needs first, itself last."""
    folder = files(PACKAGE) / "scripts"
    text = "\n".join((folder / f"{name}.lua").read_text("utf-8") for name in names)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
