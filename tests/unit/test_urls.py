"""The canonical form of URLs."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.provisional import domains

from urlmon.domain.urls import canonical_url
from urlmon.errors import InvalidValueError

# What has a meaning in a URL, and what looks like it.
_PIECES = st.sampled_from(
    [
        *"[]:@/?#%.-_aZ09;=&+~'\\ ",
        "::1",
        "xn--",
        "%41",
        "%c3",
        "\u3002",
        "ß",
        "İ",
        "\uff11",
        "\u200b",
    ]
)
_FUZZ = st.lists(_PIECES | st.characters(codec="utf-8"), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("given_url", "canonical"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTPS://ExAmPlE.CoM:443/Path", "https://example.com/Path"),
        ("http://example.com:80", "http://example.com/"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("https://example.com:80/", "https://example.com:80/"),
        ("http://example.com:0080/", "http://example.com/"),
        ("http://example.com:", "http://example.com/"),
        ("http://example.com.", "http://example.com./"),
        ("http://example.com?q", "http://example.com/?q"),
        ("http://example.com/?", "http://example.com/?"),
        ("http://example.com//a/../b/./", "http://example.com//a/../b/./"),
        ("http://example.com/a;b=c?d[e]=f&g?h", "http://example.com/a;b=c?d[e]=f&g?h"),
        ("http://example.com/%c3%A4", "http://example.com/%c3%A4"),
        ("http://example.com/ä?ö=ü", "http://example.com/%C3%A4?%C3%B6=%C3%BC"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://例。jp/", "http://xn--fsq.jp/"),
        ("http://my_host/", "http://my_host/"),
        ("http://\uff11\uff12\uff17.0.0.1/", "http://127.0.0.1/"),
        ("http://[2001:DB8:0:0::1]:8080/", "http://[2001:db8::1]:8080/"),
        ("http://[::ffff:192.0.2.1]/", "http://[::ffff:192.0.2.1]/"),
        ("http://[::ffff:c000:0201]/", "http://[::ffff:192.0.2.1]/"),
    ],
)
def test_canonical_form(given_url: str, canonical: str) -> None:
    """Each spelling has its one form."""
    assert canonical_url(given_url) == canonical


@pytest.mark.parametrize(
    "value",
    [
        "",
        None,
        b"http://example.com/",
        "example.com",
        "//example.com/",
        "http:example.com",
        "http:///path",
        "ftp://example.com/",
        "javascript:alert(1)",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://@example.com/",
        "http://example.com/#fragment",
        "http://example.com/#",
        "http://example.com/a b",
        "http://example.com/\n",
        "http://exa\tmple.com/",
        "http://example.com/\u2028",
        "http://example.com/\u0085",
        "http://example.com/nul\x00",
        "http://example.com/\ud800",
        "http://example.com\\@other.example/",
        "http://example.com/%",
        "http://example.com/%zz",
        "http://example.com/<>",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:8o/",
        "http://example.com:-1/",
        "http://example.com:80:80/",
        "http://a..b/",
        "http://-a.example/",
        "http://a-.example/",
        "http://exa%6dple.com/",
        "http://exa,mple.com/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 127 + "a/",
        "http://1.2.3/",
        "http://1.2.3.4.5/",
        "http://1.2.3.256/",
        "http://example.0/",
        "http://[::1",
        "http://::1/",
        "http://[]/",
        "http://[::1]8080/",
        "http://[::1]x/",
        "http://x[::1]/",
        "http://[v1.x]/",
        "http://[127.0.0.1]/",
        "http://[::g]/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%ee]/",
        "http://example.com/" + "x" * 2_030,
        "http://example.com/" + "ä" * 400,
    ],
)
def test_refused(value: Any) -> None:
    """What cannot be monitored is refused, and the message does not repeat it."""
    with pytest.raises(InvalidValueError) as caught:
        canonical_url(value)
    assert caught.value.field == "url"
    assert "password" not in str(caught.value).replace("user name or password", "")


def test_the_longest() -> None:
    """2,048 characters pass, one more does not."""
    longest = "http://example.com/".ljust(2_048, "x")
    assert canonical_url(longest) == longest
    with pytest.raises(InvalidValueError):
        canonical_url(longest + "x")


@given(st.sampled_from(["http://", "https://", "HTTP://", ""]), _FUZZ, _FUZZ)
def test_whatever_comes(scheme: str, host: str, rest: str) -> None:
    """Any text is refused, or has a form that is ASCII and stays the same from then on."""
    for text in (scheme + host + rest, scheme + "example.com/" + rest, scheme + "[::1]" + rest):
        try:
            canonical = canonical_url(text)
        except InvalidValueError:
            continue
        assert re.fullmatch(r"https?://[!-~]+", canonical)
        assert len(canonical) <= 2_048
        assert canonical_url(canonical) == canonical


@given(
    domains(max_length=100),
    st.integers(1, 65_535),
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=10)),
)
def test_only_the_spelling_changes(host: str, port: int, segments: list[str]) -> None:
    """Host, port and decoded path are those that were given."""
    path = "/" + "/".join(re.sub(r'[%?#\\\\<>"{}|^`]', "", each) for each in segments)
    parts = urlsplit(canonical_url(f"HTTP://{host.upper()}:{port}{path}"))
    assert parts.hostname == host.lower()
    assert (parts.port or 80) == port
    assert unquote(parts.path) == path


@given(st.ip_addresses())
def test_addresses(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Every address is kept, in each of its spellings."""
    for spelling in (str(address), address.exploded):
        host = f"[{spelling}]" if address.version == 6 else spelling
        found = urlsplit(canonical_url(f"https://{host}/")).hostname
        assert found is not None
        assert ipaddress.ip_address(found) == address
