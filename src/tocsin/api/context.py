"""What every handler is given: the server, who asks, the query and the body; and what each may see."""

from collections import Counter
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
from tocsin.events.sites import Site, SiteBook
from tocsin.identity.model import Caller

MAX_BODY = 1024 * 1024


class StepState(Protocol):
    """How a step of the engine is: when it last ended well (ms), why it last did not."""

    ended_at: int | None
    error: str | None


class AuditState(Protocol):
    """How the auditor is, and what it found: in words what its last look mended and could not mend, and how often by promise."""

    looked_at: int | None
    error: str | None
    mended: tuple[str, ...]
    broken: tuple[str, ...]
    left: Counter[str]
    mended_ever: Counter[str]
    alone: int


class HeartbeatState(Protocol):
    """How the calls to the dead man's switch outside go: since when they are made, the last that got through (ms), what is wrong."""

    since: int
    beat_at: int | None
    error: str | None
    held_back: str | None


@dataclass(frozen=True)
class EngineWatch:
    """The engine as the health checks see it: how often each step runs (ms), how each is, and since when (ms) that is looked at.

    ``health`` and ``auditor`` are None if the engine runs in another process, which answers for itself; ``heartbeat`` also if
    none is set up.
    """

    every: Mapping[str, int]
    health: Mapping[str, StepState] | None
    since: int
    auditor: AuditState | None = None
    heartbeat: HeartbeatState | None = None


TheServer = NamedDependency[SkipValidation[Server]]
TheWatch = NamedDependency[SkipValidation[EngineWatch]]
TheCaller = NamedDependency[SkipValidation[Caller]]
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


async def _caller(request: AnyRequest) -> Any:
    """The key or the person that the guard has let in."""
    return request.state.caller


async def _server(request: AnyRequest) -> Any:
    return request.app.state.server


async def _watch(request: AnyRequest) -> Any:
    return request.app.state.watch


# What handlers may name as arguments.
DEPENDENCIES = {
    "server": Provide(_server),
    "watch": Provide(_watch),
    "asked": Provide(_asked),
    "sent": Provide(_sent),
    "caller": Provide(_caller),
}


def visible_sites(sites: SiteBook, caller: Caller, slug: str | None) -> frozenset[int] | None:
    """The ids of the sites that *caller* asks about; None: all. Raises `NotFound` for one that is not there, or not for this caller."""
    return caller.site_ids if slug is None else frozenset({visible_site(sites, caller, slug).id})


def visible_site(sites: SiteBook, caller: Caller, slug: str) -> Site:
    """The site of this name. Raises `NotFound` if it is not there, or not for this caller."""
    if caller.site_ids is None:
        return sites.get(slug)
    site = sites.find(slug)
    if site is None or not caller.sees(site.id):
        own = ", ".join(sorted(map(sites.slug_of, caller.site_ids)))
        raise NotFound(f"there is no site {slug} for you; {f'you may see {own}' if own else 'you may see none yet'}")
    return site


def own_site(sites: SiteBook, caller: Caller) -> str:
    """The site that is meant where none is named: the caller's only one, else ``main``."""
    return sites.slug_of(min(caller.site_ids)) if caller.site_ids is not None and len(caller.site_ids) == 1 else "main"


def chosen_site(sites: SiteBook, caller: Caller, slug: str | None, field: str = "site") -> str:
    """The site that a body names in *field* (default: the caller's own, else ``main``). Raises `InvalidInput` for no such site."""
    wanted = slug or own_site(sites, caller)
    site = sites.find(wanted)
    if site is None or not caller.sees(site.id):
        raise InvalidInput.of(field, f"there is no site {wanted} for you")
    return wanted
