"""What providers of texts and calls tell us: receipts, keys, answers. Each request is checked to be theirs before it is read.

Whatever is not genuine, or about nothing of ours, gets the same 403.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from litestar import Controller, Request, Response, post
from litestar.background_tasks import BackgroundTask

from tocsin.api.context import InPath, TheServer
from tocsin.bootstrap import Phone, Server
from tocsin.core.errors import NotAllowed
from tocsin.core.ids import is_uuid, new_id
from tocsin.notify.model import Contact
from tocsin.notify.providers import CALLBACKS
from tocsin.notify.providers.model import Callback, Incoming, Provider, Receipt, Said, Script
from tocsin.notify.texting import MENU, parts, simple

AnyRequest = Request[Any, Any, Any]
MAX_TURNS = 2  # then nobody is there, and the line is given free
log = structlog.get_logger()


class CallbacksApi(Controller):
    """Call-backs of providers."""

    path = "/callbacks/{provider:str}"
    include_in_schema = False

    @post("/text/{message_id:str}", status_code=200)
    async def text_receipt(self, request: AnyRequest, server: TheServer, provider: InPath, message_id: InPath) -> Response[bytes]:
        """What became of a text."""
        return await _receipt(request, server, provider, message_id, lambda who, callback: who.text_receipt(callback))

    @post("/call/{message_id:str}", status_code=200)
    async def call_receipt(self, request: AnyRequest, server: TheServer, provider: InPath, message_id: InPath) -> Response[bytes]:
        """What became of a call."""
        return await _receipt(request, server, provider, message_id, lambda who, callback: who.call_receipt(callback))

    @post("/keys/{message_id:str}", status_code=200)
    async def keys(self, request: AnyRequest, server: TheServer, provider: InPath, message_id: InPath) -> Response[bytes]:
        """A key was pressed in a call, or none in time."""
        phone, who, callback = await _genuine(request, server, provider)
        pressed = who.pressed(callback)
        if pressed is None or not is_uuid(message_id):
            raise _stranger()
        heard = await server.core.writer.run(lambda tx: phone.replies.keys(tx, message_id, pressed))
        if heard is None:
            raise _stranger()
        menu = Script("", MENU, pressed.turn + 1) if heard.again and pressed.turn < MAX_TURNS else None
        return _said(who.speak(heard.text or "Goodbye." if menu is None else heard.text, menu, message_id))

    @post("/reply", status_code=200)
    async def reply(self, request: AnyRequest, server: TheServer, provider: InPath) -> Response[bytes]:
        """Somebody sent a text."""
        phone, who, callback = await _genuine(request, server, provider)
        incoming = who.incoming(callback)
        if incoming is None:
            raise _stranger()
        answer = await server.core.writer.run(lambda tx: phone.replies.text(tx, who.name, incoming))
        await asyncio.to_thread(server.core.refresh)  # STOP and START change who may be written to
        if answer is None:
            return _said(who.silence())
        said = who.answer(answer)
        if said is not None:
            return _said(said)
        return _said(who.silence(), BackgroundTask(_send, server, phone, who, incoming, answer))


async def _receipt(
    request: AnyRequest, server: Server, provider: str, message_id: str, read: Callable[[Provider, Callback], Receipt | None]
) -> Response[bytes]:
    phone, who, callback = await _genuine(request, server, provider)
    receipt = read(who, callback)
    if receipt is None:  # a state that says nothing of use; asked again it would say the same
        return _said(who.silence())
    if not is_uuid(message_id) or not await phone.receipts.take(message_id, who.name, receipt):
        raise _stranger()
    return _said(who.silence())


async def _genuine(request: AnyRequest, server: Server, name: str) -> tuple[Phone, Provider, Callback]:
    """The provider of this name and what it says, if it is set up here and it really says it. Raises `NotAllowed`."""
    phone = server.phone
    who = next((one for one in phone.providers if one.name == name), None) if phone is not None else None
    if phone is None or who is None:
        raise _stranger()
    scope = request.scope
    query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
    headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
    callback = Callback(f"{scope['path'].partition(CALLBACKS)[2]}{query}", headers, await request.body())
    if not who.is_genuine(callback, server.core.clock.now()):
        raise _stranger()
    return phone, who, callback


def _stranger() -> NotAllowed:
    return NotAllowed("this is no call-back of a provider that is set up here, or its signature does not fit")


def _said(said: Said, background: BackgroundTask | None = None) -> Response[bytes]:
    return Response(said.body, media_type=said.content_type, background=background)


async def _send(server: Server, phone: Phone, who: Provider, incoming: Incoming, answer: str) -> None:
    """Answers with a text of its own, where the provider takes no answer in place; it counts towards the limit like any other."""
    now, answer = server.core.clock.now(), simple(answer)
    message_id, contact = new_id(now), Contact("", "sms", incoming.number)
    price = server.core.settings.sms_price * parts(answer)
    till = phone.receipts.till
    if await server.core.writer.run(lambda tx: till.reserve(tx, message_id, 1, contact, price, now)) is not None:
        return
    outcome = await who.text(incoming.number, answer, message_id, now, _nothing)
    named = outcome if outcome.receipt is None else type(outcome)(outcome.result, receipt=f"{who.name} {outcome.receipt}")
    await server.core.writer.run(lambda tx: till.settle(tx, message_id, 1, named, server.core.clock.now()))
    if outcome.error:
        log.warning("an answer could not be sent", provider=who.name, reason=outcome.error)


def _nothing() -> None:
    """An answer is not repeated after a crash, so nobody notes when it leaves."""
