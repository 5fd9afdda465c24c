"""The cluster key is the whole PKI. Pure: key and name in, certificates out; `write_identity` alone writes.

    key, cluster name ──HKDF-SHA256──▶ seed ──Ed25519──▶ authority (the same bytes on every node)
    authority + node name + role ─────────────────────▶ leaf (its own private key, drawn by chance)

The engine and its clients show a leaf and demand one of the same authority (mutual TLS 1.3). So a node
with another key, or of another cluster, cannot finish the handshake. Nothing here expires before
NOT_AFTER: whoever holds the key can issue itself a new leaf, so a nearer date would protect nobody, and
a wrong clock would part nodes that belong together.

Source of the choice: docs/decisions/002-trust-from-the-cluster-key.md.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from garrison.ground.entropy import Entropy
from garrison.ground.errors import ConfigError, Fault, StoreError
from garrison.ground.files import write_atomic

SERVER_NAME = "garrison-node"
"""The name every leaf carries and every client asks for: members are told apart by address, not by name."""

KEY_CHARACTERS = 32

_SALT = b"garrison cluster authority 1"
"""Changing it parts new nodes from old ones: it is the version of this whole scheme."""

NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2120, 1, 1, tzinfo=UTC)

_MOST_NAME_CHARACTERS = 64
"""X.520 allows no longer common name, organization or unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What signs the leaves of one cluster. The private key never leaves memory."""

    certificate: x509.Certificate
    key: Ed25519PrivateKey = field(repr=False)

    def pem(self) -> bytes:
        """The certificate; it is not secret."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A node's own certificate and private key, both PEM."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFiles:
    """Where a node's identity lies for the engine and for the TLS library, which both read files."""

    authority: Path
    certificate: Path
    key: Path


def derive_authority(key: str, cluster_name: str) -> Authority:
    """The authority of the cluster `cluster_name` with `key`; equal arguments give equal bytes.

    `ConfigError` for a key that is not 32 characters of one byte each (spec/cluster.md 1.1).
    """
    if len(key) != KEY_CHARACTERS or len(key.encode()) != KEY_CHARACTERS:
        fault = Fault(
            path="cluster key",
            line=0,
            found=f"a key of {len(key)} characters",
            expected="32 characters, letters, digits and _ only",
        )
        raise ConfigError([fault])
    derivation = HKDF(algorithm=hashes.SHA256(), length=32, salt=_SALT, info=cluster_name.encode())
    private = Ed25519PrivateKey.from_private_bytes(derivation.derive(key.encode()))
    public = private.public_key()
    name = _name(f"{cluster_name} authority", cluster_name, "authority")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(1)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(_authority_identifier(public), critical=False)
        .sign(private, None)
    )
    return Authority(certificate=certificate, key=private)


def issue_leaf(
    authority: Authority, node_name: str, role: str, addresses: Iterable[str], entropy: Entropy
) -> Leaf:
    """A leaf for the node, good as server and client.

    `addresses` are those under which other members dial this node: IP addresses or host names.
    """
    private = Ed25519PrivateKey.from_private_bytes(entropy.bytes(32))
    public = private.public_key()
    issuer = authority.certificate.subject
    cluster_name = str(issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)
    uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(node_name, cluster_name, role))
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(int.from_bytes(entropy.bytes(16), "big") >> 1 or 1)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(uses, critical=False)
        .add_extension(_alternative_names(addresses), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(_authority_identifier(authority.key.public_key()), critical=False)
        .sign(authority.key, None)
    )
    return Leaf(
        certificate_pem=certificate.public_bytes(serialization.Encoding.PEM),
        key_pem=private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def write_identity(folder: Path, authority: Authority, leaf: Leaf) -> IdentityFiles:
    """Writes the three PEM files into `folder` (made with mode 0700), the files with mode 0600."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise StoreError(str(folder), error.strerror or str(error)) from error
    files = IdentityFiles(
        authority=folder / "authority.pem", certificate=folder / "node.pem", key=folder / "node.key"
    )
    write_atomic(files.authority, authority.pem(), 0o600)
    write_atomic(files.key, leaf.key_pem, 0o600)
    write_atomic(files.certificate, leaf.certificate_pem, 0o600)
    return files


def client_context(files: IdentityFiles) -> ssl.SSLContext:
    """TLS as a client of the engine: TLS 1.3, our leaf, and no other authority than the cluster's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cafile=str(files.authority))
        context.load_cert_chain(certfile=str(files.certificate), keyfile=str(files.key))
    except OSError as error:
        raise StoreError(str(files.certificate.parent), error.strerror or str(error)) from error
    return context


def _name(common: str, cluster_name: str, unit: str) -> x509.Name:
    parts = [
        (NameOID.COMMON_NAME, common),
        (NameOID.ORGANIZATION_NAME, cluster_name),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
    ]
    return x509.Name([x509.NameAttribute(kind, text[:_MOST_NAME_CHARACTERS] or "-") for kind, text in parts])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(public: Ed25519PublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public)


def _alternative_names(addresses: Iterable[str]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.DNSName(SERVER_NAME)]
    for address in dict.fromkeys(addresses):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        except ValueError:
            names.append(x509.DNSName(address))
    return x509.SubjectAlternativeName(names)
