"""``/settings/contacts`` and ``/settings/people/{user_id}/contacts``: how somebody is told, how each way is proved, when each rings."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api import contacts as api, wishes as api_wishes
from tocsin.audit.model import Who
from tocsin.bootstrap import Server
from tocsin.core.clock import SECOND
from tocsin.core.errors import Conflict, InvalidInput
from tocsin.core.text import sentence
from tocsin.db.writer import Tx
from tocsin.identity import store
from tocsin.identity.model import Viewer
from tocsin.notify import own, readiness
from tocsin.notify.contacts import read_directory
from tocsin.notify.queries import Person as ContactRow
from tocsin.notify.reach import Person, PersonRule, QuietHours, Urgency, person_promises
from tocsin.notify.wishes import Wishes
from tocsin.web import qr
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.devices import device
from tocsin.web.pages import screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.times import in_words
from tocsin.web.viewer import TheViewer

KINDS = {
    "ntfy": ("Push (ntfy)", "i-phone", "the topic that your phone listens to, such as alerts-7f3k9q"),
    "email": ("Email", "i-mail", "an address, such as marta@example.com"),
    "sms": ("Text message", "i-sms", "a number with + and the country, such as +4915123456789"),
    "voice": ("Call", "i-call", "a number with + and the country, such as +4915123456789"),
    "telegram": ("Telegram", "i-note", "the number of the chat with the bot"),
    "slack": ("Slack", "i-note", "a channel, or the address of a webhook"),
    "teams": ("Teams", "i-note", "the address of a workflow"),
    "discord": ("Discord", "i-note", "the address of a webhook"),
    "webpush": ("This browser", "i-bell", ""),
    "apprise": ("Apprise", "i-link", "an Apprise address"),
}
TYPED = tuple(kind for kind in KINDS if kind != "webpush")
DELAYS = (0, 60, 120, 300, 600, 900, 1800, 3600)
DONE = {
    "code": "A code is on its way. Type it below: it holds for ten minutes.",
    "verified": "Verified. Alerts go there from now on.",
    "tested": "A test message has left. It should be there in a moment.",
    "removed": "Removed. What waited for it goes to the others.",
    "saved": "Saved.",
}
_CHOICE = re.compile(r"([0-9a-f-]{36}):([0-9]{1,6})")
_EASY = "abcdefghjkmnpqrstuvwxyz23456789"  # what is read and typed without a doubt
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


class NewForm(msgspec.Struct, frozen=True, kw_only=True):
    """A contact to be made."""

    kind: Annotated[str, Meta(max_length=20)] = ""
    target: Annotated[str, Meta(max_length=2_000)] = ""
    label: Annotated[str, Meta(max_length=api.MAX_LABEL)] = ""


class CodeForm(msgspec.Struct, frozen=True, kw_only=True):
    """A code that came."""

    code: Annotated[str, Meta(max_length=40)] = ""


class RulesForm(msgspec.Struct, frozen=True, kw_only=True):
    """Rules as the page sends them, ``contact:seconds`` each; and quiet hours."""

    high: tuple[Annotated[str, Meta(max_length=50)], ...] = ()
    low: tuple[Annotated[str, Meta(max_length=50)], ...] = ()
    begins: Annotated[str, Meta(max_length=8)] = ""
    ends: Annotated[str, Meta(max_length=8)] = ""


class ChangeForm(msgspec.Struct, frozen=True, kw_only=True):
    """Another name (``rename``), or another position: 1 is first."""

    rename: Annotated[str, Meta(max_length=3)] = ""
    label: Annotated[str, Meta(max_length=api.MAX_LABEL)] = ""
    position: Annotated[int, Meta(ge=1, le=own.MAX_CONTACTS)] | None = None


class Whose(msgspec.Struct, frozen=True):
    """Whose contacts a page is about, and where it is."""

    user_id: str
    path: str
    tab: str


class Urgent(msgspec.Struct, frozen=True):
    """One urgency on the page: what it means, what comes of the rules now, and the choice for each contact."""

    key: str
    title: str
    said: str
    chosen: dict[str, int]


class Listening(msgspec.Struct, frozen=True):
    """How a phone comes to hear a topic: the server that its app asks for, a link that says both, and the QR code of that."""

    server: str
    link: str
    picture: str


class OwnContactPages(Controller):
    """One's own."""

    path = "/settings/contacts"
    include_in_schema = False

    @get(sync_to_thread=True)
    def show(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Contacts, rules and quiet hours."""
        return _page(request, server, viewer, _mine(viewer), done=DONE.get(request.query_params.get("done", ""), ""))

    @post(status_code=200)
    async def add(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """A new contact; a code goes there."""
        return await _add(request, server, viewer, _mine(viewer))

    @post("/rules", status_code=200)
    async def save_rules(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Which rings when, and when none does."""
        return await _save_rules(request, server, viewer, _mine(viewer))

    @post("/{contact_id:str}/code", status_code=200)
    async def send_code(self, request: AnyRequest, server: TheServer, viewer: TheViewer, contact_id: InPath) -> Response[bytes]:
        """A new code."""
        return await _send_code(request, server, viewer, _mine(viewer), contact_id)

    @post("/{contact_id:str}/verify", status_code=200)
    async def verify(self, request: AnyRequest, server: TheServer, viewer: TheViewer, contact_id: InPath) -> Response[bytes]:
        """The code that came."""
        return await _verify(request, server, viewer, _mine(viewer), contact_id)

    @post("/{contact_id:str}/test", status_code=200)
    async def test(self, request: AnyRequest, server: TheServer, viewer: TheViewer, contact_id: InPath) -> Response[bytes]:
        """A test message."""
        return await _test(request, server, viewer, _mine(viewer), contact_id)

    @post("/{contact_id:str}/change", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, contact_id: InPath) -> Response[bytes]:
        """Another name, or another place."""
        return await _change(request, server, viewer, _mine(viewer), contact_id)

    @post("/{contact_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, contact_id: InPath) -> Response[bytes]:
        """Not there any more."""
        return await _remove(request, server, viewer, _mine(viewer), contact_id)


class PersonContactPages(Controller):
    """Somebody's, for administrators."""

    path = "/settings/people/{user_id:str}/contacts"
    include_in_schema = False

    @get(sync_to_thread=True)
    def show(self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath) -> Response[bytes]:
        """Contacts, rules and quiet hours."""
        return _page(request, server, viewer, _theirs(user_id), done=DONE.get(request.query_params.get("done", ""), ""))

    @post(status_code=200)
    async def add(self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath) -> Response[bytes]:
        """A new contact; a code goes there."""
        return await _add(request, server, viewer, _theirs(user_id))

    @post("/rules", status_code=200)
    async def save_rules(self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath) -> Response[bytes]:
        """Which rings when, and when none does."""
        return await _save_rules(request, server, viewer, _theirs(user_id))

    @post("/{contact_id:str}/code", status_code=200)
    async def send_code(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath, contact_id: InPath
    ) -> Response[bytes]:
        """A new code."""
        return await _send_code(request, server, viewer, _theirs(user_id), contact_id)

    @post("/{contact_id:str}/verify", status_code=200)
    async def verify(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath, contact_id: InPath
    ) -> Response[bytes]:
        """The code that came."""
        return await _verify(request, server, viewer, _theirs(user_id), contact_id)

    @post("/{contact_id:str}/test", status_code=200)
    async def test(self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath, contact_id: InPath) -> Response[bytes]:
        """A test message."""
        return await _test(request, server, viewer, _theirs(user_id), contact_id)

    @post("/{contact_id:str}/change", status_code=200)
    async def change(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath, contact_id: InPath
    ) -> Response[bytes]:
        """Another name, or another place."""
        return await _change(request, server, viewer, _theirs(user_id), contact_id)

    @post("/{contact_id:str}/remove", status_code=200)
    async def remove(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, user_id: InPath, contact_id: InPath
    ) -> Response[bytes]:
        """Not there any more."""
        return await _remove(request, server, viewer, _theirs(user_id), contact_id)


def _mine(viewer: Viewer) -> Whose:
    return Whose(viewer.user_id, "/settings/contacts", "contacts")


def _theirs(user_id: str) -> Whose:
    return Whose(user_id.lower(), f"/settings/people/{user_id.lower()}/contacts", "people")


# What is pressed.


async def _add(request: AnyRequest, server: Server, viewer: Viewer, whose: Whose) -> Response[bytes]:
    sent = NewForm()

    async def act(who: Who) -> str:
        nonlocal sent
        sent = await form(request, NewForm)
        target = sent.target.strip() or (new_topic() if sent.kind == "ntfy" else "")
        if not target:
            raise InvalidInput.of("target", "is missing")
        made = await api.add(server, who, whose.user_id, api.OwnNewContact(kind=sent.kind, target=target, label=sent.label), verified=False)
        if made.code is not None and not made.code.sent:
            raise Conflict(f"the contact is there, and its code could not be sent: {made.code.error}")
        return "code#contacts"

    return await _done(request, server, viewer, whose, act, lambda: sent)


async def _save_rules(request: AnyRequest, server: Server, viewer: Viewer, whose: Whose) -> Response[bytes]:
    async def act(who: Who) -> str:
        sent = await form(request, RulesForm)
        rules = tuple(
            _rule(urgency, text) for urgency, chosen in ((Urgency.HIGH, sent.high), (Urgency.LOW, sent.low)) for text in chosen if text
        )
        await api_wishes.put_wishes(server, who, whose.user_id, Wishes(rules, _quiet(sent)))
        return "saved#rules"

    return await _done(request, server, viewer, whose, act)


def _rule(urgency: Urgency, text: str) -> PersonRule:
    found = _CHOICE.fullmatch(text)
    if found is None:
        raise InvalidInput.of("rules", "are not as the page sends them: load it again")
    return PersonRule(urgency, found[1], int(found[2]))


def _quiet(sent: RulesForm) -> QuietHours | None:
    if not sent.begins and not sent.ends:
        return None
    for name in ("begins", "ends"):
        if not _CLOCK.fullmatch(getattr(sent, name)[:5]):
            raise InvalidInput.of(
                "quiet_hours.ends", "need both a beginning and an end, such as 22:00 and 07:00; leave both empty for none"
            )
    return QuietHours(api_wishes.read_clock(sent.begins[:5]), api_wishes.read_clock(sent.ends[:5]))


async def _send_code(request: AnyRequest, server: Server, viewer: Viewer, whose: Whose, contact_id: str) -> Response[bytes]:
    async def act(who: Who) -> str:
        await form(request, NoFields)
        sent = await api.send_code(server, who, whose.user_id, contact_id)
        if not sent.sent:
            raise Conflict(f"the code could not be sent: {sent.error}")
        return "code#contacts"

    return await _done(request, server, viewer, whose, act)


async def _verify(request: AnyRequest, server: Server, viewer: Viewer, whose: Whose, contact_id: str) -> Response[bytes]:
    async def act(who: Who) -> str:
        sent = await form(request, CodeForm)
        try:
            await api.verify(server, who, whose.user_id, contact_id, sent.code or "-")
        except InvalidInput as error:
            raise InvalidInput.of(f"code-{contact_id}", error.errors[0].message) from None
        return "verified#contacts"

    return await _done(request, server, viewer, whose, act)


async def _test(request: AnyRequest, server: Server, viewer: Viewer, whose: Whose, contact_id: str) -> Response[bytes]:
    async def act(who: Who) -> str:
        await form(request, NoFields)
        tried = await api.try_out(server, who, whose.user_id, contact_id)
        if tried.result != "sent":
            raise Conflict(f"{tried.kind} {tried.target} did not take the test message: {tried.error or tried.result}")
        return "tested#contacts"

    return await _done(request, server, viewer, whose, act)


async def _change(request: AnyRequest, server: Server, viewer: Viewer, whose: Whose, contact_id: str) -> Response[bytes]:
    async def act(who: Who) -> str:
        sent = await form(request, ChangeForm)
        now, where = server.core.clock.now(), contact_id.lower()

        def work(tx: Tx) -> None:
            if sent.rename:
                own.change(tx, who, whose.user_id, where, own.Change(label=sent.label.strip()), now)
            if sent.position is not None:
                own.put_at(tx, who, whose.user_id, where, sent.position, now)

        await api.written(server, work)
        return "saved#contacts"

    return await _done(request, server, viewer, whose, act)


async def _remove(request: AnyRequest, server: Server, viewer: Viewer, whose: Whose, contact_id: str) -> Response[bytes]:
    async def act(who: Who) -> str:
        await form(request, NoFields)
        await api.remove(server, who, whose.user_id, contact_id)
        return "removed#contacts"

    return await _done(request, server, viewer, whose, act)


async def _done(
    request: AnyRequest,
    server: Server,
    viewer: Viewer,
    whose: Whose,
    act: Callable[[Who], Awaitable[str]],
    sent: Callable[[], NewForm] = NewForm,
) -> Response[bytes]:
    """Back to the page if it went well; else the page with what is wrong."""
    try:
        done = await act(viewer.calling(address_of(request)).who)
    except InvalidInput as error:
        return await asyncio.to_thread(_page, request, server, viewer, whose, wrong=problems(error), sent=sent())
    except Conflict as error:
        wrong = Problems({"": sentence(error.message)})
        return await asyncio.to_thread(_page, request, server, viewer, whose, wrong=wrong, status=409)
    return go(f"{whose.path}?done={done}", depth=request.scope["path"].count("/") - 1)


# The page.


def new_topic() -> str:
    """The name of an ntfy topic that nobody guesses and a thumb can type."""
    return "whmcs-" + "".join(secrets.choice(_EASY) for _ in range(16))


def listening(server_url: str | None, topic: str) -> Listening | None:
    """How the app comes to listen to *topic*; None without a server of ntfy."""
    if not server_url:
        return None
    server = urlsplit(server_url)
    plain = "?secure=false" if server.scheme == "http" else ""
    link = f"ntfy://{server.netloc}/{topic}{plain}"
    return Listening(server_url.rstrip("/"), link, qr.picture(link))


def _page(
    request: AnyRequest,
    server: Server,
    viewer: Viewer,
    whose: Whose,
    *,
    done: str = "",
    wrong: Problems | None = None,
    sent: NewForm | None = None,
    status: int = 422,
) -> Response[bytes]:
    now = server.core.clock.now()
    with server.core.database.read() as connection:
        user = store.get_user(connection, whose.user_id)
        contacts = [one for one in own.of_person(connection, user.id) if one.disabled_at is None]
        wishes = own.wishes_of(connection, user.id)
        directory = read_directory(connection, now)
    person = directory.people[user.id]
    soon = next((one for one in readiness.on_duty_soon(directory, now) if one.user_id == user.id), None)
    return screen(
        request,
        viewer,
        "settings/contacts.html",
        status=status if wrong else 200,
        here="settings",
        tab=whose.tab,
        user=user,
        own=whose.user_id == viewer.user_id and whose.tab == "contacts",
        at=whose.path,
        contacts=contacts,
        listening={one.id: listening(server.core.settings.ntfy_server_url, one.target) for one in contacts if _waits(one)},
        verified=[one for one in contacts if one.verified_at is not None],
        urgencies=_urgencies(person, wishes, contacts, now),
        wishes=wishes,
        soon=soon,
        needed=readiness.NEEDED,
        kinds=KINDS,
        offered=[(kind, KINDS[kind][0]) for kind in TYPED if kind in server.channels],
        delays=_delays(wishes),
        delay_words=_delay_words,
        sent=sent or NewForm(),
        push_key=_push_key(server) if whose.user_id == viewer.user_id else "",
        device=device(request.headers.get("user-agent", "")),
        done=done,
        wrong=wrong or Problems(),
    )


def _waits(one: ContactRow) -> bool:
    """Whether a phone may still have to be told what to listen to."""
    return one.kind == "ntfy" and one.verified_at is None


def _push_key(server: Server) -> str:
    """What a browser needs to subscribe; made at the first look at this page."""
    return server.vapid.public() if "webpush" in server.channels else ""


def _urgencies(person: Person, wishes: Wishes, contacts: list[ContactRow], now: int) -> list[Urgent]:
    names = {one.id: one.label or one.target for one in contacts}
    found = []
    for urgency, title, severity in ((Urgency.HIGH, "High and critical", 4), (Urgency.LOW, "Low and medium", 3)):
        chosen = {rule.contact: rule.delay_seconds for rule in wishes.rules if rule.urgency is urgency}
        found.append(Urgent(urgency.value, title, _said(person, severity, names, now), chosen))
    return found


def _said(person: Person, severity: int, names: dict[str, str], now: int) -> str:
    """What the engine would do now, quiet hours aside."""
    awake = msgspec.structs.replace(person, quiet=None)
    promises = sorted(person_promises(awake, severity, (), now), key=lambda promise: promise.at)
    told = [
        f"{KINDS[one.contact.kind][0]} {names.get(one.contact.id, one.contact.target)} {_delay_words((one.at - now) // SECOND)}"
        for one in promises
    ]
    return f"{'; '.join(told)}." if told else "Nothing rings: there is no verified contact."


def _delays(wishes: Wishes) -> list[int]:
    """What is offered, and what was set by other means."""
    return sorted({*DELAYS, *(rule.delay_seconds for rule in wishes.rules)})


def _delay_words(seconds: int) -> str:
    return f"after {in_words(seconds * SECOND)}" if seconds else "at once"
