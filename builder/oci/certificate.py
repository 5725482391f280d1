"""Whom an X.509 certificate names. Nothing is checked: anybody can name anybody."""

from __future__ import annotations

from cryptography import x509

_BROKEN = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def named_by(raw: bytes) -> str:
    """Return the alternative names of a certificate in DER, else its subject; empty if broken."""
    try:
        certificate = x509.load_der_x509_certificate(raw)
        return ", ".join(_alternatives(certificate)) or certificate.subject.rfc4514_string()
    except _BROKEN:
        return ""


def _alternatives(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    mails = names.get_values_for_type(x509.RFC822Name)
    return [*mails, *names.get_values_for_type(x509.UniformResourceIdentifier)]
