"""Twilio: Messages and Calls of its REST API, status call-backs, replies, keys; each call-back signed (X-Twilio-Signature)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape, quoteattr

from tocsin.core.clock import HOUR
from tocsin.core.phone import TwilioAccount
from tocsin.net.http import HttpDoor, HttpFailure, Response
from tocsin.notify.answers import CHECK_SECONDS, deliver, fields, judged, short
from tocsin.notify.model import Outcome, Result
from tocsin.notify.providers.model import Callback, Incoming, OptedOut, Pressed, Receipt, Said, Script, Stage, turn_of

API = "https://api.twilio.com/2010-04-01"
RING_SECONDS = 30
KEY_SECONDS = 8
XML = "text/xml; charset=utf-8"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MAX_PAIRS = 200

# https://www.twilio.com/docs/api/errors: what is wrong with the number, and what with the account or the sender.
_OPTED_OUT = 21610
_NUMBER = frozenset({21211, 21214, 21215, 21217, 21219, 21401, 21408, 21421, 21604, 21612, 21614, 21635, 13223, 13224, 13225, 13227})
_OURS = frozenset({10001, 20003, 20005, 20008, 20404, 21210, 21212, 21213, 21603, 21606, 21608, 21609, 21659, 21703, 21704})
_TEXT_STAGES = {
    **dict.fromkeys(("accepted", "scheduled", "queued", "sending", "sent"), Stage.SENT),
    **dict.fromkeys(("delivered", "read"), Stage.DELIVERED),
    **dict.fromkeys(("undelivered", "failed", "canceled"), Stage.FAILED),
}
_CALL_STAGES = {
    **dict.fromkeys(("queued", "initiated", "ringing"), Stage.SENT),
    **dict.fromkeys(("in-progress", "completed"), Stage.DELIVERED),
    **dict.fromkeys(("busy", "no-answer", "failed", "canceled"), Stage.FAILED),
}


class Twilio:
    """One account. *back* is the address of our call-backs; None: Twilio cannot reach us."""

    name = "twilio"

    def __init__(self, account: TwilioAccount, door: HttpDoor, back: str | None, api: str = API) -> None:
        self._account, self._door, self._back = account, door, None if back is None else f"{back}/twilio"
        self._base = f"{api}/Accounts/{account.sid}"
        login = base64.b64encode(f"{account.sid}:{account.token}".encode()).decode()
        self._headers = {**FORM, "Authorization": f"Basic {login}"}
        self.can_call = account.sender.startswith("+")
        self.is_reached = back is not None
        self.can_hear = self.is_reached and account.sender.startswith(("+", "MG"))

    async def text(self, number: str, text: str, message_id: str, now: int, departing: Callable[[], None]) -> Outcome:
        """Creates a message."""
        sender = self._account.sender
        form = {"To": number, "MessagingServiceSid" if sender.startswith("MG") else "From": sender, "Body": text}
        if self._back is not None:
            form["StatusCallback"] = f"{self._back}/text/{message_id}"
        return await self._create("Messages", form, now, departing)

    async def call(self, number: str, script: Script, message_id: str, now: int, departing: Callable[[], None]) -> Outcome:
        """Creates a call that says what it has to without asking us first."""
        form = {
            "To": number,
            "From": self._account.sender,
            "Timeout": str(RING_SECONDS),
            "Twiml": self._twiml(script.text, script, message_id),
        }
        pairs = list(form.items())
        if self._back is not None:
            pairs.append(("StatusCallback", f"{self._back}/call/{message_id}"))
            pairs += [("StatusCallbackEvent", event) for event in ("initiated", "ringing", "answered", "completed")]
        return await self._create("Calls", pairs, now, departing)

    async def _create(self, what: str, form: Mapping[str, str] | list[tuple[str, str]], now: int, departing: Callable[[], None]) -> Outcome:
        def judge(answer: Response) -> Outcome:
            return self._judged(answer, now)

        body = urlencode(form).encode()
        return await deliver(self._door, f"{self._base}/{what}.json", body, departing, judge, self._headers)

    def _judged(self, answer: Response, now: int) -> Outcome:
        said = fields(answer)
        sid = said.get("sid")
        if answer.status in (200, 201) and isinstance(sid, str):
            return Outcome(Result.SENT, receipt=short(sid))
        code = said.get("code")
        word = short(said.get("message"), self._account.token, self._account.sid)
        what = f"Twilio refuses ({code}{f': {word}' if word else ''})"
        if code == _OPTED_OUT:
            return OptedOut(Result.PERMANENT, "the person has told Twilio to send no more (21610): they must text START")
        if code in _NUMBER:
            return Outcome(Result.PERMANENT, what)
        if code in _OURS or answer.status < 300:
            return Outcome(Result.REFUSED, f"{what}: check the TOCSIN_TWILIO_ settings and the account", HOUR)
        return judged(answer, "Twilio", "check the TOCSIN_TWILIO_ settings", now, word)

    async def check(self, now: int) -> str | None:
        """Asks for the account."""
        _ = now
        try:
            answer = await self._door.request("GET", f"{self._base}.json", headers=self._headers, within=CHECK_SECONDS)
        except HttpFailure as failure:
            return f"Twilio cannot be reached: {failure.reason}."
        if answer.status != 200:
            return f"Twilio does not accept the account ({answer.status}): check TOCSIN_TWILIO_ACCOUNT_SID and TOCSIN_TWILIO_AUTH_TOKEN."
        status = short(fields(answer).get("status"))
        return None if status == "active" else f"The Twilio account is {status}: look at its console."

    # --- Call-backs ------------------------------------------------------------------------------------------------

    def is_genuine(self, callback: Callback, now: int) -> bool:
        """HMAC-SHA1 over the address and the sorted fields, under the token. It has no time in it: see docs/reference/channels.md."""
        _ = now
        if self._back is None:
            return False
        given = callback.headers.get("x-twilio-signature", "")
        return hmac.compare_digest(self.signature(callback).encode(), given.encode("utf-8", "replace"))

    def signature(self, callback: Callback) -> str:
        """What Twilio would sign *callback* with."""
        pairs: dict[str, set[str]] = {}
        for name, value in _pairs(callback.body):
            pairs.setdefault(name, set()).add(value)
        joined = "".join(name + value for name in sorted(pairs) for value in sorted(pairs[name]))
        root = (self._back or "").removesuffix("/twilio")
        return base64.b64encode(hmac.digest(self._account.token.encode(), f"{root}{callback.path}{joined}".encode(), hashlib.sha1)).decode()

    def text_receipt(self, callback: Callback) -> Receipt | None:
        """``MessageStatus`` and ``ErrorCode``."""
        form = dict(_pairs(callback.body))
        stage = _TEXT_STAGES.get(form.get("MessageStatus", ""))
        if stage is None or not form.get("MessageSid"):
            return None
        code = form.get("ErrorCode", "")
        error = f"{form['MessageStatus']}{f' ({code})' if re.fullmatch(r'[0-9]{1,6}', code) else ''}"
        return Receipt(form["MessageSid"], stage, error if stage is Stage.FAILED else None, elsewhere=code != str(_OPTED_OUT))

    def call_receipt(self, callback: Callback) -> Receipt | None:
        """``CallStatus``."""
        form = dict(_pairs(callback.body))
        status = form.get("CallStatus", "")
        stage = _CALL_STAGES.get(status)
        if stage is None or not form.get("CallSid"):
            return None
        error = {"no-answer": "nobody answered"}.get(status, status) if stage is Stage.FAILED else None
        return Receipt(form["CallSid"], stage, error, elsewhere=status in ("failed", "canceled"))

    def pressed(self, callback: Callback) -> Pressed | None:
        """``Digits``; who was called is ``To``."""
        form = dict(_pairs(callback.body))
        if not form.get("CallSid") or not form.get("To"):
            return None
        return Pressed(form["CallSid"], form["To"], form.get("Digits", ""), turn_of(callback))

    def incoming(self, callback: Callback) -> Incoming | None:
        """``From`` and ``Body``."""
        form = dict(_pairs(callback.body))
        return Incoming(form["MessageSid"], form["From"], form.get("Body", "")) if form.get("MessageSid") and form.get("From") else None

    def answer(self, text: str) -> Said | None:
        """A message in TwiML."""
        return _response(f"<Message>{escape(text)}</Message>")

    def speak(self, text: str, script: Script | None, message_id: str) -> Said:
        """Speech in TwiML, and the menu again if there is one."""
        return Said(self._twiml(text, script, message_id).encode(), XML)

    def silence(self) -> Said:
        """Nothing in TwiML."""
        return _response("")

    def _twiml(self, text: str, script: Script | None, message_id: str) -> str:
        said = f"<Say>{escape(text)}</Say>" if text else ""
        if script is None or not script.menu:
            return f"<Response>{said}</Response>"
        if self._back is None:
            return f"<Response>{said}{said}</Response>"
        action = quoteattr(f"{self._back}/keys/{message_id}?turn={script.turn}")
        gather = f'<Gather input="dtmf" numDigits="1" timeout="{KEY_SECONDS}" action={action} method="POST">{{}}</Gather>'
        menu = f"<Say>{escape(script.menu)}</Say>"
        again = f"<Say>{escape(f'{script.text} {script.menu}'.strip())}</Say>"
        return f"<Response>{gather.format(said + menu)}{gather.format(again)}<Say>Goodbye.</Say></Response>"


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PAIRS)
    except ValueError:
        return []


def _response(inner: str) -> Said:
    return Said(f"<Response>{inner}</Response>".encode(), XML)
