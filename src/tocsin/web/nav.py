"""The places of the dashboard, in the order in which they are offered. A page that exists has its line here; others are not shown."""

import msgspec


class Place(msgspec.Struct, frozen=True):
    """One entry of the rail. The first four that are ``main`` also stand in the bar at the bottom of a phone."""

    key: str  # what a template sets as `here`
    label: str
    icon: str
    path: str
    main: bool = False
    permission: str = "look"  # who is offered it


def places() -> tuple[Place, ...]:
    """All of them."""
    return PLACES


PLACES: tuple[Place, ...] = (
    Place("overview", "Overview", "i-home", "/", main=True),
    Place("alerts", "Alerts", "i-bell", "/alerts", main=True),
    Place("checks", "Checks", "i-pulse", "/checks", main=True),
    Place("oncall", "On call", "i-calendar", "/oncall", main=True, permission="look-at-the-whole"),
    Place("events", "Events", "i-events", "/events"),
    Place("policies", "Policies", "i-rule", "/policies", permission="look-at-the-whole"),
    Place("rules", "Rules", "i-filter", "/rules", permission="look-at-the-whole"),
    Place("quiet", "Quiet", "i-mute", "/silences"),
    Place("analytics", "Analytics", "i-bars", "/analytics"),
    Place("welcome", "First run", "i-check", "/welcome", permission="configure"),
    Place("settings", "Settings", "i-sliders", "/settings", permission="own-account"),
)

# The tabs of the settings, in their order. A page below /settings has its line here.
SETTINGS: tuple[Place, ...] = (
    Place("health", "Health", "i-pulse", "/settings/health", permission="look-at-the-whole"),
    Place("sites", "Sites", "i-server", "/settings/sites"),
    Place("exporters", "Exporters", "i-pulse", "/settings/exporters"),
    Place("thresholds", "Thresholds", "i-bars", "/settings/thresholds"),
    Place("channels", "Channels", "i-link", "/settings/channels", permission="look-at-the-whole"),
    Place("people", "People", "i-users", "/settings/people", permission="people"),
    Place("keys", "Keys", "i-key", "/settings/keys", permission="keys"),
    Place("audit", "Audit", "i-book", "/settings/audit", permission="audit"),
    Place("contacts", "How you are told", "i-phone", "/settings/contacts", permission="own-account"),
    Place("me", "Your account", "i-user", "/settings/me", permission="own-account"),
)

# The tabs of what is watched: key, path, word.
WATCH: tuple[tuple[str, str, str], ...] = (
    ("checks", "/checks", "From outside"),
    ("heartbeats", "/heartbeats", "Heartbeats"),
    ("hosts", "/hosts", "Servers"),
    ("availability", "/availability", "Availability"),
    ("explore", "/explore", "Explore"),
)
