"""The mail stand-in as other processes use it."""

import asyncio
import json
import smtplib
import sys


async def test_as_a_program_it_prints_its_address_and_the_mails() -> None:
    command = (sys.executable, "-m", "tests.standins.smtp", "--port", "0")
    program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert program.stdout is not None
    host, _, port = (await program.stdout.readline()).decode().strip().removeprefix("smtp://").partition(":")
    await asyncio.to_thread(_send, host, int(port))
    line = json.loads(await asyncio.wait_for(program.stdout.readline(), 5))
    assert (line["to"], line["subject"], line["message_id"]) == (["b@example.com"], "Hello", "<1@example.com>")
    program.terminate()
    assert await program.wait() == 0


def _send(host: str, port: int) -> None:
    with smtplib.SMTP(host, port) as client:
        client.sendmail("a@example.com", ["b@example.com"], "Subject: Hello\r\nMessage-ID: <1@example.com>\r\n\r\nHi\r\n")
