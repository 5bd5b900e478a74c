"""Twilio's REST API (twilio.com/docs/messaging/api/message-resource, .../voice/api/call-resource) and its signed call-backs."""

import base64
import hashlib
import hmac
import itertools
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree as ET

from tests.standins.provider import Answer, Provider, Seen, json
from tocsin.core.phone import TwilioAccount

SID = "AC0123456789abcdef0123456789abcdef"
TOKEN = "fedcba9876543210fedcba9876543210"
FROM = "+4930123456"
ACCOUNT = TwilioAccount(SID, TOKEN, FROM)

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_MESSAGE_FIELDS = {"To", "From", "MessagingServiceSid", "Body", "StatusCallback"}
_CALL_FIELDS = {"To", "From", "Twiml", "Timeout", "StatusCallback", "StatusCallbackEvent"}
_EVENTS = {"initiated", "ringing", "answered", "completed"}


class TwilioStandIn(Provider):
    """One account. ``opted_out``: numbers that have sent STOP. ``taken`` holds the fields of each message and call."""

    def __init__(self) -> None:
        super().__init__()
        self.opted_out: set[str] = set()
        self._numbers = itertools.count(1)

    @property
    def sids(self) -> list[str]:
        """The ids of what was taken."""
        return [one["sid"] for one in self.taken]

    async def answer(self, seen: Seen) -> Answer:
        if seen.headers.get("Authorization") != "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode():
            return _refused(401, 20003, "Authenticate")
        root = f"/2010-04-01/Accounts/{SID}"
        if (seen.method, seen.path) == ("GET", f"{root}.json"):
            return json(200, {"sid": SID, "status": "active"})
        self.want(seen.method == "POST" and seen.path in (f"{root}/Messages.json", f"{root}/Calls.json"), f"{seen.method} {seen.path}")
        self.want(seen.headers.get("Content-Type") == "application/x-www-form-urlencoded", "the content type")
        pairs = parse_qsl(seen.body.decode(), keep_blank_values=True, strict_parsing=True)
        return self._message(pairs) if seen.path.endswith("Messages.json") else self._call(pairs)

    def _message(self, pairs: list[tuple[str, str]]) -> Answer:
        form = dict(pairs)
        self._check(form, pairs, _MESSAGE_FIELDS, repeatable=set())
        if not _E164.fullmatch(form.get("To", "")):
            return _refused(400, 21211, f"Invalid 'To' Phone Number: {form.get('To')}")
        if form["To"] in self.opted_out:
            return _refused(400, 21610, "Attempt to send to unsubscribed recipient")
        self.want(0 < len(form["Body"]) <= 1_600, f"a body of {len(form['Body'])} characters")
        return self._take(form, "SM")

    def _call(self, pairs: list[tuple[str, str]]) -> Answer:
        form = dict(pairs)
        self._check(form, pairs, _CALL_FIELDS, repeatable={"StatusCallbackEvent"})
        if not _E164.fullmatch(form.get("To", "")):
            return _refused(400, 21211, f"The phone number you are attempting to call, {form.get('To')}, is not valid.")
        self.want({value for name, value in pairs if name == "StatusCallbackEvent"} <= _EVENTS, "an unknown event")
        self.want(1 <= int(form["Timeout"]) <= 600 and len(form["Twiml"]) <= 4_000, "a bad timeout or too much TwiML")
        self.check_twiml(form["Twiml"])
        return self._take(form, "CA")

    def _check(self, form: Mapping[str, str], pairs: list[tuple[str, str]], known: set[str], repeatable: set[str]) -> None:
        names = [name for name, _ in pairs]
        self.want(set(names) <= known, f"unknown fields: {set(names) - known}")
        self.want(all(names.count(name) == 1 for name in names if name not in repeatable), "a field twice")
        self.want(("From" in form) != ("MessagingServiceSid" in form), "exactly one sender")
        if "StatusCallback" in form:
            self.want(form["StatusCallback"].startswith("https://"), f"the call-back {form['StatusCallback']}")

    def _take(self, form: Mapping[str, str], prefix: str) -> Answer:
        sid = f"{prefix}{next(self._numbers):032x}"
        self.taken.append({**form, "sid": sid})
        return json(201, {"sid": sid, "status": "queued", "to": form["To"], "error_code": None, "price": None})

    def check_twiml(self, twiml: str) -> None:
        """A document of Response, Say, Gather and Message only, every action an https address."""
        try:
            root = ET.fromstring(twiml)  # noqa: S314 - our own, under test
        except ET.ParseError as error:
            self.violation(f"TwiML: {error}")
            return
        self.want(root.tag == "Response", f"TwiML begins with {root.tag}")
        for verb in root.iter():
            self.want(verb.tag in ("Response", "Say", "Gather", "Message"), f"the verb {verb.tag}")
            if verb.tag == "Gather":
                self.want(verb.get("action", "").startswith("https://") and verb.get("numDigits") == "1", f"Gather {verb.attrib}")
            if verb.tag == "Say":
                self.want(bool((verb.text or "").strip()), "an empty Say")


def signed(url: str, form: Mapping[str, str], token: str = TOKEN) -> tuple[dict[str, str], bytes]:
    """Headers and body of a call-back to *url*, signed as twilio.com/docs/usage/security says."""
    text = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    signature = base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    return headers, urlencode(form).encode()


def _refused(status: int, code: int, message: str) -> Answer:
    return json(status, {"code": code, "message": message, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status})
