"""
The DSSE envelope of a pack: read without believing anything in it, and each signature held against one key.

    payload, signatures = read_envelope(folder / "bundle.dsse.json")
    is_signed_by(signatures[0], key, new_envelope(payload).pae())
"""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perflib.errors import DataError
from perflib.governance.evidence import strict

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import Signature, SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
# Ours have two signatures; whoever writes thousands wants to keep a verifier busy.
_MAX_SIGNATURE_COUNT = 16
_MAX_ENVELOPE_BYTES = 4_000_000


def new_envelope(payload: bytes) -> "Envelope":
    """Return an envelope without signatures."""
    from securesystemslib.dsse import Envelope

    return Envelope(payload, PAYLOAD_TYPE, {})


def read_envelope(path: Path) -> tuple[bytes, list[bytes]]:
    """
    Read an envelope's payload, which is not parsed, and its signatures; key ids are not read at all.

    Raises:
        DataError: If it is no envelope with an in-toto statement in it.
    """
    name = path.name
    document = strict.load_json(strict.read_plain(path, limit_bytes=_MAX_ENVELOPE_BYTES), source=name)
    signatures = document.get("signatures") if isinstance(document, dict) else None
    if not isinstance(signatures, list) or not all(isinstance(one, dict) for one in signatures):
        raise DataError(f"{name} is no DSSE envelope; sign the pack again.")
    if document.get("payloadType") != PAYLOAD_TYPE:
        raise DataError(f"{name} does not hold a payload of type {PAYLOAD_TYPE}; sign the pack again.")
    if len(signatures) > _MAX_SIGNATURE_COUNT:
        raise DataError(f"{name} has {len(signatures):,} signatures, and no pack has so many; sign the pack again.")
    return _decoded(document, "payload", name), [_decoded(one, "sig", name) for one in signatures]


def is_signed_by(signature: bytes, key: "SSlibKey", pae: bytes) -> bool:
    """
    Whether a signature is this key's.

    Args:
        signature: Its bytes.
        key: Public.
        pae: What DSSE signs: payload type and payload with their lengths.
    """
    from securesystemslib.exceptions import UnverifiedSignatureError

    try:
        # The library's own `Envelope.verify` asks only the key that the unsigned key id names.
        key.verify_signature(as_signature(key, signature), pae)
    except UnverifiedSignatureError:
        return False
    return True


def as_signature(key: "SSlibKey", content: bytes) -> "Signature":
    """Return a signature's bytes as the library wants them, under this key's id."""
    from securesystemslib.signer import Signature

    return Signature(key.keyid, content.hex())


def _decoded(fields: Mapping[str, Any], key: str, name: str) -> bytes:
    """Read base64 in either alphabet, as DSSE asks of those who verify."""
    text = fields.get(key)
    try:
        if isinstance(text, str):
            return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"`{key}` in {name} is no base64 ({error}); sign the pack again.") from error
    raise DataError(f"{name} has no `{key}`; sign the pack again.")
