"""Drives one enrollment: TCP, TLS 1.2 or newer, one request, one reply, and the key file replaced.

Source: spec/agent-channel.md 2.1, 2.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import Callable

from cryptography import x509

from garrison.agent.enroll import (
    MAX_REPLY_BYTES,
    Order,
    Told,
    is_whole,
    names_match,
    read_reply,
)
from garrison.wire.client_keys import KeyEntry
from garrison.wire.enroll_line import EnrollRequest, encode_request

CONNECT_TIMEOUT_S = 10
Tell = Callable[[Told], None]


async def request_key(order: Order, tell: Tell) -> KeyEntry | None:
    """The entry that the service gave, or None; everything an operator has to know was told."""
    try:
        context = _context(order)
    except (ssl.SSLError, OSError) as error:
        tell(Told("ERROR", f"SSL error. The certificate, key or cipher list cannot be used: {error}"))
        return None
    connection = await _connect(order, context, tell)
    if connection is None:
        return None
    reader, writer = connection
    try:
        if order.ca_path and not _is_verified(writer, order.address, tell):
            return None
        tell(Told("INFO", f"Using agent name as: {order.name}"))
        writer.write(encode_request(_request(order)))
        await asyncio.wait_for(writer.drain(), order.timeout_s)
        tell(Told("INFO", "Waiting for server reply"))
        reply = await _read_reply(reader, order.timeout_s)
    except (OSError, ssl.SSLError, TimeoutError):
        reply = b""
    finally:
        writer.transport.abort()
    outcome = read_reply(reply)
    for line in outcome.told:
        tell(line)
    return outcome.entry


def _request(order: Order) -> EnrollRequest:
    return EnrollRequest(
        name=order.name,
        version=order.version,
        groups=order.groups,
        ip=order.ip,
        key_hash=order.key_hash,
        password=order.password,
    )


def _context(order: Order) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1 if order.auto_method else ssl.TLSVersion.TLSv1_2
    context.set_ciphers(order.ciphers)
    if order.ca_path:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(order.ca_path)
    if order.certificate_path and order.key_path:
        context.load_cert_chain(order.certificate_path, order.key_path)
    return context


async def _connect(
    order: Order, context: ssl.SSLContext, tell: Tell
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    host = order.address
    if order.interface_index is not None and host.lower().startswith("fe80:"):
        host = f"{host}%{order.interface_index}"
    if order.ca_path:
        tell(Told("INFO", "Verifying manager's certificate"))
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await asyncio.open_connection(
                host, order.port, ssl=context, server_hostname=_sni(order.address), limit=MAX_REPLY_BYTES
            )
    except ssl.SSLCertVerificationError:
        tell(Told("ERROR", "Unable to verify server certificate"))
    except (ssl.SSLError, ConnectionResetError, asyncio.IncompleteReadError) as error:
        number = getattr(error, "errno", None) or 1
        text = "Connection refused by the manager. Maybe the port specified is incorrect."
        tell(Told("ERROR", f"SSL error ({number}). {text}"))
    except (OSError, TimeoutError):
        place = f"[{order.address}]:{order.port}"
        tell(Told("ERROR", f"(1208): Unable to connect to enrollment service at '{place}'"))
    return None


def _sni(address: str) -> str:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return address
    return ""


def _is_verified(writer: asyncio.StreamWriter, address: str, tell: Tell) -> bool:
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True)
    if der is None or not names_match(_certificate_names(der), _plain_address(address)):
        tell(Told("ERROR", "Unable to verify server certificate"))
        return False
    tell(Told("INFO", "Manager has been verified successfully"))
    return True


def _plain_address(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def _certificate_names(der: bytes) -> list[str]:
    certificate = x509.load_der_x509_certificate(der)
    names: list[str] = []
    with contextlib.suppress(x509.ExtensionNotFound):
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names += alternatives.get_values_for_type(x509.DNSName)
        names += [str(address) for address in alternatives.get_values_for_type(x509.IPAddress)]
    commons = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return names + [str(common.value) for common in commons]


async def _read_reply(reader: asyncio.StreamReader, timeout_s: float) -> bytes:
    """All that the service writes until the key is there, it closes, or it has said too much."""
    reply = b""
    async with asyncio.timeout(timeout_s):
        while len(reply) < MAX_REPLY_BYTES and not is_whole(reply):
            try:
                part = await reader.read(MAX_REPLY_BYTES - len(reply))
            except (ssl.SSLError, ConnectionResetError):
                break  # closed without saying goodbye: what came is judged all the same
            if not part:
                break
            reply += part
    return reply
