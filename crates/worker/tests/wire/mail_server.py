"""A mail server for tests: aiosmtpd on 127.0.0.1, with STARTTLS if it is given a certificate and its key.

mail_server.py PORT [CERTIFICATE KEY]
"""

import asyncio
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

# Handshakes that are broken off on purpose are not worth a page each.
logging.disable(logging.CRITICAL)

PEOPLE = {b"me@mail.example": b"hush-hush"}


def authenticate(_server, _session, _envelope, _mechanism, said):
    known = PEOPLE.get(said.login) == said.password
    return AuthResult(success=known, handled=False)


async def main(port, certificate=None, key=None):
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

    def session():
        return SMTP(None, tls_context=context, authenticator=authenticate, hostname="mail.example")

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", int(port))
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
