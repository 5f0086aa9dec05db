"""Secret text does not show itself."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import pytest

from urlmon.domain.secrets import Secret
from urlmon.errors import InvalidValueError

CANARY = "canary-1d4f"


@pytest.mark.parametrize("text", ["x", " ", "x" * 4096, "\N{PILE OF POO}" * 4096, "a\nb\t'\"\\"])
def test_a_secret_is_revealed_exactly(text: str) -> None:
    """What was put in comes out, and by `reveal` alone."""
    assert Secret(text).reveal() == text


@pytest.mark.parametrize("value", ["", "x" * 4097, "nul\x00", "\ud800", 12, None, b"bytes"])
def test_what_is_no_secret_is_refused(value: str) -> None:
    """Text that no store keeps, and what is no text, is refused without being repeated."""
    with pytest.raises(InvalidValueError) as caught:
        Secret(value)
    assert caught.value.field == "secret"


def test_it_does_not_show(caplog: pytest.LogCaptureFixture) -> None:
    """No way of printing gives the text."""
    secret = Secret(CANARY)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").info("%s %r %s", secret, secret, {"token": secret})
    shown = [
        repr(secret),
        str(secret),
        f"{secret} {secret!r} {secret:>40}",
        "{0} {0!s}".format(secret),  # noqa: UP032 - the way is what is tested
        "%s %r" % (secret, secret),  # noqa: UP031 - likewise
        repr([secret, {"token": secret}]),
        repr(getattr(secret, "__dict__", None)),
        caplog.text,
    ]
    assert CANARY not in "".join(shown)
    assert repr(secret) == "Secret(***)"
    assert str(secret) == "***"
    assert f"{secret:>5}" == "  ***"


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_it_is_not_written_out(leak: object) -> None:
    """It can be neither pickled nor turned into JSON."""
    with pytest.raises(TypeError) as caught:
        leak(Secret(CANARY))  # type: ignore[operator]
    assert CANARY not in str(caught.value)


def test_equality() -> None:
    """Two secrets are equal by their text, and none is equal to the text."""
    assert Secret(CANARY) == Secret(CANARY)
    assert hash(Secret(CANARY)) == hash(Secret(CANARY))
    assert Secret(CANARY) != Secret("other")
    assert Secret(CANARY) != CANARY
