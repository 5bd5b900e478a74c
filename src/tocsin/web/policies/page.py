"""``/policies``: each as a line of steps with who would be told now; and the form that makes and changes one."""

import asyncio
from typing import Annotated, Literal

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api.context import Given
from tocsin.bootstrap import Server
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.text import whole
from tocsin.db.writer import Tx
from tocsin.escalation import rules as policy_rules, service, store
from tocsin.escalation.model import EscalationPolicy
from tocsin.escalation.service import PolicyChange
from tocsin.identity.model import Viewer
from tocsin.notify.contacts import read_directory
from tocsin.notify.plan import preview
from tocsin.notify.reach import CONTACT_KINDS, Directory, known
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.alerts.timeline import WAYS
from tocsin.web.groups import read_fields, small
from tocsin.web.pages import screen
from tocsin.web.policies import rules
from tocsin.web.policies.rules import PolicyForm, Rung, StepForm
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

RUNGS = 12  # that are drawn of one policy
DONE = {
    "made": "The policy is made. Alerts that open from now on follow it at the sites that name it.",
    "changed": "Changed. Alerts that are open keep to what they were opened with.",
    "removed": "Removed. Alerts that were opened with it keep to it.",
}


class PoliciesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """For which severity the lines are drawn."""

    severity: Literal["2", "3", "4", "5"] = "4"
    done: Literal["made", "changed", "removed"] | None = None


class Card(msgspec.Struct, frozen=True):
    """One policy on the page."""

    policy: EscalationPolicy
    sites: tuple[str, ...]
    rungs: tuple[Rung, ...]
    more: int
    own: Annotated[bool, Meta(description="Not the built-in one.")]


class PolicyPages(Controller):
    """Escalation policies."""

    path = "/policies"
    include_in_schema = False

    @get(sync_to_thread=True)
    def policies(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[PoliciesQuery]) -> Response[bytes]:
        """Draws every policy for an alert that would open now."""
        now = server.core.clock.now()
        with server.core.database.read() as connection:
            directory = read_directory(connection, now)
            cards = _cards(server, connection, directory, int(asked.severity), now)
        done = DONE.get(asked.done or "", "")
        return screen(request, viewer, "policies/list.html", here="policies", cards=cards, severity_asked=int(asked.severity), done=done)

    @get("/new", sync_to_thread=True)
    def ask(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """The form of a new policy: whoever is on call at once, the administrators a quarter of an hour later."""
        begun = PolicyForm(steps=(StepForm("0", targets=("on_call:",)), StepForm("15", targets=("admins:",))))
        return _page(request, server, viewer, None, begun, Problems(), "")

    @post("/new", status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes a policy, unless it could not reach somebody whom it names."""
        return await _save(request, server, viewer, None)

    @get("/{policy_id:str}", sync_to_thread=True)
    def edit(self, request: AnyRequest, server: TheServer, viewer: TheViewer, policy_id: InPath) -> Response[bytes]:
        """The form of a policy that there is."""
        policy = _find(server, policy_id)
        return _page(request, server, viewer, policy, rules.written(policy, _sites_with(server, policy.id)), Problems(), "")

    @post("/{policy_id:str}", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, policy_id: InPath) -> Response[bytes]:
        """Makes the next version of a policy, unless somebody else did meanwhile."""
        return await _save(request, server, viewer, await asyncio.to_thread(_find, server, policy_id))

    @post("/{policy_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, policy_id: InPath) -> Response[bytes]:
        """Takes a policy away that no site uses."""
        await form(request, NoFields)
        policy = await asyncio.to_thread(_find, server, policy_id)
        now, who = server.core.clock.now(), viewer.calling(address_of(request)).who
        try:
            await server.core.writer.run(lambda tx: service.delete(tx, who, policy.id, now))
        except Conflict as error:
            sent = rules.written(policy, _sites_with(server, policy.id))
            return await asyncio.to_thread(_page, request, server, viewer, policy, sent, Problems(remove=error.message), "")
        await asyncio.to_thread(server.core.refresh)
        return go("/policies?done=removed", depth=2)


def _find(server: Server, policy_id: str) -> EscalationPolicy:
    if not is_uuid(policy_id.lower()):
        raise NotFound(f"there is no policy {policy_id[:40]} that could be changed")
    with server.core.database.read() as connection:
        return store.definition(connection, policy_id.lower()).policy


def _sites_with(server: Server, policy_id: str) -> tuple[str, ...]:
    """The slugs of the sites whose default it is."""
    default_of = server.core.policies.default_of
    return tuple(site.slug for site in server.core.sites.all() if (default_of(site.id) or policy_rules.BUILT_IN) == policy_id)


def _cards(server: Server, connection: sa.Connection, directory: Directory, severity: int, now: int) -> list[Card]:
    found = [policy_rules.built_in(), *(one.policy for one in store.all_policies(connection))]
    sites = server.core.sites
    cards = []
    for policy in found:
        users = _sites_with(server, policy.id)
        site = next((one for one in sites.all() if one.slug in users), sites.all()[0])
        rungs = rules.ladder(preview(policy, severity, directory, site.id, now), directory, now)
        names = tuple(sites.name_of(one.id) for one in sites.all() if one.slug in users)
        cards.append(Card(policy, names, rungs[:RUNGS], max(0, len(rungs) - RUNGS), policy.id != policy_rules.BUILT_IN))
    return sorted(cards, key=lambda card: (not card.sites, card.policy.name.lower()))


async def _save(request: AnyRequest, server: Server, viewer: Viewer, policy: EscalationPolicy | None) -> Response[bytes]:
    sent = rules.form_of(read_fields(await request.body()))
    if sent.do != "save":
        return await asyncio.to_thread(_page, request, server, viewer, policy, rules.pressed(sent), Problems(), "")
    now, who = server.core.clock.now(), viewer.calling(address_of(request)).who
    sites = server.core.sites.all()

    def work(tx: Tx) -> EscalationPolicy:
        steps, repeat = rules.steps_of(sent), small(sent.repeat)
        if repeat is None:
            raise InvalidInput.of("repeat", f"must be a whole number from 0 to {policy_rules.MAX_REPEAT}")
        wanted = PolicyChange(sent.name, steps, repeat, version=None if policy is None else whole(sent.version))
        if not 1 <= len(sent.name) <= 100:
            raise InvalidInput.of("name", "must have 1 to 100 characters")
        reachable = known(read_directory(tx.sql, now))
        if policy is None:
            made = service.make(tx, who, wanted, reachable, now)
        else:
            made = service.change(tx, who, policy.id, wanted, reachable, now)
        before = store.by_site(tx.sql)
        for site in sites:
            if site.slug in sent.sites or before.get(site.id) == made.id:
                service.use_at_site(tx, who, site.id, site.slug, made.id if site.slug in sent.sites else None, now)
        return made

    try:
        await server.core.writer.run(work)
    except InvalidInput as error:
        return await asyncio.to_thread(_page, request, server, viewer, policy, sent, problems(error, rules.on_page), "")
    except Conflict as error:
        present = policy if policy is None else await asyncio.to_thread(_find, server, policy.id)
        return await asyncio.to_thread(_page, request, server, viewer, present, sent, Problems(), error.message)
    await asyncio.to_thread(server.core.refresh)
    return go(f"/policies?done={'made' if policy is None else 'changed'}", depth=1)


def _page(
    request: AnyRequest, server: Server, viewer: Viewer, policy: EscalationPolicy | None, sent: PolicyForm, wrong: Problems, conflict: str
) -> Response[bytes]:
    with server.core.database.read() as connection:
        offered = rules.offered(read_directory(connection, server.core.clock.now()))
    return screen(
        request,
        viewer,
        "policies/form.html",
        status=409 if conflict else 422 if wrong else 200,
        here="policies",
        policy=policy,
        sent=sent,
        wrong=wrong,
        conflict=conflict,
        offered=offered,
        target_names=dict(offered),
        words_of=rules.words_of,
        minutes_of=rules.minutes_of,
        ways=[(kind, WAYS[kind][1] if kind != "webpush" else "Browser push") for kind in CONTACT_KINDS],
        sites=server.core.sites.all(),
    )
