"""``/users/{user_id}/notification-rules`` and ``/users/me/notification-rules``: how a person wants to be told, and when not."""

from datetime import time
from typing import Annotated, Literal

import msgspec
from litestar import Controller, get, put
from msgspec import Meta

from tocsin.api.contacts import written
from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.fields import Id
from tocsin.api.users import own_id
from tocsin.audit.model import Who
from tocsin.bootstrap import Server
from tocsin.identity import store
from tocsin.notify import own
from tocsin.notify.reach import PersonRule, QuietHours, Urgency
from tocsin.notify.wishes import MAX_DELAY, MAX_RULES, Wishes

Clock = Annotated[
    str,
    Meta(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
        description="Wall-clock time in the person's time zone.",
        examples=["22:00"],
        extra={"must": "be a time of day such as 22:00"},
    ),
]


class RuleShape(msgspec.Struct, frozen=True, kw_only=True):
    """Of alerts of this urgency, tell me on this contact, so long after a step of the policy names me."""

    urgency: Annotated[
        Literal["high", "low"], Meta(description="`high`: severity 4 and 5. `low`: the others.", extra={"must": "be high or low"})
    ]
    contact: Annotated[Id, Meta(max_length=36, description="One of the person's, verified.", extra={"must": "be a contact's id"})]
    delay_seconds: Annotated[int, Meta(ge=0, le=MAX_DELAY, extra={"must": f"be a whole number from 0 to {MAX_DELAY} (one day)"})] = 0


class QuietShape(msgspec.Struct, frozen=True, kw_only=True):
    """When only severity 5 gets through; the rest waits until they end. They may reach over midnight."""

    begins: Clock
    ends: Clock


class WishesIn(msgspec.Struct, frozen=True, kw_only=True):
    """All of it: what is left out is taken away."""

    rules: Annotated[list[RuleShape], Meta(max_length=MAX_RULES, extra={"must": f"be a list of at most {MAX_RULES} rules"})] = []
    quiet_hours: QuietShape | None = None


class WishesOut(msgspec.Struct, frozen=True):
    """How a person is told. No rule for an urgency: on the contacts that the severity asks for, at once."""

    rules: list[RuleShape]
    quiet_hours: QuietShape | None
    time_zone: Annotated[str, Meta(description="The person's own: quiet hours are of it.")]


class OwnWishesApi(Controller):
    """One's own rules."""

    path = "/users/me/notification-rules"
    tags = ("Users",)

    @get(sync_to_thread=True)
    def show_my_rules(self, server: TheServer, caller: TheCaller) -> WishesOut:
        """Shows how you are told."""
        return shown(server, own_id(caller))

    @put()
    async def set_my_rules(self, server: TheServer, caller: TheCaller, sent: Given[WishesIn]) -> WishesOut:
        """Sets how you are told, in the place of what was."""
        return await _put(server, caller.who, own_id(caller), sent)


class WishesApi(Controller):
    """Rules of people, for administrators."""

    path = "/users/{user_id:str}/notification-rules"
    tags = ("Users",)

    @get(sync_to_thread=True)
    def show_rules_of_user(self, server: TheServer, user_id: InPath) -> WishesOut:
        """Shows how a person is told."""
        return shown(server, user_id.lower())

    @put()
    async def set_rules_of_user(self, server: TheServer, caller: TheCaller, user_id: InPath, sent: Given[WishesIn]) -> WishesOut:
        """Sets how a person is told, in the place of what was."""
        return await _put(server, caller.who, user_id.lower(), sent)


def shown(server: Server, user_id: str) -> WishesOut:
    """How a person is told. Raises `NotFound`."""
    with server.core.database.read() as connection:
        zone = store.get_user(connection, user_id).time_zone
        wishes = own.wishes_of(connection, user_id)
    rules = [RuleShape(urgency=rule.urgency.value, contact=rule.contact, delay_seconds=rule.delay_seconds) for rule in wishes.rules]
    quiet = wishes.quiet
    return WishesOut(rules, None if quiet is None else QuietShape(begins=f"{quiet.begins:%H:%M}", ends=f"{quiet.ends:%H:%M}"), zone)


async def put_wishes(server: Server, who: Who, user_id: str, wanted: Wishes) -> None:
    """Puts them in the place of what was. Raises `NotFound`, `InvalidInput`."""
    now = server.core.clock.now()
    await written(server, lambda tx: own.set_wishes(tx, who, user_id, wanted, now))


async def _put(server: Server, who: Who, user_id: str, sent: WishesIn) -> WishesOut:
    rules = tuple(PersonRule(Urgency(rule.urgency), rule.contact.lower(), rule.delay_seconds) for rule in sent.rules)
    quiet = None if sent.quiet_hours is None else QuietHours(read_clock(sent.quiet_hours.begins), read_clock(sent.quiet_hours.ends))
    await put_wishes(server, who, user_id, Wishes(rules, quiet))
    return shown(server, user_id)


def read_clock(text: str) -> time:
    """``22:00``. Raises `ValueError`."""
    hours, _, minutes = text.partition(":")
    return time(int(hours), int(minutes))
