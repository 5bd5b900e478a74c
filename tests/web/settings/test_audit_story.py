"""An entry of the audit log in words."""

from datetime import UTC

import pytest

from tests.fakes import NOW
from tocsin.audit import rules
from tocsin.audit.model import Entry
from tocsin.web.people import namer
from tocsin.web.settings.story import tell
from tocsin.web.times import Times

WHEN = Times(UTC, NOW).when
NAMES = namer({"marta@example.com": "Marta", "user-1": "Marta", "user-2": "Ben"})


def an_entry(action: str, thing: str, before: object = None, after: object = None) -> Entry:
    (entry,) = rules.chain(None, [rules.deed(NOW, "marta@example.com", None, action, thing, None, before, after)])
    return entry


@pytest.mark.parametrize(
    ("action", "thing", "after", "sentence"),
    [
        ("login", "user:user-1", None, "signed in"),
        ("login.refused", "account:9f86d081884c7d65", None, "was refused a login for an address that nobody has"),
        ("user.changed", "user:user-2", None, "changed the account of Ben"),
        ("key.made", "key:0190", {"name": "grafana"}, "made the key grafana"),
        ("policy.made", "policy:0190", {"name": "Nights"}, "made the policy Nights"),
        ("catalogue.changed", "catalogue:main/disk.full", None, "changed the catalogue main/disk.full"),
        ("alert.acknowledged", "alert:12", None, "acknowledged alert 12"),
        ("refused", "GET /settings/keys", None, "was refused GET /settings/keys"),
        ("silence.made", "silence:019fa157-e580-79bb-9268-01099dad2ba6", {"comment": "moved"}, "made the silence"),
        ("something_new.done", "something_new:7", None, "done the something new 7"),
    ],
)
def test_each_entry_is_a_sentence(action: str, thing: str, after: object, sentence: str) -> None:
    told = tell(an_entry(action, thing, None, after), NAMES, WHEN)
    assert f"{told.verb} {told.thing}".strip() == sentence


def test_what_changed_is_told_field_by_field_the_important_first() -> None:
    told = tell(
        an_entry("user.changed", "user:user-2", {"a": 1, "role": "viewer", "z": None}, {"a": 2, "role": "admin", "z": "x"}), NAMES, WHEN
    )
    assert [(one.name, one.before, one.after) for one in told.changes] == [("role", "viewer", "admin"), ("a", "1", "2"), ("z", None, "x")]


def test_times_and_lists_and_browsers_are_told_in_words() -> None:
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    fields = {"expires_at": NOW, "scopes": ["read", "write"], "ok": True, "agent": agent, "empty": "", "deep": {"a": 1}}
    told = tell(an_entry("key.made", "key:1", None, fields), NAMES, WHEN)
    found = {one.name: one.after for one in (*told.changes, *told.more)}
    assert found == {
        "expires": "00:00",
        "scopes": "read, write",
        "ok": "yes",
        "agent": "Firefox on Linux",
        "deep": "a 1",
    }


def test_conditions_and_steps_are_told_as_their_pages_say_them() -> None:
    team = "019fa157-e580-79bb-9268-01099dad2ba4"
    steps = [
        {"delay_seconds": 0, "targets": [{"kind": "on_call", "id": ""}]},
        {"delay_seconds": 900, "targets": [{"kind": "team", "id": team}]},
    ]
    fields = {"matchers": [{"field": "host", "op": "=", "value": "srv-21"}, {"field": "type", "op": "^", "value": "disk."}], "steps": steps}
    told = tell(an_entry("policy.made", "policy:1", None, fields), NAMES, WHEN)
    assert [one.after for one in told.changes] == [
        "host is srv-21, type begins with disk.",
        "at once: who is on call, after 15\u00a0min: a team",
    ]


def test_people_are_told_by_name_and_moments_on_the_readers_clock() -> None:
    ben = "019fa157-e580-79bb-9268-01099dad2ba3"
    names = namer({ben: "Ben", "ben@example.com": "Ben"})
    fields = {
        "user": ben,
        "starts_at": "2025-11-25T08:00:00.000Z",
        "assignee": "ben@example.com",
        "layers": [{"name": "Watch", "length": 12}],
    }
    fields["note"] = "2025-99-99T99:99:99Z"
    told = tell(an_entry("override.made", "override:019fa157-e580-79bb-9268-01099dad2ba6", None, fields), names, WHEN)
    assert f"{told.verb} {told.thing}" == "made the override "
    assert {one.name: one.after for one in told.changes} == {
        "user": "Ben",
        "starts": "08:00",
        "assignee": "Ben",
        "layers": "Watch",
        "note": "2025-99-99T99:99:99Z",
    }


def test_many_fields_are_behind_a_click() -> None:
    told = tell(an_entry("site.made", "site:acme", None, {f"f{n}": n for n in range(12)}), NAMES, WHEN)
    assert (len(told.changes), len(told.more)) == (5, 7)
