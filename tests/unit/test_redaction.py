from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from urlmon.domain.secrets import Secret
from urlmon_adapters._redaction import Redactor, mask_url, names_a_secret

CANARY = "canary/4f1d'8a\"\\é"


@pytest.mark.parametrize(
    "text",
    [CANARY, quote(CANARY, safe=""), repr(CANARY), json.dumps(CANARY), f"got {CANARY}, not x"],
)
@pytest.mark.parametrize(
    "secret", [CANARY, f"postgresql://u:{quote(CANARY, safe='')}@h/db?sslmode=require"]
)
def test_known_secrets(secret: str, text: str) -> None:
    """A known secret, or the password of a known URL, is found in every spelling."""
    redacted = Redactor([Secret(secret)])(text)

    assert "canary" not in redacted
    assert "***" in redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("cannot reach redis://:pw@h:6379/0 now", "cannot reach redis://:***@h:6379/0 now"),
        ("postgresql+x://u:p@w@h/db", "postgresql+x://u:***@h/db"),
        ("a://u:p@h, b://v:q@i", "a://u:***@h, b://v:***@i"),
        ("Authorization: Token abc==", "Authorization: Token ***"),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization': 'Bearer ***'}"),
        ("sent Bearer abcdefgh12345678", "sent Bearer ***"),
        ("host=h password=abc dbname=d", "host=h password=*** dbname=d"),
        ("password='a b' x", "password=*** x"),
        ("http://h/?api_key=abc&page=2", "http://h/?api_key=***&page=2"),
        ('{"password": "abc", "n": 1}', '{"password": ***, "n": 1}'),
    ],
)
def test_what_looks_like_a_secret(text: str, redacted: str) -> None:
    """Passwords, tokens and credentials are masked without being known."""
    assert Redactor()(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "the token consumption of https://example.com:8080/path is fine",
        "secret: must have 1 to 4096 characters",
        "at 10:15 user@example.com was told",
        "tokens=3 were used",
    ],
)
def test_other_text_is_kept(text: str) -> None:
    """Ordinary messages, URLs with ports and e-mail addresses stay as they are."""
    assert Redactor([Secret("abc")])(text) == text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("postgresql://u:p@h1:5432,h2/db", "postgresql://u:***@h1:5432,h2/db"),
        ("postgresql://u:p@x/y@h/db", "postgresql://u:***@h/db"),
        ("postgresql:///db?host=/run&password=p", "postgresql:///db?host=/run&password=***"),
        ("redis://user:secret", "***"),
        ("http://[", "***"),
        ("secret", "***"),
    ],
)
def test_shown_urls(url: str, shown: str) -> None:
    """A URL is shown without its passwords, and not at all when they cannot be told apart."""
    assert mask_url(url) == shown


def test_secret_names() -> None:
    """A name says whether its value is secret."""
    assert all(map(names_a_secret, ("password", "sslpassword", "lease_token", "API_KEY")))
    assert not any(map(names_a_secret, ("tokens_used", "user", "key")))
