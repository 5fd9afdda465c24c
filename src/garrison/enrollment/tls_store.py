"""The enrollment server's certificate: the operator's own, or one made at first start.

Source: spec/agent-channel.md 2.2: RSA 2048, 365 days, subject C=US, ST=California, CN=Wazuh, self-signed, CA:TRUE.
"""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from garrison.config.model import AuthConfig
from garrison.ground.errors import ConfigError, Fault
from garrison.ground.files import write_atomic

DAYS = 365


def make_certificate(now: datetime) -> tuple[bytes, bytes]:
    """A self-signed certificate and its key, both PEM, valid from `now` for a year."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "California"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Wazuh"),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key_pem


def ensure_certificate(root: Path, config: AuthConfig, now: datetime) -> tuple[Path, Path]:
    """Paths of certificate and key; both are made where neither is there."""
    certificate, key = root / config.ssl_manager_cert, root / config.ssl_manager_key
    if not certificate.exists() and not key.exists():
        certificate_pem, key_pem = make_certificate(now)
        key.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(key, key_pem, 0o600)
        write_atomic(certificate, certificate_pem, 0o640)
    return certificate, key


def server_context(root: Path, config: AuthConfig, now: datetime) -> ssl.SSLContext:
    """The TLS context: 1.2 and newer, the configured ciphers, client certificates where a CA is configured."""
    certificate, key = ensure_certificate(root, config, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.ssl_auto_negotiate:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.set_ciphers(config.ciphers)
        context.load_cert_chain(certificate, key)
        if config.ssl_agent_ca:
            context.load_verify_locations(root / config.ssl_agent_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, OSError) as error:
        found = f"the enrollment server's TLS settings do not work: {error.strerror or error}"
        expected = "a certificate with its key (PEM), known ciphers, a readable CA file"
        raise ConfigError([Fault(path=str(certificate), line=0, found=found, expected=expected)]) from error
    return context


def names_source(certificate: object, source: str) -> bool:
    """True when a peer certificate (as `getpeercert` gives it) names the address in its SAN or common name."""
    if not isinstance(certificate, dict):
        return False
    names = [value for _, value in certificate.get("subjectAltName", ())]
    for relative in certificate.get("subject", ()):
        names += [value for name, value in relative if name == "commonName"]
    return source in names
