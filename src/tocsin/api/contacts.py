"""``/users/{user_id}/contacts`` and ``/users/me/contacts``: on which ways a person is told. A code proves each."""

import asyncio
from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from litestar import Controller, delete, get, patch, post
from msgspec import Meta

from tocsin.api import shapes
from tocsin.api.channels import ChannelKind, TargetText, Tried
from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.fields import Time
from tocsin.api.shapes import ContactOut, ContactPage
from tocsin.api.users import own_id
from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.bootstrap import Server
from tocsin.core.errors import Conflict, InvalidInput
from tocsin.core.text import counted
from tocsin.core.times import to_text
from tocsin.db.writer import Tx
from tocsin.notify import codes, own
from tocsin.notify.codes import Judged
from tocsin.notify.model import Contact, Outcome, Result as Came
from tocsin.notify.own import Change, Checked
from tocsin.notify.queries import Person
from tocsin.notify.targets import Target, read_target

MAX_LABEL, MAX_PLACE = 100, 1_000
GONE = (Came.SENT, Came.UNKNOWN)  # it has left: a code may come

Result = TypeVar("Result")

Label = Annotated[str, Meta(max_length=MAX_LABEL, description="What the person calls it.", extra={"must": "have at most 100 characters"})]


class OwnNewContact(msgspec.Struct, frozen=True, kw_only=True):
    """A way to reach oneself. A code goes there at once; once it has come back, alerts do."""

    kind: ChannelKind
    target: TargetText
    label: Label = ""


class NewContact(OwnNewContact, frozen=True, kw_only=True):
    """A way to reach a person. A code goes there, unless an administrator says that it is the person's."""

    verified: bool = False


class ContactChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different. Another address is another contact, which has to be proved anew."""

    label: Label | None = None
    place: Annotated[int, Meta(ge=0, le=MAX_PLACE, extra={"must": f"be a whole number from 0 to {MAX_PLACE}"})] | None = None


class TypedCode(msgspec.Struct, frozen=True, kw_only=True):
    """The code that came."""

    code: Annotated[str, Meta(min_length=1, max_length=40, examples=["123456"], extra={"must": "be the six digits that were sent"})]


class CodeOut(msgspec.Struct, frozen=True):
    """Whether a code is on its way. The code itself is shown nowhere but there."""

    sent: bool
    expires_at: Time
    error: Annotated[str | None, Meta(description="Why it was not sent, or may not have arrived.")] = None


class NewContactOut(ContactOut, frozen=True):
    """A contact just made. `code` null: it needs none."""

    code: CodeOut | None


class WebPushOut(msgspec.Struct, frozen=True):
    """What a browser needs to subscribe: `applicationServerKey`."""

    public_key: Annotated[str, Meta(description="A point of P-256 in URL-safe base64, the same for all browsers of this installation.")]


class WebPushApi(Controller):
    """Web push."""

    path = "/users/me/web-push"
    tags = ("Users",)

    @get(sync_to_thread=True)
    def show_web_push(self, server: TheServer) -> WebPushOut:
        """Shows the key with which your browser subscribes. The subscription then is the `target` of a contact of kind `webpush`."""
        return WebPushOut(server.vapid.public())


class OwnContactsApi(Controller):
    """One's own contacts."""

    path = "/users/me/contacts"
    tags = ("Users",)

    @get(sync_to_thread=True)
    def list_my_contacts(self, server: TheServer, caller: TheCaller) -> ContactPage:
        """Lists your contacts in their order, removed ones too."""
        return _listed(server, own_id(caller))

    @post(status_code=201, opt={"conflict": True})
    async def add_my_contact(self, server: TheServer, caller: TheCaller, sent: Given[OwnNewContact]) -> NewContactOut:
        """Makes a contact of yours and sends a code there."""
        return await add(server, caller.who, own_id(caller), sent, verified=False)

    @patch("/{contact_id:str}")
    async def change_my_contact(self, server: TheServer, caller: TheCaller, contact_id: InPath, sent: Given[ContactChange]) -> ContactOut:
        """Changes what it is called, and its place among yours."""
        return await _change(server, caller.who, own_id(caller), contact_id, sent)

    @delete("/{contact_id:str}", status_code=204)
    async def remove_my_contact(self, server: TheServer, caller: TheCaller, contact_id: InPath) -> None:
        """Has a contact written to no more; what waits for it goes to your others."""
        await remove(server, caller.who, own_id(caller), contact_id)

    @post("/{contact_id:str}/code", status_code=200, opt={"conflict": True})
    async def send_my_code(self, server: TheServer, caller: TheCaller, contact_id: InPath) -> CodeOut:
        """Sends a new code; the one before counts no more."""
        return await send_code(server, caller.who, own_id(caller), contact_id)

    @post("/{contact_id:str}/verify", status_code=200, opt={"conflict": True})
    async def verify_my_contact(self, server: TheServer, caller: TheCaller, contact_id: InPath, sent: Given[TypedCode]) -> ContactOut:
        """Proves with the code that it is yours."""
        return await verify(server, caller.who, own_id(caller), contact_id, sent.code)

    @post("/{contact_id:str}/test", status_code=200, opt={"conflict": True})
    async def test_my_contact(self, server: TheServer, caller: TheCaller, contact_id: InPath) -> Tried:
        """Sends a test message at once, and says how that ended."""
        return await try_out(server, caller.who, own_id(caller), contact_id)


class ContactsApi(Controller):
    """Contacts of people, for administrators."""

    path = "/users/{user_id:str}/contacts"
    tags = ("Users",)

    @get(sync_to_thread=True)
    def list_contacts_of_user(self, server: TheServer, user_id: InPath) -> ContactPage:
        """Lists a person's contacts in their order, removed ones too."""
        return _listed(server, user_id.lower())

    @post(status_code=201, opt={"conflict": True})
    async def add_contact(self, server: TheServer, caller: TheCaller, user_id: InPath, sent: Given[NewContact]) -> NewContactOut:
        """Makes a contact of a person, and sends a code there unless `verified`."""
        return await add(server, caller.who, user_id.lower(), sent, verified=sent.verified)

    @patch("/{contact_id:str}")
    async def change_contact(
        self, server: TheServer, caller: TheCaller, user_id: InPath, contact_id: InPath, sent: Given[ContactChange]
    ) -> ContactOut:
        """Changes what it is called, and its place among the person's."""
        return await _change(server, caller.who, user_id.lower(), contact_id, sent)

    @delete("/{contact_id:str}", status_code=204)
    async def remove_contact(self, server: TheServer, caller: TheCaller, user_id: InPath, contact_id: InPath) -> None:
        """Has a contact written to no more; what waits for it goes to the others."""
        await remove(server, caller.who, user_id.lower(), contact_id)

    @post("/{contact_id:str}/code", status_code=200, opt={"conflict": True})
    async def send_code(self, server: TheServer, caller: TheCaller, user_id: InPath, contact_id: InPath) -> CodeOut:
        """Sends a new code; the one before counts no more."""
        return await send_code(server, caller.who, user_id.lower(), contact_id)

    @post("/{contact_id:str}/verify", status_code=200, opt={"conflict": True})
    async def verify_contact(
        self, server: TheServer, caller: TheCaller, user_id: InPath, contact_id: InPath, sent: Given[TypedCode]
    ) -> ContactOut:
        """Proves with the code that it is the person's."""
        return await verify(server, caller.who, user_id.lower(), contact_id, sent.code)

    @post("/{contact_id:str}/test", status_code=200, opt={"conflict": True})
    async def test_contact(self, server: TheServer, caller: TheCaller, user_id: InPath, contact_id: InPath) -> Tried:
        """Sends a test message at once, and says how that ended."""
        return await try_out(server, caller.who, user_id.lower(), contact_id)


# The pages do the same.


async def add(server: Server, who: Who, user_id: str, sent: OwnNewContact, *, verified: bool) -> NewContactOut:
    """Makes a contact and, unless it counts as *verified*, sends a code there."""
    target, now, label = _target(server, sent.kind, sent.target), server.core.clock.now(), sent.label.strip()
    made = await written(server, lambda tx: own.add(tx, who, user_id, sent.kind, target, label, now, verified=verified))
    code = None if verified else await _first_code(server, who, user_id, made.id)
    return NewContactOut(*shapes.contact_fields(made), code)


async def _first_code(server: Server, who: Who, user_id: str, contact_id: str) -> CodeOut:
    """The contact is made whether a code can be sent now or not."""
    try:
        return await send_code(server, who, user_id, contact_id)
    except Conflict as error:
        return CodeOut(sent=False, expires_at=to_text(server.core.clock.now()), error=error.message)


async def send_code(server: Server, who: Who, user_id: str, contact_id: str) -> CodeOut:
    """Sends a code. Raises `NotFound`, and `Conflict` if that is not to be done now."""
    now, where = server.core.clock.now(), contact_id.lower()

    def work(tx: Tx) -> tuple[str, Contact]:
        return own.issue_code(tx, who, user_id, where, server.secret, now), own.address_of(tx.sql, where)

    code, contact = await server.core.writer.run(work)
    outcome = await server.trial.say(contact, *codes.words(code, contact.kind))
    return CodeOut(sent=outcome.result in GONE, expires_at=to_text(now + codes.LASTS), error=outcome.error)


async def verify(server: Server, who: Who, user_id: str, contact_id: str, code: str) -> ContactOut:
    """Proves a contact. Raises `NotFound`, `InvalidInput` for a wrong code, `Conflict` if there is none to compare with."""
    now, where = server.core.clock.now(), contact_id.lower()

    def work(tx: Tx) -> Checked:
        return own.check_code(tx, who, user_id, where, code, server.secret, now)

    checked = await written(server, work)
    match checked.judged:
        case Judged.RIGHT:
            return await asyncio.to_thread(_shown, server, user_id, where)
        case Judged.WRONG:
            raise InvalidInput.of("code", f"{checked.judged.value}; {counted(checked.tries_left, 'attempt')} left")
        case _:
            raise Conflict(f"the code {checked.judged.value}")


async def try_out(server: Server, who: Who, user_id: str, contact_id: str) -> Tried:
    """Sends a test message to a contact that is verified. Raises `NotFound`, `Conflict`."""
    where = contact_id.lower()

    def look() -> Contact:
        with server.core.database.read() as connection:
            if own.find(connection, user_id, where).verified_at is None:
                raise Conflict("the contact is not verified yet: type its code first")
            return own.address_of(connection, where)

    contact = await asyncio.to_thread(look)
    outcome: Outcome = await server.trial(contact, who.name)
    if outcome.gone:
        await remove(server, who, user_id, where)
    now, came_to = server.core.clock.now(), {"kind": contact.kind, "target": contact.target, "result": outcome.result}
    await server.core.writer.run(lambda tx: audit.record(tx, who, "contact.tested", f"contact:{where}", now, after=came_to))
    return Tried(contact.id, contact.kind, contact.target, outcome.result.value, outcome.error)


async def remove(server: Server, who: Who, user_id: str, contact_id: str) -> None:
    """Has a contact written to no more. Raises `NotFound`."""
    now = server.core.clock.now()
    await written(server, lambda tx: own.remove(tx, who, user_id, contact_id.lower(), now))


async def _change(server: Server, who: Who, user_id: str, contact_id: str, sent: ContactChange) -> ContactOut:
    now, wanted = server.core.clock.now(), Change(None if sent.label is None else sent.label.strip(), sent.place)
    return shapes.contact_out(await written(server, lambda tx: own.change(tx, who, user_id, contact_id.lower(), wanted, now)))


async def written(server: Server, work: Callable[[Tx], Result]) -> Result:
    """Does *work*; messages made after this go by it."""
    done = await server.core.writer.run(work)
    await asyncio.to_thread(server.core.refresh)
    return done


def _target(server: Server, kind: str, text: str) -> Target:
    if kind not in own.PERSONAL:
        raise InvalidInput.of("kind", f"must be one of {', '.join(own.PERSONAL)}: {kind} tells a program, and belongs to a channel")
    if kind not in server.channels:
        raise InvalidInput.of("kind", f"{kind} is not set up here: docs/reference/channels.md says which setting it needs")
    return read_target(kind, text, private=server.core.settings.private_targets)


def _listed(server: Server, user_id: str) -> ContactPage:
    with server.core.database.read() as connection:
        return ContactPage(None, [shapes.contact_out(one) for one in own.of_person(connection, user_id)])


def _shown(server: Server, user_id: str, contact_id: str) -> ContactOut:
    with server.core.database.read() as connection:
        found: Person = own.find(connection, user_id, contact_id)
    return shapes.contact_out(found)
