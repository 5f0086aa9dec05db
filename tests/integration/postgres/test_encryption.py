"""Secrets are encrypted so that only their own channel, and an unaltered text, gives them back."""

from __future__ import annotations

import base64
import re
import traceback

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.fixtures.relational import a_key

from urlmon.domain.ids import ChannelId, TenantId
from urlmon.domain.secrets import Secret
from urlmon.errors import ConfigurationError, CorruptDataError
from urlmon.testing.contracts.texts import HOSTILE_TEXTS
from urlmon_adapters.postgres._encryption import Keyring

CANARY = "canary-9e77"
TENANT, CHANNEL = TenantId.new(), ChannelId.new()
SECRETS = {"token": Secret(CANARY)}
OPERATION = "ChannelRepo.reveal"


def sealed(keyring: Keyring) -> str:
    """Encrypt the canary."""
    text = keyring.encrypt(TENANT, CHANNEL, SECRETS)
    assert text is not None
    return text


def refusal(
    keyring: Keyring, text: str, *, tenant_id: TenantId = TENANT, channel_id: ChannelId = CHANNEL
) -> str:
    """Return what decrypting a text is refused with."""
    with pytest.raises(CorruptDataError) as caught:
        keyring.decrypt(tenant_id, channel_id, text, operation=OPERATION)
    assert (caught.value.store, caught.value.operation) == ("postgresql", OPERATION)
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in shown
    return caught.value.detail


def test_round_trip() -> None:
    """Names and secrets come back exactly, whatever is in them."""
    keyring = Keyring([a_key()])
    secrets = {text: Secret(text) for text in (*HOSTILE_TEXTS, "x" * 100)}
    text = keyring.encrypt(TENANT, CHANNEL, secrets)
    assert keyring.decrypt(TENANT, CHANNEL, text, operation=OPERATION) == secrets


def test_it_looks_like_nothing() -> None:
    """The text says version and key, and is another one each time."""
    keyring = Keyring([a_key()])
    texts = {sealed(keyring) for _ in range(100)}
    assert len(texts) == 100
    assert len({text[:12] for text in texts}) == 1
    nonces = {base64.urlsafe_b64decode(text[12:])[:12] for text in texts}
    assert len(nonces) == 100
    for text in texts:
        assert re.fullmatch(r"v1:[0-9a-f]{8}:[\w-]+={0,2}", text)
        for form in (CANARY, base64.b64encode(CANARY.encode()).decode()[:12]):
            assert form not in text


def test_the_format_does_not_change() -> None:
    """What version 1 has written is read for ever."""
    keyring = Keyring([Secret(base64.urlsafe_b64encode(bytes(range(32))).decode())])
    tenant_id = TenantId("018f0000-0000-7000-8000-000000000001")
    channel_id = ChannelId("018f0000-0000-7000-8000-000000000002")
    bound = f"v1|630dcd29|{tenant_id}|{channel_id}".encode()
    nonce = bytes(12)
    made = nonce + AESGCM(bytes(range(32))).encrypt(nonce, b'{"token": "text"}', bound)
    text = f"v1:630dcd29:{base64.urlsafe_b64encode(made).decode()}"
    secrets = keyring.decrypt(tenant_id, channel_id, text, operation=OPERATION)
    assert secrets == {"token": Secret("text")}


def test_it_is_bound_to_tenant_and_channel() -> None:
    """Moved to another tenant or channel, a text gives nothing."""
    keyring = Keyring([a_key()])
    text = sealed(keyring)
    for moved in (
        refusal(keyring, text, tenant_id=TenantId.new()),
        refusal(keyring, text, channel_id=ChannelId(TENANT)),
        refusal(keyring, text, tenant_id=TenantId(CHANNEL), channel_id=ChannelId(TENANT)),
    ):
        assert "altered, or belong to another channel: set them anew" in moved


def test_it_is_bound_to_its_key() -> None:
    """A text that names another key than it was made with gives nothing."""
    keys = [a_key(), a_key()]
    both = Keyring(keys)
    first, second = sealed(Keyring(keys[:1])), sealed(Keyring(keys[1:]))
    assert "altered" in refusal(both, second[:12] + first[12:])
    assert "altered" in refusal(both, first[:12] + second[12:])


def test_every_bit_counts() -> None:
    """A text of which any bit was flipped is refused."""
    keyring = Keyring([a_key()])
    for secret in ("x", "xx", "xxx"):  # all the ways in which base64 can end
        text = keyring.encrypt(TENANT, CHANNEL, {"token": Secret(secret)})
        assert text is not None
        for at, character in enumerate(text):
            for bit in range(8):
                altered = chr(ord(character) ^ 1 << bit)
                refusal(keyring, text[:at] + altered + text[at + 1 :])


def test_every_character_counts() -> None:
    """A text that was cut, continued or shuffled is refused."""
    keyring = Keyring([a_key()])
    text = sealed(keyring)
    for at in range(len(text)):
        refusal(keyring, text[:at])
        refusal(keyring, text[at + 1 :])
        refusal(keyring, text[:at] + text[at + 1 :])
    for wrong in (f"{text}=", f"{text}A", f" {text}", f"{text}\n", text.upper(), "", "v1::", ":::"):
        refusal(keyring, wrong)
    assert "altered" in refusal(keyring, f"v2{text[2:]}")


def test_keys_are_rotated() -> None:
    """The first key encrypts and all decrypt; what a key made that is gone names that key."""
    old, new = a_key(), a_key()
    before, both, after = Keyring([old]), Keyring([new, old]), Keyring([new])
    text = sealed(before)
    assert both.decrypt(TENANT, CHANNEL, text, operation=OPERATION) == SECRETS
    detail = refusal(after, text)
    assert text[3:11] in detail
    assert "not in URLMON_SECRET_KEY: add it" in detail
    again = sealed(both)
    assert again[3:11] != text[3:11]
    assert after.decrypt(TENANT, CHANNEL, again, operation=OPERATION) == SECRETS
    refusal(Keyring(), text)


def test_without_a_key() -> None:
    """No key is needed for no secrets, and there is no way round one for any."""
    keyring = Keyring()
    assert keyring.encrypt(TENANT, CHANNEL, {}) is None
    assert keyring.decrypt(TENANT, CHANNEL, None, operation=OPERATION) == {}
    with pytest.raises(ConfigurationError) as caught:
        keyring.encrypt(TENANT, CHANNEL, SECRETS)
    assert str(caught.value).startswith("URLMON_SECRET_KEY is missing")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        CANARY,
        base64.urlsafe_b64encode(bytes(31)).decode(),
        base64.urlsafe_b64encode(bytes(33)).decode(),
        base64.urlsafe_b64encode(bytes(32)).decode().rstrip("="),
        base64.urlsafe_b64encode(bytes(32)).decode()[:-2] + "B=",
        base64.standard_b64encode(b"\xff" * 32).decode(),
        f"{CANARY}\N{SNOWMAN}",
    ],
)
def test_what_is_no_key_is_refused(key: str) -> None:
    """A malformed key is named by its place and not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        Keyring([a_key(), Secret(key)])
    assert "URLMON_SECRET_KEY" in str(caught.value)
    assert "number 2 of 2" in str(caught.value)
    assert key not in "".join(traceback.format_exception(caught.value))


def test_keys_do_not_show() -> None:
    """A keyring does not spell its keys out."""
    key = a_key()
    assert key.reveal() not in repr(Keyring([key]))


@pytest.mark.parametrize(
    "plain", [CANARY, f'["{CANARY}"]', f'{{"{CANARY}": 1}}', f'{{"": "{CANARY}"}}', "\xff"]
)
def test_what_another_version_wrote(plain: str) -> None:
    """A text that was made with the key, but holds no secrets, is refused without being shown."""
    key = a_key()
    keyring = Keyring([key])
    key_id = sealed(keyring)[3:11]
    cipher = AESGCM(base64.urlsafe_b64decode(key.reveal()))
    bound = f"v1|{key_id}|{TENANT}|{CHANNEL}".encode()
    made = bytes(12) + cipher.encrypt(bytes(12), plain.encode("latin-1"), bound)
    refusal(keyring, f"v1:{key_id}:{base64.urlsafe_b64encode(made).decode()}")
