"""Encrypts the secrets of notification channels, bound to tenant and channel."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from urlmon.domain.channels import check_secrets
from urlmon.domain.ids import ChannelId, TenantId
from urlmon.domain.secrets import Secret
from urlmon.errors import ConfigurationError, CorruptDataError, InvalidValueError
from urlmon_adapters.postgres._errors import STORE

_VERSION: Final = "v1"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_MISSING: Final = (
    "URLMON_SECRET_KEY is missing, and the secrets of notification channels are stored encrypted"
    " only: make a key with openssl rand -base64 32 | tr '+/' '-_'"
)


class Keyring:
    """The keys that encrypt and decrypt: AES-256-GCM with a random nonce for each text.

    A text is `v1:<key id>:<nonce and ciphertext in url-safe base64>`.  It decrypts only as the
    secrets of the tenant and channel that it was made for, with the key that made it; all of them
    are authenticated with it.

    Args:
        keys: Each 32 bytes in url-safe base64.  The first encrypts, all decrypt; so a key is
            replaced by putting the new one in front.

    Raises:
        ConfigurationError: A key is malformed.
    """

    __slots__ = ("_ciphers", "_current")

    def __init__(self, keys: Sequence[Secret] = ()) -> None:
        raw = [_decode_key(key, f"{at} of {len(keys)}") for at, key in enumerate(keys, start=1)]
        ids = [hashlib.sha256(key).hexdigest()[:8] for key in raw]
        self._current = ids[0] if ids else None
        self._ciphers = dict(zip(ids, map(AESGCM, raw), strict=True))

    def encrypt(
        self, tenant_id: TenantId, channel_id: ChannelId, secrets: Mapping[str, Secret]
    ) -> str | None:
        """Return the text that holds a channel's secrets; None for none.

        Raises:
            ConfigurationError: There are secrets, and no key.
        """
        if not secrets:
            return None
        if self._current is None:
            raise ConfigurationError(_MISSING)
        plain = json.dumps({name: secret.reveal() for name, secret in secrets.items()}).encode()
        nonce = os.urandom(_NONCE_BYTES)
        bound = _bound(self._current, tenant_id, channel_id)
        sealed = nonce + self._ciphers[self._current].encrypt(nonce, plain, bound)
        return f"{_VERSION}:{self._current}:{_to_text(sealed)}"

    def decrypt(
        self, tenant_id: TenantId, channel_id: ChannelId, text: str | None, *, operation: str
    ) -> dict[str, Secret]:
        """Return the secrets that a text holds for a channel; none for None.

        Raises:
            CorruptDataError: It was altered, made for another channel, or made with a key that is
                not given.
        """
        if text is None:
            return {}
        version, _, rest = text.partition(":")
        key_id, _, sealed = rest.partition(":")
        if version != _VERSION or len(key_id) != 8 or not key_id.isalnum():
            raise _altered(channel_id, operation)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise CorruptDataError(
                STORE,
                operation,
                f"the secrets of channel {channel_id} were encrypted with key {key_id}, which is"
                " not in URLMON_SECRET_KEY: add it behind the others, or set the secrets anew",
            )
        bound = _bound(key_id, tenant_id, channel_id)
        try:
            raw = _from_text(sealed)
            plain = cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound)
        except (ValueError, InvalidTag) as exc:
            raise _altered(channel_id, operation) from exc
        return _parse(plain, channel_id, operation)


def _decode_key(key: Secret, which: str) -> bytes:
    try:
        raw = _from_text(key.reveal())
    except ValueError:
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise ConfigurationError(
            f"URLMON_SECRET_KEY must be 32 bytes in url-safe base64, and number {which} is not"
        )
    return raw


def _bound(key_id: str, tenant_id: TenantId, channel_id: ChannelId) -> bytes:
    """Return what is authenticated together with the ciphertext."""
    return f"{_VERSION}|{key_id}|{tenant_id}|{channel_id}".encode()


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _from_text(text: str) -> bytes:
    """Decode url-safe base64 in its one canonical form.

    Raises:
        ValueError: It is something else; the cause holds nothing of the text.
    """
    raw = base64.b64decode(text, b"-_", validate=True)
    if _to_text(raw) != text:
        raise ValueError("not the canonical form")
    return raw


def _parse(plain: bytes, channel_id: ChannelId, operation: str) -> dict[str, Secret]:
    try:
        return check_secrets({name: Secret(text) for name, text in json.loads(plain).items()})
    except (ValueError, AttributeError, InvalidValueError):
        # Without its cause, which can hold the text.
        raise _altered(channel_id, operation) from None


def _altered(channel_id: ChannelId, operation: str) -> CorruptDataError:
    return CorruptDataError(
        STORE,
        operation,
        f"the secrets of channel {channel_id} were altered, or belong to another channel: set them"
        " anew",
    )
