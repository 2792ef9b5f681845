"""
Signatures of a pack: one envelope over one in-toto statement, signed by its author and by somebody else.

Both sign the same bytes: the digests of `MANIFEST.json` and of every file that it lists. A signature says that its key
vouches for these bytes, and nothing about roles; which key is the author's and which the reviewer's is what the pack
says in `keys/`, unless the file of a trusted key bears the role as its name.

    sign_pack(folder, key=Path("ann.key"), role="author")
    check_signatures(folder, [Path("author.pub"), Path("reviewer.pub")]).signed_by
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perflib.errors import DataError, ParameterError
from perflib.governance.evidence import layout, strict
from perflib.governance.evidence.envelope import as_signature, is_signed_by, new_envelope, read_envelope
from perflib.governance.evidence.keys import load_private, load_public, public_pem
from perflib.governance.evidence.layout import BUNDLE_FILE, KEY_FILES, MANIFEST_FILE, ROLES, Role
from perflib.governance.evidence.pack import open_pack
from perflib.records import dumps, sha256_bytes, write_bytes, write_json
from perflib.results.governance import Manifest

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = f"{layout.PROJECT_URI}/attestation/manifest/v1"


@dataclasses.dataclass(frozen=True)
class SignatureCheck:
    """
    What the signatures of a pack are worth.

    ``payload`` are the signed bytes, None unless enough trusted keys signed them. ``signed_by`` are role and
    fingerprint of every trusted key whose signature is valid; the role is empty where nobody says one.
    """

    payload: bytes | None
    signed_by: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


def statement_bytes(folder: Path) -> bytes:
    """
    Return what is signed: an in-toto statement about the manifest and every file that it lists, as canonical JSON.

    Raises:
        DataError: If there is no manifest, or it is damaged.
    """
    content = strict.read_plain(folder / MANIFEST_FILE, limit_bytes=strict.MAX_JSON_BYTES)
    document = strict.load_json(content, source=MANIFEST_FILE)
    if not isinstance(document, dict):
        raise DataError(f"{MANIFEST_FILE} holds no JSON object; build the pack again.")
    digests = {one.path: one.sha256 for one in Manifest.from_dict(document, source=MANIFEST_FILE).files}
    digests[MANIFEST_FILE] = sha256_bytes(content)
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": path, "digest": {"sha256": digests[path]}} for path in sorted(digests)],
        "predicateType": PREDICATE_TYPE,
        "predicate": document,
    }
    return dumps(statement).encode()


def sign_pack(folder: Path, *, key: Path, role: Role) -> str:
    """
    Add a person's signature to a pack, or replace the one of this role.

    Args:
        folder: Of the pack.
        key: File of the private key; never inside the pack.
        role: Whose signature it is.

    Returns:
        The fingerprint of the key.

    Raises:
        ParameterError: If there is no pack, the key cannot be used, or the other role has signed with it.
        DataError: If the pack is not what its manifest says, or its signatures are of another pack.
    """
    if not folder.is_dir():
        raise ParameterError(f"{folder} is no folder; name the evidence folder of a run.")
    signer = load_private(key, outside=folder)
    _, problems, _ = open_pack(folder)
    if problems:
        raise DataError(f"{problems[0].path} in {folder}: {problems[0].sentence} Build the pack again, then sign it.")
    payload = statement_bytes(folder)
    others = _others(folder, payload, role)
    for other, (public, _) in others.items():
        if public.keyid == signer.public_key.keyid:
            raise ParameterError(f"{key} has signed as {other} already; author and reviewer are two persons.")
    envelope = new_envelope(payload)
    for one in ROLES:
        if one == role:
            envelope.sign(signer)
        elif one in others:
            public, signature = others[one]
            envelope.signatures[public.keyid] = as_signature(public, signature)
    # The key first: a signature without its key would be lost when the other role signs.
    write_bytes(folder / KEY_FILES[role], public_pem(signer.public_key))
    write_json(folder / BUNDLE_FILE, envelope.to_dict())
    return str(signer.public_key.keyid)


def check_signatures(folder: Path, trusted: Sequence[Path], *, threshold: int = 2) -> SignatureCheck:
    """
    Say which trusted keys signed exactly this pack; whether its files are those of its manifest is asked elsewhere.

    The key ids in the envelope are not believed: every signature is held against every trusted key. The payload is
    never parsed; it must be, byte for byte, the statement about this pack.

    Args:
        folder: Of the pack.
        trusted: Files of public keys; a key that is named twice counts once.
        threshold: How many of them must have signed.

    Raises:
        ParameterError: If the file of a trusted key cannot be used, or the threshold is below 1.
    """
    if threshold < 1:
        raise ParameterError(f"threshold is {threshold}; ask for at least 1 signature.")
    keys, problems = _trusted_keys(folder, trusted)
    try:
        payload, signatures = read_envelope(folder / BUNDLE_FILE)
    except DataError as error:
        return SignatureCheck(None, (), (str(error),))
    pae = new_envelope(payload).pae()
    roles, wrong = _pack_roles(folder, signatures, pae)
    problems += wrong
    signed_by = []
    for keyid, (key, path) in keys.items():
        if any(is_signed_by(one, key, pae) for one in signatures):
            said, ours = path.stem if path.stem in ROLES else "", roles.get(keyid, "")
            signed_by.append((said or ours, keyid))
            if said and ours and said != ours:
                problems.append(f"{path} is trusted as the {said}'s key, and the pack has it as the {ours}'s.")
    if len(signed_by) < threshold:
        problems.append(f"{len(signed_by)} of {len(keys)} trusted keys signed, and {threshold} are asked for.")
        return SignatureCheck(None, tuple(sorted(signed_by)), tuple(problems))
    problems += _payload_problems(folder, payload)
    return SignatureCheck(payload, tuple(sorted(signed_by)), tuple(problems))


def _others(folder: Path, payload: bytes, role: Role) -> "dict[Role, tuple[SSlibKey, bytes]]":
    """Return keys and signatures of the other roles that have signed this pack."""
    if not (folder / BUNDLE_FILE).exists():
        return {}
    signed, signatures = read_envelope(folder / BUNDLE_FILE)
    if signed != payload:
        raise DataError(f"{BUNDLE_FILE} in {folder} signs another pack; delete it, and let both persons sign again.")
    pae = new_envelope(payload).pae()
    found: dict[Role, tuple[SSlibKey, bytes]] = {}
    for one, path in KEY_FILES.items():
        if one != role and (folder / path).is_file():
            key = load_public(folder / path)
            ours = [signature for signature in signatures if is_signed_by(signature, key, pae)]
            if ours:
                found[one] = (key, ours[0])
    return found


def _trusted_keys(folder: Path, paths: Sequence[Path]) -> "tuple[dict[str, tuple[SSlibKey, Path]], list[str]]":
    keys: dict[str, tuple[SSlibKey, Path]] = {}
    problems = []
    for path in paths:
        try:
            key = load_public(path)
        except ParameterError as error:
            # A damaged key inside the pack is the pack's fault, not the reader's.
            if not path.resolve().is_relative_to(folder.resolve()):
                raise
            problems.append(str(error))
            continue
        keys.setdefault(str(key.keyid), (key, path))
    return keys, problems


def _pack_roles(folder: Path, signatures: Sequence[bytes], pae: bytes) -> tuple[dict[str, str], list[str]]:
    """Return the roles that the pack gives to keys, and where its keys and signatures do not belong together."""
    roles: dict[str, str] = {}
    problems = []
    owned: set[bytes] = set()
    for role, path in KEY_FILES.items():
        if not (folder / path).exists():
            continue
        try:
            key = load_public(folder / path)
        except ParameterError:
            problems.append(f"{path} is no public key; sign the pack again.")
            continue
        ours = {one for one in signatures if is_signed_by(one, key, pae)}
        if not ours:
            problems.append(f"{path} is not the key of any signature of this pack.")
        if key.keyid in roles:
            problems.append(f"{path} is the {roles[key.keyid]}'s key too; author and reviewer are two persons.")
        owned |= ours
        roles.setdefault(str(key.keyid), role)
    if set(signatures) - owned:
        problems.append("A signature is wrong, or its public key is not in keys/.")
    return roles, problems


def _payload_problems(folder: Path, payload: bytes) -> Iterator[str]:
    try:
        if payload != statement_bytes(folder):
            yield "What was signed is not this manifest with these files."
    except DataError as error:
        yield str(error)
