"""The few words of line protocols that checks speak: greetings, and what comes before TLS."""

from tocsin.core.text import cut, one_line
from tocsin.net.dial import Line, Trace

MAX_LINES = 50  # of one answer
ENDED, ENDED_IN_A_LINE = "it closed the connection without a word", "it closed the connection in the middle of a line"
ENDLESS = "its answer does not end"


class Misspoken(Exception):
    """The other side says something else than its protocol demands; the text says what."""


async def said(line: Line, trace: Trace) -> str:
    """The next line. Raises `Misspoken` if there is none, or one that does not end."""
    try:
        raw = await line.reader.readline()
    except ValueError:
        raise Misspoken("its line does not end within 64 KiB") from None
    except OSError:
        raw = b""
    if not raw.endswith(b"\n"):
        raise Misspoken(ENDED_IN_A_LINE if raw else ENDED)
    text = as_text(raw)
    trace.note(f"< {text}")
    return text


def as_text(raw: bytes) -> str:
    """A line that was said, fit to be shown."""
    return cut(one_line(raw.decode("utf-8", "replace")), 500)


def say(line: Line, text: str, trace: Trace) -> None:
    """One line to the other side."""
    trace.note(f"> {text}")
    line.writer.write(f"{text}\r\n".encode())


async def reply(line: Line, trace: Trace) -> str:
    """A whole answer of SMTP or FTP, which may have several lines: its last one. Raises `Misspoken`."""
    for _ in range(MAX_LINES):
        text = await said(line, trace)
        if not text[:3].isdigit():
            raise Misspoken(f"it says {cut(text, 80)!r}, which is no answer of its protocol")
        if text[3:4] != "-":
            return text
    raise Misspoken(ENDLESS)


async def start_tls(line: Line, protocol: str, trace: Trace) -> None:
    """Says what the protocol wants before TLS begins. Raises `Misspoken` where it is not offered."""
    with trace.phase("greeting"):
        match protocol:
            case "smtp":
                _expect(await reply(line, trace), "220")
                say(line, "EHLO tocsin.invalid", trace)
                _expect(await reply(line, trace), "250")
                say(line, "STARTTLS", trace)
                _expect(await reply(line, trace), "220", "it does not offer STARTTLS")
            case "imap":
                _expect(await said(line, trace), "* OK")
                say(line, "a1 STARTTLS", trace)
                _expect(await _tagged(line, trace), "A1 OK", "it does not offer STARTTLS")
            case _:
                _expect(await said(line, trace), "+OK")
                say(line, "STLS", trace)
                _expect(await said(line, trace), "+OK", "it does not offer STLS")


async def _tagged(line: Line, trace: Trace) -> str:
    for _ in range(MAX_LINES):
        text = await said(line, trace)
        if not text.startswith("* "):
            return text
    raise Misspoken("its answer does not end")


def _expect(text: str, beginning: str, otherwise: str = "") -> None:
    if not text.upper().startswith(beginning):
        raise Misspoken(f"{otherwise or 'it greets strangely'}: {cut(text, 80)!r}")
