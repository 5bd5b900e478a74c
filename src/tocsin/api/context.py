"""What every handler is given: the server, the key that asks, the query and the body; and what each may see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, SkipValidation

from tocsin.api.problems import UnsupportedContent
from tocsin.bootstrap import Server
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.reading import read_body, read_query
from tocsin.events.sites import SiteBook
from tocsin.identity.model import ApiKey

MAX_BODY = 1024 * 1024


class StepState(Protocol):
    """How a step of the engine is: when it last ended well (ms), why it last did not."""

    ended_at: int | None
    error: str | None


@dataclass(frozen=True)
class EngineWatch:
    """The engine as the health checks see it: how often each step runs (ms), how each is, and since when (ms) that is looked at.

    ``health`` is None if the engine runs in another process, which answers for itself.
    """

    every: Mapping[str, int]
    health: Mapping[str, StepState] | None
    since: int


TheServer = NamedDependency[SkipValidation[Server]]
TheWatch = NamedDependency[SkipValidation[EngineWatch]]
TheKey = NamedDependency[ApiKey]
InPath = FromPath[str]
Item = TypeVar("Item")
Given = NamedDependency[Item]  # `Given[AlertQuery]`: handed in by name
AnyRequest = Request[Any, Any, Any]


def _shape(request: AnyRequest, name: str) -> Any:
    return request.route_handler.parsed_fn_signature.parameters[name].annotation


async def _asked(request: AnyRequest) -> Any:
    """The query string, as the struct that the handler's ``asked`` names."""
    return read_query(request.scope["query_string"], _shape(request, "asked"))


async def _sent(request: AnyRequest) -> Any:
    """The JSON body, as the struct that the handler's ``sent`` names."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    body = await request.body()
    if kind not in ("", "application/json") and body:
        raise UnsupportedContent("Send application/json: an object with the fields that the reference names")
    return read_body(body, _shape(request, "sent"))


async def _key(request: AnyRequest) -> Any:
    """The key that the guard has found good for this route."""
    return request.state.key


def dependencies(server: Server, watch: EngineWatch) -> dict[str, Provide]:
    """What handlers may name as arguments."""
    return {
        "server": Provide(lambda: server, sync_to_thread=False, use_cache=True),
        "watch": Provide(lambda: watch, sync_to_thread=False, use_cache=True),
        "asked": Provide(_asked),
        "sent": Provide(_sent),
        "key": Provide(_key),
    }


def visible_site(sites: SiteBook, key: ApiKey, slug: str | None) -> int | None:
    """The id of the site that *key* asks about; None: all. Raises `NotFound` for one that is not there, or not for this key."""
    if key.site is not None:
        if slug not in (None, key.site):
            raise NotFound(f"there is no site {slug} for this key; it is for {key.site}")
        return key.site_id
    return None if slug is None else sites.get(slug).id


def chosen_site(sites: SiteBook, key: ApiKey, slug: str | None) -> str:
    """The site that a body names (default: the key's own, else ``main``). Raises `InvalidInput` for one that *key* cannot use."""
    wanted = slug or key.site or "main"
    if sites.find(wanted) is None or key.site not in (None, wanted):
        raise InvalidInput.of("site", f"there is no site {wanted} for this key")
    return wanted


def actor(key: ApiKey) -> str:
    """How the history names what a key did."""
    return f"key:{key.name}"
