"""``/alerts/{ref}/why``: each decision about an alert with its reason, and a sentence for each person."""

from typing import Annotated

import msgspec
from litestar import Controller, get
from msgspec import Meta

from tocsin.alerts import queries
from tocsin.api.context import Given, InPath, TheCaller, TheServer
from tocsin.api.fields import Id, Time
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.times import to_text
from tocsin.reports import reasons, service
from tocsin.reports.reasons import Answer, Because, Someone, Story


class WhyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """About whom (default: everybody)."""

    user: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=254,
                description="A user's address or id.",
                examples=["marta@example.com"],
                extra={"must": "be a user's address or id"},
            ),
        ]
        | None
    ) = None


class PersonWhy(msgspec.Struct, frozen=True):
    """Whether one person (or a contact that is nobody's in particular) was paged, and why, or why not."""

    user: Annotated[str | None, Meta(description="The person's id; null for a contact that is nobody's in particular.")]
    email: str | None
    name: str
    paged: bool
    summary: str


class WhyStep(msgspec.Struct, frozen=True):
    """One decision, or what came of it. `what` is the history's word, or `repeated`, `message`, `attempt`, `outcome`."""

    at: Time
    what: str
    text: str
    contact: str | None
    message: Annotated[Id | None, Meta(description="The notification that it is about.")]


class WhyOut(msgspec.Struct, frozen=True):
    """Why people were told of an alert, or not, in the order of time."""

    id: Id
    number: int
    title: str
    people: list[PersonWhy]
    steps: list[WhyStep]


class WhyApi(Controller):
    """Why."""

    path = "/alerts/{ref:str}/why"
    tags = ("Alerts",)

    @get(sync_to_thread=True)
    def explain_alert(self, server: TheServer, caller: TheCaller, ref: InPath, asked: Given[WhyQuery]) -> WhyOut:
        """Says why each person was paged or was not, and each decision that led there."""
        with server.core.database.read() as connection:
            alert = queries.find(connection, ref, caller.site_ids)
            if alert is None:
                raise NotFound(f"there is no alert {ref[:40]}")
            story = service.story(connection, alert)
        return why_out(story, asked.user)


def why_out(story: Story, user: str | None) -> WhyOut:
    """The answer, about one *user* or all. Raises `InvalidInput` for one who is not there."""
    only = None if user is None else _find(story, user)
    answers = reasons.answers(story) if only is None else [reasons.answer(story, only)]
    alert = story.alert
    return WhyOut(
        alert.id, alert.number, alert.title, [_person(one) for one in answers], [_step(one) for one in reasons.explain(story, only)]
    )


def _find(story: Story, user: str) -> Someone:
    for someone in story.people:
        if someone.user_id is not None and user.lower() in (someone.email, someone.user_id):
            return someone
    raise InvalidInput.of("user", f"there is no user {user[:80]}")


def _person(one: Answer) -> PersonWhy:
    return PersonWhy(one.someone.user_id, one.someone.email, one.someone.name, one.paged, one.sentence)


def _step(one: Because) -> WhyStep:
    return WhyStep(to_text(one.at), one.what, one.text, one.contact, one.message)
