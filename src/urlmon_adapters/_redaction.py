"""Takes secrets out of text that a person or a log file will see."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from urlmon.domain.secrets import Secret

MASK: Final = "***"
# Anything shorter stands in ordinary words, and masking it there would spell it out.
_SHORTEST: Final = 4
_VISIBLE: Final = re.compile(r"[!-~]+")
_HOST: Final = re.compile(r"(?:\[[^]]+\]|[^:]*)(?::\d*)?")
_KEY: Final = r"(?i:password|passwd|pwd|token|secret|api_?key)"

_PATTERNS: Final = (
    # The password in scheme://user:password@host.
    re.compile(r"(://[^\s:/@]*:)[^\s/]+(?=@)"),
    # The credentials of an Authorization header, and those that stand alone behind their scheme.
    re.compile(r"((?i:authorization)['\"]?\s*[:=]\s*['\"]?\w+\s+)[^\s'\",]+"),
    re.compile(r"\b((?:(?i:bearer)|Token)\s+)[\w.~+/=-]{16,}"),
    # password=x in a connection string or query, and "password": "x" in a mapping.
    re.compile(rf"({_KEY}=)(?:'[^']*'|\"[^\"]*\"|[^\s&;,'\"]+)"),
    re.compile(rf"({_KEY}['\"]\s*:\s*)(?:'[^']*'|\"[^\"]*\")"),
)


class Redactor:
    """Masks the secrets it was given, and whatever looks like a password or a credential.

    Args:
        secrets: What to find wherever it stands; of a URL, the passwords in it.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        texts = {form for secret in secrets for form in _forms(secret.reveal())}
        known = sorted((text for text in texts if len(text) >= _SHORTEST), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """Return `text` with every secret replaced by asterisks."""
        if self._known:
            text = self._known.sub(MASK, text)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{MASK}", text)
        return text


def mask_url(url: str) -> str:
    """Return a URL without its passwords; of what is no valid URL, nothing."""
    masked = re.sub(r"(://[^:/@]*:).+(?=@)", rf"\g<1>{MASK}", url)
    try:
        split_url(masked)
    except ValueError:
        return MASK
    return Redactor()(masked) if "://" in masked else MASK


def split_url(url: str) -> SplitResult:
    """Split a URL; the host part may name several hosts, as PostgreSQL takes them.

    Raises:
        ValueError: It is malformed.  A password with a character that ends the host too early,
            such as `/` or `#`, mostly is, because it leaves a piece of itself as the port.
    """
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if not _VISIBLE.fullmatch(url) or not all(map(_HOST.fullmatch, hosts)):
        raise ValueError
    return parts


def names_a_secret(name: str) -> bool:
    """Say whether a value under this name is secret, to judge by the name."""
    return re.fullmatch(rf".*{_KEY}", name) is not None


def _forms(secret: str) -> set[str]:
    """Return the spellings in which a secret can turn up in text."""
    plain = _passwords(secret) if "://" in secret else {secret}
    return {
        form
        for text in plain
        for form in (text, quote(text, safe=""), repr(text)[1:-1], json.dumps(text)[1:-1])
    }


def _passwords(url: str) -> set[str]:
    """Return the passwords in a URL, as written and decoded; the whole URL if it has no parts."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return {url}
    found = {value for key, value in parse_qsl(parts.query) if names_a_secret(key)}
    if parts.password:
        found |= {parts.password, unquote(parts.password)}
    return found
