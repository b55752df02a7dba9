"""Signatures as OpenSSH makes and checks them (SSHSIG), and the keys they are made with.

Pure. ``ssh-keygen -Y verify`` accepts what `SigningKey.sign` makes, and `Signature.fits` what
``ssh-keygen -Y sign`` makes. The numbers are computed by `cryptography`; only the framing is
written here, after OpenSSH's ``PROTOCOL.sshsig``. What is signed, and where signatures lie, is
told by `scidata.signing`.
"""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from scidata.errors import InvalidError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

    PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

NAMESPACE = "scidata-version"
"""What ``ssh-keygen`` calls ``-n``: a signature made for another purpose does not count."""
MAX_SIGNATURE_BYTES = 16 * 1024
MAX_KEY_BYTES = 1024 * 1024
"""Of a file of keys."""
MIN_RSA_BITS = 2048

_PREAMBLE = b"SSHSIG"
_VERSION = 1
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_WIDTH = 70
_KEY = re.compile(r"(ssh-[a-z0-9]+|ecdsa-sha2-[a-z0-9]+|sk-[a-z0-9@.-]+) ([A-Za-z0-9+/]+=*)")
_ARMOUR = re.compile(rf"\s*{_BEGIN}\s([A-Za-z0-9+/=\s]+){_END}\s*")
_MESSAGE_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_RSA_HASHES = {"rsa-sha2-256": "SHA256", "rsa-sha2-512": "SHA512"}
_CURVES = {
    "ecdsa-sha2-nistp256": "SHA256",
    "ecdsa-sha2-nistp384": "SHA384",
    "ecdsa-sha2-nistp521": "SHA512",
}
_KINDS = {"ssh-ed25519", "ssh-rsa", *_CURVES}


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """A key that signatures can be checked with. Two keys are equal if their bytes are."""

    blob: bytes
    """As SSH encodes it: what stands in base64 in ``id_ed25519.pub``."""
    comment: str = field(default="", compare=False)
    """Whose it is, in the words of the file it was read from."""

    @property
    def fingerprint(self) -> str:
        """Return ``SHA256:…``, as ``ssh-keygen -l`` prints it."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def kind(self) -> str:
        """Return the kind of key, such as ``ssh-ed25519``."""
        return _text(_Parts(self.blob).string())

    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.comment})" if self.comment else self.fingerprint

    @property
    def line(self) -> str:
        """Return the line that a file of public keys holds."""
        encoded = base64.b64encode(self.blob).decode()
        return f"{self.kind} {encoded} {self.comment}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A signature taken apart; nothing is checked yet."""

    key: PublicKey
    """That of whoever signed, by the signature's own word."""
    namespace: str
    hash_name: str
    kind: str
    value: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read an armoured signature that is not trusted.

        Raises
        ------
        ValueError
            If it is not one; the message says why, without quoting it.
        """
        match = _ARMOUR.fullmatch(data[:MAX_SIGNATURE_BYTES].decode("ascii", "replace"))
        if match is None or len(data) > MAX_SIGNATURE_BYTES:
            raise ValueError(f"is not text between {_BEGIN!r} and {_END!r}")
        try:
            raw = base64.b64decode("".join(match[1].split()), validate=True)
        except binascii.Error as error:
            raise ValueError("is not base64") from error
        parts = _Parts(raw)
        if parts.take(len(_PREAMBLE)) != _PREAMBLE or parts.number() != _VERSION:
            raise ValueError("is not an SSH signature of version 1")
        key, namespace, _, hash_name, signed = (parts.string() for _ in range(5))
        parts.end()
        inner = _Parts(signed)
        kind, value = _text(inner.string()), inner.string()
        inner.end()
        _load_public(key)
        return cls(
            key=PublicKey(blob=key),
            namespace=_text(namespace),
            hash_name=_text(hash_name),
            kind=kind,
            value=value,
        )

    def fits(self, message: bytes) -> bool:
        """Tell whether its key signed these bytes, as a version of scidata's."""
        from cryptography.exceptions import InvalidSignature

        if self.namespace != NAMESPACE or self.hash_name not in _MESSAGE_HASHES:
            return False
        try:
            _check(_load_public(self.key.blob), self, _to_sign(message, self.hash_name))
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private key in memory. It is never printed: not by repr, nor in an error."""

    _private: "PrivateKey" = field(repr=False)
    comment: str = ""

    @property
    def public(self) -> PublicKey:
        """The key that its signatures are checked with."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        line = self._private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        return PublicKey(blob=base64.b64decode(line.split()[1]), comment=self.comment)

    def sign(self, message: bytes) -> bytes:
        """Return an armoured signature, as ``ssh-keygen -Y sign`` makes it."""
        kind, value = _make(self._private, _to_sign(message, "sha512"))
        raw = _PREAMBLE + struct.pack(">I", _VERSION)
        for part in (self.public.blob, NAMESPACE.encode(), b"", b"sha512"):
            raw += _string(part)
        raw += _string(_string(kind.encode()) + _string(value))
        encoded = base64.b64encode(raw).decode()
        lines = [encoded[start : start + _WIDTH] for start in range(0, len(encoded), _WIDTH)]
        return "\n".join([_BEGIN, *lines, _END, ""]).encode()


def read_private_key(
    data: bytes, *, where: str, passphrase: Callable[[], str] | None = None
) -> SigningKey:
    """Read a private key as ``ssh-keygen`` writes it, or in PEM.

    Parameters
    ----------
    passphrase : callable, optional
        Asked once, and only if the key is protected by one.

    Raises
    ------
    InvalidError
        If it is no private key, of a kind not known here, or the passphrase does not open it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    if not data.lstrip().startswith(b"-----BEGIN ") or b"PRIVATE KEY-----" not in data:
        raise _refused(f"{where!r} holds no private key", where)
    load: Callable[..., Any] = serialization.load_pem_private_key  # Any: keys of every kind
    if b"OPENSSH PRIVATE KEY" in data:
        load = serialization.load_ssh_private_key
    protected = False
    try:
        load(data, None)
    except TypeError:  # so cryptography says that there is a passphrase
        protected = True
    except (ValueError, UnsupportedAlgorithm):
        pass  # said below, where it is loaded again
    password = _asked(passphrase, where).encode() if protected else None
    try:
        key = load(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not chained: what lies under it may quote the key, or what was typed.
        said = "is not opened by this passphrase" if protected else "cannot be read"
        raise _refused(f"the private key {where!r} {said}", where) from None
    if _kind_of(key) is None:
        raise _refused(f"the private key {where!r} is of another kind", where)
    return SigningKey(key)


def parse_public_keys(data: bytes, *, where: str) -> tuple[PublicKey, ...]:
    """Read a file of public keys: a line for each, as in ``id_ed25519.pub``.

    A name may precede the kind of key, as in OpenSSH's list of allowed signers. Options may
    not: whoever wrote one meant it to be obeyed. Empty lines and comments (#) are skipped.

    Raises
    ------
    InvalidError
        If a line is not a key of a kind known here, or there is none.
    """
    if b"PRIVATE KEY-----" in data:
        raise InvalidError(
            f"{where!r} holds a private key; trusted are public ones",
            where=where,
            fix="give the file beside it that ends with .pub, and keep this one to yourself",
        )
    text = data[:MAX_KEY_BYTES].decode("utf-8", "replace")
    keys = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.strip()
        if words and not words.startswith("#"):
            keys.append(_public_key(words, f"{where}:{number}"))
    if not keys or len(data) > MAX_KEY_BYTES:
        size = f"more than {MAX_KEY_BYTES} bytes" if keys else "no key"
        raise _refused(f"{where!r} holds {size}", where)
    return tuple(keys)


def _public_key(line: str, where: str) -> PublicKey:
    first, _, rest = line.partition(" ")
    match = _KEY.match(line)
    if match is None and "=" not in first and first != "cert-authority":
        match = _KEY.match(rest.strip())
    if match is None:
        raise _refused("the line is not 'kind base64 comment'", where)
    try:
        blob = base64.b64decode(match[2], validate=True)
        _load_public(blob)
        if _text(_Parts(blob).string()) != match[1]:
            raise ValueError("is of another kind than it says")  # noqa: TRY301 - one remedy
    except ValueError as error:  # binascii's is one, too
        raise _refused(f"the key {error}", where) from error
    name = "" if match.string is line else first
    return PublicKey(blob=blob, comment=match.string[match.end() :].strip() or name)


def _refused(message: str, where: str) -> InvalidError:
    return InvalidError(
        message,
        where=where,
        fix="use a key of OpenSSH: Ed25519, ECDSA, or RSA of at least 2048 bits, as "
        "ssh-keygen -t ed25519 makes it",
    )


def _asked(passphrase: Callable[[], str] | None, where: str) -> str:
    if passphrase is None:
        raise InvalidError(
            f"the private key {where!r} is protected by a passphrase",
            where=where,
            fix="run this on a terminal, where it is asked for; or sign with ssh-keygen, which "
            "knows the agent, and hand the signature to scidata sign --signature",
        )
    return passphrase()


def _kind_of(key: object) -> str | None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return "ssh-ed25519"
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return "ssh-rsa" if key.key_size >= MIN_RSA_BITS else None
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        curve = {"secp256r1": "256", "secp384r1": "384", "secp521r1": "521"}.get(key.curve.name)
        return f"ecdsa-sha2-nistp{curve}" if curve else None
    return None


def _load_public(blob: bytes) -> Any:  # Any: keys of every kind
    """Read an SSH-encoded key; `ValueError` if it is of no kind known here."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    kind = _text(_Parts(blob).string())
    if kind not in _KINDS:
        raise ValueError(f"is of the kind {kind[:40]!r}, which is not known here")
    try:
        key = load_ssh_public_key(kind.encode() + b" " + base64.b64encode(blob))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("is not a whole public key") from error
    if _kind_of(key) != kind:
        raise ValueError(f"is too short, or not {kind}")
    return key


def _to_sign(message: bytes, hash_name: str) -> bytes:
    digest = _MESSAGE_HASHES[hash_name](message).digest()
    parts = (NAMESPACE.encode(), b"", hash_name.encode(), digest)
    return _PREAMBLE + b"".join(map(_string, parts))


def _make(key: "PrivateKey", data: bytes) -> tuple[str, bytes]:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ssh-ed25519", key.sign(data)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        kind = str(_kind_of(key))
        numbers = decode_dss_signature(key.sign(data, ec.ECDSA(_hash(_CURVES[kind]))))
        return kind, b"".join(_string(_mpint(number)) for number in numbers)
    return "rsa-sha2-512", key.sign(data, padding.PKCS1v15(), hashes.SHA512())


def _check(key: Any, signature: Signature, data: bytes) -> None:  # Any: keys of every kind
    """Raise `InvalidSignature`; `ValueError` for a signature of another kind than its key."""
    from cryptography.hazmat.primitives.asymmetric import ec, padding
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    kind = signature.kind
    if _kind_of(key) == "ssh-rsa":
        if kind not in _RSA_HASHES:  # such as ssh-rsa, which is SHA-1
            raise ValueError(kind)
        key.verify(signature.value, data, padding.PKCS1v15(), _hash(_RSA_HASHES[kind]))
    elif kind != _kind_of(key):
        raise ValueError(kind)
    elif kind == "ssh-ed25519":
        key.verify(signature.value, data)
    else:
        parts = _Parts(signature.value)
        r, s = (int.from_bytes(parts.string(), "big") for _ in range(2))
        parts.end()
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(_hash(_CURVES[kind])))


def _hash(name: str) -> "HashAlgorithm":
    from cryptography.hazmat.primitives import hashes

    chosen: HashAlgorithm = getattr(hashes, name)()
    return chosen


class _Parts:
    """Numbers and strings in a row, as SSH writes them; `ValueError` at their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise ValueError("is cut short")
        self._at, taken = end, self._data[self._at : end]
        return taken

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.number())

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError("has bytes after its end")


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _mpint(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _text(data: bytes) -> str:
    return data.decode("ascii", "backslashreplace")
