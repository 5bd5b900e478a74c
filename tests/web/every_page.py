"""Every page that there is, by the name of its picture: what `make screenshots` takes and what axe looks at.

A page that is not here fails `test_every_page.py`.
"""

from typing import Any

import sqlalchemy as sa

from tests import showcase
from tests.web.site import Site
from tests.world import World
from tocsin.checks import store as checks
from tocsin.db import tables
from tocsin.identity import service as identity
from tocsin.identity.model import Role
from tocsin.notify import links

PAGES = {
    "overview": "/",
    "alerts": "/alerts",
    "alerts-acknowledged": "/alerts?status=acknowledged",
    "alerts-resolved": "/alerts?status=resolved",
    "alerts-nothing-found": "/alerts?q=no+such+thing",
    "alert-down": "/alerts/{down}",
    "alert-resolved": "/alerts/{resolved}",
    "events": "/events",
    "events-one-type": "/events?type=invoice.",
    "events-nothing-found": "/events?q=no+such+thing",
    "event": "/events/{event}",
    "sources": "/events/sources",
    "quarantine": "/events/quarantine",
    "analytics": "/analytics",
    "checks": "/checks",
    "check-down": "/checks/{check}",
    "check-new": "/checks/new",
    "check-change": "/checks/{check}/edit",
    "availability": "/availability",
    "availability-sites": "/availability?by=site&days=90",
    "hosts": "/hosts",
    "host": "/hosts/{host}",
    "explore": "/explore",
    "explore-several": "/explore?show=cpu_percent@srv-12|cpu_percent@srv-09|load_1m@srv-09&range=24h",
    "heartbeats": "/heartbeats",
    "heartbeat-failed": "/heartbeats/{job}",
    "heartbeat-new": "/heartbeats/new",
    "heartbeat-change": "/heartbeats/{job}/edit",
    "oncall": "/oncall",
    "oncall-month": "/oncall?by=month",
    "oncall-override": "/oncall/{schedule}/override",
    "oncall-swap": "/oncall/{schedule}/swap",
    "oncall-schedule": "/oncall/{schedule}/edit",
    "oncall-schedule-new": "/oncall/new",
    "oncall-calendars": "/oncall/calendars",
    "teams": "/oncall/teams",
    "team": "/oncall/teams/{team}",
    "team-new": "/oncall/teams/new",
    "policies": "/policies",
    "policy": "/policies/{policy}",
    "policy-new": "/policies/new",
    "rules": "/rules",
    "rule": "/rules/{rule}",
    "rule-new": "/rules/new",
    "quiet": "/silences",
    "silence": "/silences/silence/{silence}",
    "silence-new": "/silences/new?host=srv-12",
    "maintenance-new": "/silences/new?kind=maintenance",
    "dependency": "/dependencies/{dependency}",
    "dependency-new": "/dependencies/new",
    "welcome-whmcs": "/welcome?step=whmcs",
    "welcome-phone": "/welcome?step=phone",
    "welcome-test": "/welcome?step=test",
    "settings-health": "/settings/health",
    "settings-sites": "/settings/sites",
    "settings-site": "/settings/sites/nordlicht?q=invoice.p",
    "settings-catalogue-row": "/settings/sites/nordlicht/invoice.payment_failed",
    "settings-exporters": "/settings/exporters",
    "settings-thresholds": "/settings/thresholds",
    "settings-channels": "/settings/channels",
    "settings-people": "/settings/people",
    "settings-person": "/settings/people/{person}",
    "settings-person-contacts": "/settings/people/{person}/contacts",
    "settings-invite": "/settings/people/new",
    "settings-keys": "/settings/keys",
    "settings-audit": "/settings/audit",
    "settings-contacts": "/settings/contacts",
    "settings-me": "/settings/me",
    "not-there": "/settings/me/second-factor",
    "api-docs": "/api/docs",
    "design": "/design",
}
# What somebody sees who is not logged in.
STRANGERS = {
    "login": "/login",
    "reset": "/reset",
    "action-link": "/a/{link}",
    "link-dead": "/a/nonsense",
    "setup-dead": "/setup/nonsense",
    "invite-dead": "/invite/nonsense",
    "reset-dead": "/reset/nonsense",
}
MAY_NOT = {"not-yours": "/rules/new"}  # what a responder sees of an administrator's page
# The same pages on the first day, when there is nothing to show.
EMPTY = {
    f"empty-{name}": PAGES[name]
    for name in (
        *("overview", "alerts", "events", "sources", "quarantine", "analytics", "checks", "availability", "hosts", "heartbeats"),
        *("oncall", "teams", "policies", "rules", "quiet", "settings-health", "settings-sites", "settings-exporters"),
        *("settings-thresholds", "settings-channels", "settings-people", "settings-keys", "settings-audit", "settings-contacts"),
    )
}
ALL = (PAGES, STRANGERS, MAY_NOT, EMPTY)
# What is no page: what scripts ask for, files, and addresses that only lead on.
NO_PAGE = (
    *("/static/{name}", "/favicon.ico", "/robots.txt", "/manifest.webmanifest", "/sw.js", "/settings"),
    *("/health", "/live", "/ready", "/metrics", "/api/openapi.json", "/ical/{token}"),
    *("/events/volume", "/checks/{check_id}/times", "/hosts/{host_id}/charts/{key}", "/explore/chart"),
)


async def first_day(world: World) -> None:
    """One administrator, and nothing else."""
    world.clock.at = showcase.NOW

    def work(tx: Any) -> None:
        identity.add_user(tx, showcase.MARTA, showcase.PEOPLE[showcase.MARTA], Role.ADMIN, None, showcase.NOW)
        tx.sql.execute(sa.update(tables.users).values(time_zone="Europe/Berlin"))

    await world.write(work)


def known(site: Site) -> dict[str, str]:
    """The ids of the showcase that addresses name."""
    world = site.service.world

    def one(table: sa.Table, **fields: str) -> str:
        wanted = [table.c[name] == value for name, value in fields.items()]
        return str(world.rows(sa.select(table.c.id).where(*wanted).order_by(table.c.id).limit(1))[0][0])

    with world.core.database.read() as connection:
        watched = checks.of_sites(connection, None)
    down = showcase.find(world, "srv-12 is down").number
    message = world.rows(sa.select(tables.outbox.c.id).where(tables.outbox.c.alert_number == down).limit(1))[0][0]
    return {
        "down": str(down),
        "resolved": str(showcase.find(world, "Panel answers in 4.2 s").number),
        "event": one(tables.events, type="gateway.declines"),
        "check": next(check.id for check in watched if check.definition.name == "HTTPS nordlicht-12.example"),
        "host": one(tables.hosts, name="srv-09"),
        "job": one(tables.heartbeats, name="Domain sync"),
        "schedule": one(tables.schedules),
        "team": one(tables.teams),
        "policy": one(tables.policies),
        "rule": one(tables.rules),
        "silence": one(tables.silences),
        "dependency": one(tables.dependencies),
        "person": one(tables.users, email=showcase.AYLIN),
        "link": links.token(site.service.server.secret, str(message), links.LinkAction.ACKNOWLEDGE),
    }
