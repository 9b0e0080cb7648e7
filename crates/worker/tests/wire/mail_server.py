"""A mail server for tests: aiosmtpd on 127.0.0.1, with STARTTLS if it is given a certificate and its key,
or in TLS from the first byte if "at-once" comes after them; with "by-login" it knows no AUTH but LOGIN. It takes
no letters for nobody@mail.example, none for later@mail.example at the first time and for busy@mail.example at
the first three, and none that full@mail.example should get.

mail_server.py PORT [CERTIFICATE KEY [at-once | by-login]]

Letters are kept in the folder that LETTERS names: 1.json, 2.json and so on.
"""

import asyncio
import email
import email.policy
import json
import logging
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

# Handshakes that are broken off on purpose are not worth a page each.
logging.disable(logging.CRITICAL)

PEOPLE = {b"me@mail.example": b"hush-hush"}


def authenticate(_server, _session, _envelope, _mechanism, said):
    known = PEOPLE.get(said.login) == said.password
    return AuthResult(success=known, handled=False)


class Letters:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        self.put_off = {"later@mail.example": 1, "busy@mail.example": 3}

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if address == "nobody@mail.example":
            return "550 5.1.1 no such person"
        if self.put_off.get(address, 0) > 0:
            self.put_off[address] -= 1
            return "450 4.2.1 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, session, envelope):
        if "full@mail.example" in envelope.rcpt_tos:
            return "552 5.2.2 the mailbox is full"
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.count += 1
        kept = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": session.ssl is not None,
            "head": {name.lower(): str(value) for name, value in letter.items()},
            "text": letter.get_body(("plain",)).get_content(),
            "html": letter.get_body(("html",)).get_content(),
            "bytes": envelope.content.decode("ascii"),
        }
        path = os.path.join(self.folder, f"{self.count}.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(kept, file)
        os.rename(path + ".new", path)
        return "250 taken"


async def main(port, certificate=None, key=None, mode=None):
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    at_once = mode == "at-once"
    folder = os.environ.get("LETTERS")
    letters = Letters(folder) if folder else None

    def session():
        return SMTP(
            letters,
            tls_context=None if at_once else context,
            authenticator=authenticate,
            auth_require_tls=not at_once,
            auth_exclude_mechanism=["PLAIN"] if mode == "by-login" else None,
            hostname="mail.example",
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        session, "127.0.0.1", int(port), ssl=context if at_once else None
    )
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
