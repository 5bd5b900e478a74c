"""``/thresholds``: when a measured value is a problem."""

from typing import Annotated, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from tocsin.api.context import Given, InPath, TheCaller, TheServer, visible_site
from tocsin.api.fields import Cursor, Host, Limit, Page, Slug, Time
from tocsin.api.muting import write
from tocsin.api.paging import cut_page, read_cursor
from tocsin.bootstrap import Server
from tocsin.core.clock import SECOND
from tocsin.core.errors import InvalidInput
from tocsin.core.ids import new_id
from tocsin.core.times import to_text
from tocsin.db.writer import Tx
from tocsin.identity.model import Caller
from tocsin.thresholds import service
from tocsin.thresholds.model import Direction, Threshold

Metric = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$",
        description="The name of a metric.",
        examples=["disk_percent"],
        extra={"must": "be the name of a metric: letters, digits and underscores, such as disk_percent"},
    ),
]
Labels = Annotated[
    dict[str, str],
    Meta(max_length=10, description="Labels that a series must have.", extra={"must": 'be an object of texts, such as {"mount": "/var"}'}),
]
WarningLimit = Annotated[float, Meta(description="From this value on: severity 3.", extra={"must": "be a number, such as 85"})]
CriticalLimit = Annotated[float, Meta(description="From this value on: severity 4.", extra={"must": "be a number, such as 95"})]
Clear = Annotated[
    float,
    Meta(
        description="Behind this value it is over; between it and the limit nothing changes. Null: a twentieth of the limit behind it.",
        extra={"must": "be a number, such as 80"},
    ),
]
Lasts = Annotated[
    int,
    Meta(ge=0, le=86_400, description="So long must values stay beyond a limit.", extra={"must": "be a whole number from 0 to 86400"}),
]
Missing = Annotated[
    int,
    Meta(
        ge=60,
        le=604_800,
        description="After so long without a sample that is told, too. Null: never.",
        extra={"must": "be a whole number from 60 to 604800"},
    ),
]


class ThresholdQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which, and how many."""

    site: Slug | None = None
    metric: Metric | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class NewThreshold(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold. Of those that fit a series the most specific holds: it names the host, then more labels, then the site."""

    metric: Metric
    site: Slug | None = None
    host: Host | None = None
    labels: Labels = {}
    direction: Literal["above", "below"] = "above"
    warning: WarningLimit | None = None
    critical: CriticalLimit | None = None
    clear: Clear | None = None
    for_seconds: Lasts = 0
    missing_seconds: Missing | None = None
    enabled: bool = True


class ThresholdChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays. What it is about stays: make another one for something else."""

    warning: WarningLimit | UnsetType | None = UNSET
    critical: CriticalLimit | UnsetType | None = UNSET
    clear: Clear | UnsetType | None = UNSET
    for_seconds: Lasts | UnsetType = UNSET
    missing_seconds: Missing | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class ThresholdOut(msgspec.Struct, frozen=True):
    """A threshold."""

    id: Annotated[str, Meta(description="Of one that the settings make: `default:` and the metric.")]
    metric: str
    site: Annotated[str | None, Meta(description="Null: every site.")]
    host: Annotated[str | None, Meta(description="Null: every host.")]
    labels: dict[str, str]
    direction: str
    warning: float | None
    critical: float | None
    clear: float | None
    for_seconds: int
    missing_seconds: int | None
    enabled: bool
    origin: Annotated[Literal["settings", "user"], Meta(description="Who made it.")]
    created_by: str | None
    created_at: Time | None
    updated_at: Time | None


class ThresholdPage(Page, frozen=True):
    """A page of thresholds: the newest first, those of the settings last."""

    items: list[ThresholdOut]


class ThresholdsApi(Controller):
    """Thresholds."""

    path = "/thresholds"
    tags = ("Metrics",)

    @get(sync_to_thread=True)
    def list_thresholds(self, server: TheServer, caller: TheCaller, asked: Given[ThresholdQuery]) -> ThresholdPage:
        """Lists the thresholds, the newest first; those of the settings come last."""
        after = read_cursor(asked.cursor, "threshold", (str,))
        site = None if asked.site is None else visible_site(server.core.sites, caller, asked.site)
        found = [
            one
            for one in server.core.thresholds.all()
            if service.sees(one, caller.site_ids)
            and asked.metric in (None, one.metric)
            and (site is None or one.site_id in (None, site.id))
        ]
        if after is not None:
            places = [place for place, one in enumerate(found) if _is_after(one, after[0])]
            found = [found[place] for place in places]
        items, cursor = cut_page(found[: asked.limit + 1], asked.limit, "threshold", lambda one: (one.id,))
        return ThresholdPage(cursor, [_out(server, one) for one in items])

    @get("/{threshold_id:str}", sync_to_thread=True)
    def show_threshold(self, server: TheServer, caller: TheCaller, threshold_id: InPath) -> ThresholdOut:
        """Shows one threshold."""
        for one in server.core.thresholds.all():
            if one.is_default and one.id == threshold_id:
                return _out(server, one)
        with server.core.database.read() as connection:
            return _out(server, service.find(connection, threshold_id, caller.site_ids))

    @post(status_code=201, opt={"conflict": True})
    async def add_threshold(self, server: TheServer, caller: TheCaller, sent: Given[NewThreshold]) -> ThresholdOut:
        """Makes a threshold. It judges samples that come from now on."""
        return _out(server, await make(server, caller, sent))

    @patch("/{threshold_id:str}", opt={"conflict": True})
    async def change_threshold(
        self, server: TheServer, caller: TheCaller, threshold_id: InPath, sent: Given[ThresholdChange]
    ) -> ThresholdOut:
        """Changes a threshold; the next sample is judged by it. One that is switched off has what it told resolved."""
        return _out(server, await change(server, caller, threshold_id, sent))

    @delete("/{threshold_id:str}", status_code=204, opt={"conflict": True})
    async def remove_threshold(self, server: TheServer, caller: TheCaller, threshold_id: InPath) -> None:
        """Removes a threshold; what it told is resolved, and the next sample is judged by what holds instead."""
        await remove(server, caller, threshold_id)


# What the page does, too.


async def make(server: Server, caller: Caller, sent: NewThreshold) -> Threshold:
    """A new one. Raises `InvalidInput`, `Conflict`."""
    now = server.core.clock.now()
    site_id = None if sent.site is None else _site_id(server, sent.site)
    made = Threshold(
        new_id(now),
        site_id,
        None if sent.host is None else sent.host.lower(),
        sent.metric,
        dict(sorted(sent.labels.items())),
        Direction(sent.direction),
        sent.warning,
        sent.critical,
        sent.clear,
        sent.for_seconds * SECOND,
        None if sent.missing_seconds is None else sent.missing_seconds * SECOND,
        sent.enabled,
        caller.name,
        now,
        now,
    )
    return await write(server, lambda tx: service.make(tx, caller.who, made, now))


async def change(server: Server, caller: Caller, threshold_id: str, sent: ThresholdChange, seen: str | None = None) -> Threshold:
    """The threshold as it then is; what one told that is switched off is over. Raises `NotFound`, `InvalidInput`, `Conflict`."""
    now, wanted = server.core.clock.now(), _wanted(sent)

    def work(tx: Tx) -> Threshold:
        changed = service.change(tx, caller.who, threshold_id, wanted, now, seen)
        if not changed.enabled:
            server.core.judge.release(tx, changed)
        return changed

    return await write(server, work)


async def remove(server: Server, caller: Caller, threshold_id: str) -> None:
    """Takes one away; what it told is over. Raises `NotFound`, `Conflict`."""
    now = server.core.clock.now()
    await write(server, lambda tx: server.core.judge.release(tx, service.remove(tx, caller.who, threshold_id, now)))


def _is_after(one: Threshold, last: str) -> bool:
    """Whether *one* comes after the threshold *last* in the list: the newest first, then those of the settings by their names."""
    if one.is_default != last.startswith("default:"):
        return one.is_default
    return one.id > last if one.is_default else one.id < last


def _site_id(server: Server, slug: str) -> int:
    site = server.core.sites.find(slug)
    if site is None:
        raise InvalidInput.of("site", f"there is no site {slug}")
    return site.id


def _wanted(sent: ThresholdChange) -> dict[str, object]:
    given = {name: value for name, value in msgspec.structs.asdict(sent).items() if value is not UNSET}
    if not given:
        raise InvalidInput.of("body", f"names nothing to change; known are {', '.join(sent.__struct_fields__)}")
    names = {"for_seconds": "lasts", "missing_seconds": "missing"}
    return {names.get(name, name): value * SECOND if name in names and value is not None else value for name, value in given.items()}


def _out(server: Server, found: Threshold) -> ThresholdOut:
    is_default = found.is_default
    return ThresholdOut(
        found.id,
        found.metric,
        None if found.site_id is None else server.core.sites.slug_of(found.site_id),
        found.host,
        dict(found.labels),
        found.direction.value,
        found.warning,
        found.critical,
        found.clear,
        found.lasts // SECOND,
        None if found.missing is None else found.missing // SECOND,
        found.enabled,
        "settings" if is_default else "user",
        None if is_default else found.created_by,
        None if is_default else to_text(found.created_at),
        None if is_default else to_text(found.updated_at),
    )
