"""``GET /stream``: what has just happened, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, get
from litestar.datastructures import State
from litestar.response import Stream
from msgspec import Meta

from tocsin.api.chunks import write_past
from tocsin.api.context import Given, TheCaller, TheServer, visible_sites
from tocsin.api.fields import Slug
from tocsin.stream.hub import Hub, Listener
from tocsin.stream.model import Topic

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}

Topics = Annotated[
    str,
    Meta(
        pattern=r"^(alert|event|check|summary)(,(alert|event|check|summary))*$",
        max_length=60,
        description="What to hear of, with commas between: `alert`, `event`, `check`, `summary`.",
        examples=["alert,event"],
        extra={"must": "be one or more of alert, event, check, summary, with commas between"},
    ),
]


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to listen to."""

    topics: Topics = "alert,event,check"
    site: Slug | None = None
    last_event_id: (
        Annotated[str, Meta(max_length=40, description="Like the header `Last-Event-ID`, for programs that cannot send it.")] | None
    ) = None


class StreamApi(Controller):
    """The stream."""

    tags = ("Stream",)

    @get("/stream", media_type="text/event-stream", opt={"produces": "text/event-stream"})
    async def stream(self, request: Request[Any, Any, State], server: TheServer, caller: TheCaller, asked: Given[StreamQuery]) -> Stream:
        """Sends what happens as it happens, as server-sent events, until you go.

        `event: alert` has an alert as it now is, whenever it changed; `event: event` an event that came in; `event: check` a
        check whose status or definition has changed; `event: reload` says that
        more happened than is sent one by one: read the list again. `id` is the place in the stream: with it as `Last-Event-ID` you are
        sent what you missed. What you have heard may come again; nothing is left out without a `reload`.
        """
        hub: Hub = request.app.state.hub
        listener = Listener(
            visible_sites(server.core.sites, caller, asked.site),
            _topics(asked.topics),
            lambda: request.app.state.guard(request, request.route_handler),
            write_past(request.scope),
        )
        chunks = await hub.listen(listener, request.headers.get("last-event-id") or asked.last_event_id)
        return Stream(_until_gone(chunks), media_type="text/event-stream", headers=HEADERS)


@lru_cache(maxsize=64)  # one for all who ask alike: a thousand of the same are told apart by nothing
def _topics(text: str) -> frozenset[Topic]:
    return frozenset(Topic(word) for word in text.split(","))


async def _until_gone(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield chunk
    except asyncio.CancelledError:
        await chunks.aclose()  # type: ignore[attr-defined]  # a generator
        raise
