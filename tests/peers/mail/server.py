"""A mail server for tests: aiosmtpd with TLS and a login, told on the command line what to do wrong.

Prints one JSON line when it listens, and one for each message that it took."""

import argparse
import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(**facts):
    print(json.dumps(facts), flush=True)


class Handler:
    def __init__(self, busy):
        self.busy = busy

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.busy > 0:
            self.busy -= 1
            say(refused=True)
            return "451 4.3.0 try again later"
        say(
            encrypted=server.transport.get_extra_info("cipher") is not None,
            login=session.auth_data,
            sender=envelope.mail_from,
            to=envelope.rcpt_tos,
            text=envelope.content.decode("utf-8", "replace"),
        )
        return "250 taken"


def authenticator(user, password):
    def check(server, session, envelope, mechanism, data):
        good = data.login == user.encode() and data.password == password.encode()
        return AuthResult(success=good, handled=False, auth_data=data.login.decode())

    return check


async def serve(options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    smtp = {
        "starttls": {"tls_context": context, "require_starttls": True, "auth_required": True},
        # it cannot see the TLS around it
        "implicit": {"auth_require_tls": False, "auth_required": True},
        "none": {},
    }[options.tls]
    handler = Handler(options.busy)
    loop = asyncio.get_running_loop()

    def factory():
        return SMTP(handler, authenticator=authenticator("purser", "open sesame"), loop=loop, **smtp)

    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=context if options.tls == "implicit" else None)
    say(port=server.sockets[0].getsockname()[1])
    # until whoever started it goes away
    await loop.run_in_executor(None, sys.stdin.read)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--tls", choices=["starttls", "implicit", "none"], required=True)
    parser.add_argument("--busy", type=int, default=0, help="how many messages to refuse for now before one is taken")
    asyncio.run(serve(parser.parse_args()))


main()
