"""
Keys to sign with: an Ed25519 private key in a file that only its owner can read, and what others know it by.

    make_key(Path("~/ann.key").expanduser())  # also writes ann.key.pub; give its fingerprint to those who verify

A fingerprint is the sha256 of the public key as DER SubjectPublicKeyInfo: what `openssl pkey -pubin -outform DER |
sha256sum` prints.
"""

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from perflib.errors import ParameterError, SetupError
from perflib.records import sha256_bytes, write_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from securesystemslib.signer import CryptoSigner, SSlibKey

# A key is a few hundred bytes; whatever is larger is something else.
_MAX_KEY_BYTES = 16_384
_OWNER_ONLY = 0o600


def make_key(path: Path, *, force: bool = False) -> str:
    """
    Make a private key that only its owner can read, and its public key beside it as ``FILE.pub``.

    Args:
        path: Of the private key.
        force: Whether a key that is there may be lost.

    Returns:
        The fingerprint.

    Raises:
        ParameterError: If there is a file already.
        SetupError: If it cannot be written.
    """
    from securesystemslib.signer import CryptoSigner

    if not force and os.path.lexists(path):
        raise ParameterError(
            f"{path} is there already; what it signed could not be signed again, so choose a new name."
        )
    signer = CryptoSigner.generate_ed25519()
    pem = public_pem(signer.public_key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp makes files that only their owner can read.
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(signer.private_bytes)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        raise SetupError(f"{path} cannot be written ({error.strerror}); choose another folder.") from error
    write_bytes(path.with_name(f"{path.name}.pub"), pem)
    return fingerprint(pem)


def load_private(path: Path, *, outside: Path | None = None) -> "CryptoSigner":
    """
    Load a key to sign with; its ``public_key.keyid`` is the fingerprint.

    Args:
        path: Of a PEM file (PKCS 8, no password).
        outside: A pack in which no private key may lie.

    Raises:
        ParameterError: If it lies inside the pack, others can read it, or it is no Ed25519 private key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    if outside is not None and path.resolve().is_relative_to(outside.resolve()):
        raise ParameterError(
            f"{path} lies inside the pack {outside}, which goes to others; move it out, make a new key."
        )
    content, mode = _read(path)
    if mode & ~_OWNER_ONLY:
        raise ParameterError(f"{path} has permissions {mode:04o}, so others may use it; run `chmod 600 {path}`.")
    try:
        private = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ParameterError(
            f"{path} is no private key without password; make one with `perflib evidence key FILE`."
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise ParameterError(f"{path} is no Ed25519 private key; make one with `perflib evidence key FILE`.")
    return CryptoSigner(private, _known(private.public_key()))


def load_public(path: Path) -> "SSlibKey":
    """
    Load a key to verify with; its ``keyid`` is the fingerprint.

    Raises:
        ParameterError: If it is no Ed25519 public key in PEM.
    """
    return _known(_public(_read(path)[0], str(path)))


def fingerprint(pem: bytes) -> str:
    """Return what people compare: the sha256 of a public key; `ParameterError` if it is no Ed25519 key."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return sha256_bytes(_public(pem, "this").public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def public_pem(key: "SSlibKey") -> bytes:
    """Return an Ed25519 public key as PEM."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    # The library keeps the 32 bytes of an Ed25519 key in hexadecimal.
    return _pem(Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"])))


def _read(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_MAX_KEY_BYTES + 1)
    except OSError as error:
        raise ParameterError(f"{path} cannot be read ({error.strerror}); name the file of a key.") from error
    if len(content) > _MAX_KEY_BYTES:
        raise ParameterError(f"{path} is larger than {_MAX_KEY_BYTES:,} bytes; name the file of a key.")
    return content, stat.S_IMODE(status.st_mode)


def _public(pem: bytes, name: str) -> "Ed25519PublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        public = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ParameterError(
            f"{name} is no public key in PEM; name the .pub file that `perflib evidence key` wrote."
        ) from error
    if not isinstance(public, Ed25519PublicKey):
        raise ParameterError(f"{name} is no Ed25519 public key; name the .pub file that `perflib evidence key` wrote.")
    return public


def _known(public: "Ed25519PublicKey") -> "SSlibKey":
    from securesystemslib.signer import SSlibKey

    return SSlibKey.from_crypto(public, keyid=fingerprint(_pem(public)))


def _pem(public: "Ed25519PublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
