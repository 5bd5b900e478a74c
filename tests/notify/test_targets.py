"""What may be the target of a contact, and what is shown of it."""

import pytest

from tocsin.core.errors import InvalidInput
from tocsin.notify.targets import KINDS, read_target

HOOK = "https://hooks.slack.com/services/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"
WORKFLOW = "https://prod-12.westeurope.logic.azure.com/workflows/0f1e/triggers/manual/paths/invoke?sig=Sig9Sig8"
DISCORD = "https://discord.com/api/webhooks/112233445566778899/AbCdEfGhIjKlMnOpQrStUvWxYz-0123456789"


@pytest.mark.parametrize(
    ("kind", "text", "shown", "is_secret"),
    [
        ("ntfy", "alerts-7f3k9q", "alerts-7f3k9q", False),
        ("email", "ops@example.com", "ops@example.com", False),
        ("slack", HOOK, "hooks.slack.com", True),
        ("slack", "C0123456789", "C0123456789", False),
        ("slack", "#ops-alerts", "#ops-alerts", False),
        ("teams", WORKFLOW, "prod-12.westeurope.logic.azure.com", True),
        ("discord", DISCORD, "discord.com", True),
        ("telegram", "-1001234567890", "-1001234567890", False),
        ("telegram", "-1001234567890:7", "-1001234567890:7", False),
        ("telegram", "@acme_alerts", "@acme_alerts", False),
        ("pagerduty", "R016AZBYCXDWEVFUGTHSIRJQKPLOMN11", "Events API", True),
        ("pagerduty", "eu:R016AZBYCXDWEVFUGTHSIRJQKPLOMN11", "Europe", True),
        ("opsgenie", "1a2b3c4d-0000-4000-8000-1a2b3c4d5e6f", "Alert API", True),
        ("opsgenie", "jsm:1a2b3c4d-0000-4000-8000-1a2b3c4d5e6f", "Jira Service Management", True),
        ("webhook", "https://hooks.example.com/in#whsec_0123456789abcdef", "hooks.example.com", True),
    ],
)
def test_a_good_target_shows_only_what_anybody_may_know(kind: str, text: str, shown: str, is_secret: bool) -> None:
    target = read_target(kind, text)
    assert (target.shown, target.secret) == (shown, text if is_secret else None)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("ntfy", "a/b"),
        ("email", "nobody"),
        ("slack", "https://hooks.slack.com.evil.example/services/T0/B0/x"),
        ("slack", "http://hooks.slack.com/services/T0/B0/abcdef"),
        ("slack", "https://user@hooks.slack.com/services/T0/B0/abcdef"),
        ("slack", "https://hooks.slack.com:8443/services/T0/B0/abcdef"),
        ("slack", "https://[::1"),
        ("teams", "https://example.com/workflows/x"),
        ("teams", "https://evillogic.azure.com/workflows/x"),
        ("discord", "https://discord.com/api/users/@me"),
        ("telegram", "@me"),
        ("pagerduty", "short"),
        ("opsgenie", "us:1a2b3c4d-0000-4000-8000-1a2b3c4d5e6f"),
        ("webhook", "http://hooks.example.com/in"),
        ("webhook", "https:///in"),
        ("webhook", "https://u:p@hooks.example.com/in"),
        ("webhook", "https://hooks.example.com/in#short"),
        ("webhook", "ftp://hooks.example.com/in"),
    ],
)
def test_a_wrong_target_is_refused_with_what_would_be_right_and_is_not_repeated(kind: str, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_target(kind, text)
    (error,) = refused.value.errors
    assert error.field == "target"
    assert text not in error.message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", " ", "a b", "a\nb", "a\x00", "\ud800", "x" * 2_001])
def test_what_is_no_single_word_is_no_target_of_any_kind(kind: str, text: str) -> None:
    with pytest.raises(InvalidInput):
        read_target(kind, text)


def test_a_kind_that_is_not_known_is_named_with_those_that_are() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_target("fax", "1")
    assert refused.value.errors[0].field == "kind"
    assert "webhook" in refused.value.errors[0].message


def test_a_webhook_without_a_key_gets_one_that_nobody_can_guess() -> None:
    first, second = read_target("webhook", "https://hooks.example.com/in"), read_target("webhook", "https://hooks.example.com/in")
    assert first.made is not None
    assert first.secret == f"https://hooks.example.com/in#{first.made}"
    assert len(first.made) > 40
    assert first.made != second.made


def test_an_address_inside_ones_own_network_may_be_unencrypted_where_those_are_allowed() -> None:
    assert read_target("webhook", "http://10.0.0.7:5678/in#whsec_0123456789abcdef", private=True).shown == "10.0.0.7"
