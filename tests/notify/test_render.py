"""What people read: in a push notification and in a mail."""

import re
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from tests.notify.letters import LINKS, NOW, a_letter, an_alert
from tocsin.core.clock import HOUR, MINUTE
from tocsin.notify.model import Kind, Letter
from tocsin.notify.render import MESSAGE_BYTES, Push, clean, headline, mail_text, push_text, runbook

EVERYTHING = st.text(st.characters(), max_size=300)
RESOLVED = an_alert(status="resolved", resolved_at=NOW - 29 * MINUTE, resolved_by="marta", resolution="Raised the quota.", severity=5)
ACKNOWLEDGED = an_alert(status="acknowledged", acknowledged_by="marta")


def a_digest(count: int = 12, listed: int = 5) -> Letter:
    others = tuple(an_alert(20 + n, title=f"Problem {n}", severity=1 + n % 4, host=None) for n in range(listed))
    return a_letter(Kind.DIGEST, an_alert(severity=5), others=others, more=count - 1 - listed)


@pytest.mark.claim("N1")
class TestTheHeadlineReadsLikeAColleague:
    def test_a_new_alert_is_its_title(self) -> None:
        assert headline(a_letter("opened")) == "Service 77: creation failed"

    def test_a_reminder_says_how_long_it_has_been_open(self) -> None:
        assert headline(a_letter("repeated")) == "Still open after 41 min: Service 77: creation failed"

    def test_an_acknowledgement_names_the_person(self) -> None:
        assert headline(a_letter("acknowledged", ACKNOWLEDGED)) == "Acknowledged by marta: Service 77: creation failed"

    def test_the_end_says_how_long_it_took(self) -> None:
        assert headline(a_letter("resolved", RESOLVED, links=None)) == "Resolved after 12 min: Service 77: creation failed"

    def test_louder_than_before_says_how_loud(self) -> None:
        assert headline(a_letter("escalated", an_alert(severity=4))) == "Now high: Service 77: creation failed"

    def test_a_problem_that_returned_says_so(self) -> None:
        assert headline(a_letter("opened", an_alert(generation=2))) == "It is back: Service 77: creation failed"

    def test_a_digest_counts_everything_in_it(self) -> None:
        assert headline(a_digest(12)) == "12 more of site acme"


@pytest.mark.claim("B9")
@pytest.mark.parametrize("name", ["runbook", "runbook_url"])
def test_what_to_do_is_one_tap_away_in_push_and_mail(name: str) -> None:
    alert = an_alert(attributes=f'{{"{name}": "https://wiki.example.com/quota?a=1#b"}}')
    assert push_text(a_letter(alert=alert)).message.split("\n")[1] == "Runbook: https://wiki.example.com/quota?a=1#b"
    mail = mail_text(a_letter(alert=alert))
    assert "Runbook: https://wiki.example.com/quota?a=1#b" in re.sub(r" +", " ", mail.text)
    assert "https://wiki.example.com/quota?a=1#b" in mail.html
    assert "Runbook" not in push_text(a_letter("resolved", RESOLVED, links=None)).message


@pytest.mark.claim("B9")
@pytest.mark.parametrize(
    "attributes",
    [
        None,
        "[]",
        '"runbook"',
        '{"runbook": 7}',
        '{"runbook": "javascript:x()"}',
        '{"runbook": "https://a b"}',
        '{"runbook": "https://a\\nb"}',
    ],
)
def test_what_is_no_address_is_no_runbook(attributes: str | None) -> None:
    assert runbook(attributes) == ""


@pytest.mark.claim("N1")
class TestPush:
    def test_it_says_how_loud_where_since_when_and_who_has_it(self) -> None:
        assert push_text(a_letter()).message.split("\n")[0] == (
            "Critical: acme, on srv-12. First seen 02:31 UTC. Open for 41 min, and nobody has it yet."
        )

    def test_it_counts_occurrences_from_the_second_on(self) -> None:
        assert "Seen 1,204 times since 02:31 UTC." in push_text(a_letter(alert=an_alert(occurrences=1204))).message

    def test_another_day_is_named(self) -> None:
        message = push_text(a_letter(alert=an_alert(first_seen_at=NOW - 30 * HOUR))).message
        assert "First seen 23 Nov 2025, 21:12 UTC." in message

    def test_a_fresh_alert_is_not_said_to_have_waited(self) -> None:
        assert "Nobody has it yet." in push_text(a_letter(alert=an_alert(first_seen_at=NOW - 3_000))).message

    def test_a_long_delay_is_told(self) -> None:
        message = push_text(a_letter(delay=2 * HOUR + 5 * MINUTE)).message
        assert "Delayed by 2 h 5 min: it was decided at 01:07 UTC." in message

    def test_a_delay_of_a_minute_is_not_worth_a_word(self) -> None:
        assert "Delayed" not in push_text(a_letter(delay=MINUTE)).message

    def test_a_possible_repeat_is_told(self) -> None:
        assert "You may have received this before." in push_text(a_letter(maybe_repeated=True)).message

    @pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
    def test_the_priority_is_the_severity(self, severity: int) -> None:
        assert push_text(a_letter(alert=an_alert(severity=severity))).priority == severity

    @pytest.mark.parametrize(("kind", "alert"), [("acknowledged", ACKNOWLEDGED), ("resolved", RESOLVED)])
    def test_a_confirmation_wakes_nobody(self, kind: str, alert: object) -> None:
        assert push_text(a_letter(kind, alert)).priority == 2  # type: ignore[arg-type]

    def test_the_tags_are_a_sign_and_the_site(self) -> None:
        assert push_text(a_letter()).tags == ("rotating_light", "acme")
        assert push_text(a_letter("resolved", RESOLVED)).tags == ("white_check_mark", "acme")

    def test_a_site_with_a_comma_stays_one_tag(self) -> None:
        assert push_text(a_letter(site="a,b c")).tags[1] == "a-b-c"

    def test_tapping_opens_the_alert_and_the_buttons_act(self) -> None:
        push = push_text(a_letter())
        assert push.click == LINKS.open
        assert [(b.label, b.url) for b in push.buttons] == [("Acknowledge", LINKS.acknowledge), ("Resolve", LINKS.resolve)]

    def test_what_somebody_has_can_only_be_resolved(self) -> None:
        assert [b.label for b in push_text(a_letter("acknowledged", ACKNOWLEDGED)).buttons] == ["Resolve"]

    def test_what_is_over_has_no_buttons(self) -> None:
        assert push_text(a_letter("resolved", RESOLVED, links=None)).buttons == ()
        assert push_text(a_letter("resolved", RESOLVED)).buttons == ()

    def test_a_digest_lists_the_loudest_first_and_has_no_button_that_could_be_mistaken(self) -> None:
        push = push_text(a_digest(12, listed=5))
        assert push.message.split("\n") == [
            "• Critical: Service 77: creation failed (srv-12)",
            "• High: Problem 3",
            "• Medium: Problem 2",
            "• Low: Problem 1",
            "• Info: Problem 0",
            "• Info: Problem 4",
            "and 6 more",
        ]
        assert push.buttons == ()

    def test_a_digest_of_hundreds_is_short(self) -> None:
        assert len(push_text(a_digest(500, listed=400)).message.split("\n")) == 11

    def test_a_message_is_cut_to_what_a_server_takes_and_keeps_what_matters(self) -> None:
        push = push_text(a_letter(alert=an_alert(message="ü" * 9000), maybe_repeated=True, delay=HOUR))
        assert MESSAGE_BYTES - 2 <= len(push.message.encode()) <= MESSAGE_BYTES
        assert push.message.endswith("ü…")
        assert "You may have received this before." in push.message

    @settings(max_examples=60)
    @given(EVERYTHING, EVERYTHING, EVERYTHING, EVERYTHING)
    def test_whatever_comes_from_outside_it_is_valid_text_of_the_right_size(self, title: str, message: str, host: str, site: str) -> None:
        push = push_text(a_letter(alert=an_alert(title=title, message=message * 20, host=host), site=site))
        assert len(push.message.encode()) <= MESSAGE_BYTES
        assert len(push.title) <= 120
        assert "\n" not in push.title
        assert not any("," in tag for tag in push.tags)
        msgspec.json.encode(push)


class TestCleaning:
    @pytest.mark.parametrize(
        ("dirty", "cleaned"),
        [
            ("a\x00b\x1b[31mc\x7f\x9b", "ab[31mc"),
            ("invoice\u202egnp.exe", "invoicegnp.exe"),
            ("a\u2066b\u2069\u200e\u200f", "ab"),
            ("pay\u200bpal\ufeff", "paypal"),
            ("one\r\ntwo\rthree\u2028four\x85five", "one\ntwo\nthree\nfour\nfive"),
            ("\ud800broken", "broken"),
            ("a\n\n\n\n\nb", "a\n\nb"),
            ("👩‍🚒 family", "👩‍🚒 family"),
            ("Z" + "\u0335" * 40, "Z" + "\u0335" * 3),
            ("می‌خواهم", "می‌خواهم"),
        ],
    )
    def test_what_hides_or_turns_text_is_taken_out(self, dirty: str, cleaned: str) -> None:
        assert clean(dirty) == cleaned


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def tags(html: str) -> _Tags:
    parser = _Tags()
    parser.feed(html)
    return parser


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}{% raw %}",
    "</title></style><h1 onclick=x>",
    "javascript:alert(1)",
    "a\r\nBcc: everyone@example.com\r\n\r\n<b>",
    "🔥" * 200,
]


@pytest.mark.claim("N2")
class TestMail:
    def test_the_subject_stays_the_same_through_the_life_of_an_alert(self) -> None:
        letters = [
            a_letter("opened"),
            a_letter("repeated"),
            a_letter("acknowledged", ACKNOWLEDGED),
            a_letter("resolved", RESOLVED),
        ]
        assert {mail_text(letter).subject for letter in letters} == {"[acme] Service 77: creation failed (#12)"}

    def test_a_digest_has_a_subject_that_counts(self) -> None:
        assert mail_text(a_digest(12)).subject == "[acme] 12 more alerts"

    def test_text_and_html_say_the_same(self) -> None:
        mail = mail_text(a_letter("repeated", maybe_repeated=True, delay=2 * HOUR))
        words = re.sub(r"\s+", " ", tags(mail.html).text)
        for sentence in (
            "Still open after 41 min",
            "Service 77: creation failed",
            "Open for 41 min, and nobody has it yet.",
            "Delayed by 2 h: it was decided at 01:12 UTC.",
            "You may have received this before.",
            "cPanel answered: account quota reached (250 of 250).",
            "srv-12",
            "02:31 UTC",
        ):
            assert sentence in mail.text
            assert sentence in words

    def test_the_text_is_laid_out_to_be_read(self) -> None:
        assert mail_text(a_letter(alert=an_alert(occurrences=23))).text == (
            "Service 77: creation failed\n\n"
            "Critical. Seen 23 times since 02:31 UTC.\n"
            "Open for 41 min, and nobody has it yet.\n\n"
            "> cPanel answered: account quota reached (250 of 250).\n\n"
            f"Acknowledge: {LINKS.acknowledge}\n"
            f"Resolve: {LINKS.resolve}\n"
            f"Open the alert: {LINKS.open}\n"
            "(Each link opens a page that asks you to confirm; opening it changes nothing.)\n\n"
            "Site: acme\nHost: srv-12\nFirst seen: 02:31 UTC\nLast seen: 03:11 UTC, 23 times\n"
            "Kind: servers.module_create_failed\n\n"
            "-- \nTocsin, alert #12, site acme\n"
        )

    def test_what_it_concerns_is_told_when_the_title_does_not(self) -> None:
        assert "\nConcerns: client 9\n" in mail_text(a_letter(alert=an_alert(subject="client 9"))).text

    def test_text_from_outside_is_quoted_so_that_it_cannot_pose_as_ours(self) -> None:
        text = mail_text(a_letter(alert=an_alert(message="hello\nAcknowledge: https://evil.example"))).text
        assert "\n> Acknowledge: https://evil.example\n" in text

    @pytest.mark.parametrize("text", HOSTILE)
    def test_text_from_outside_stays_text(self, text: str) -> None:
        alert = an_alert(title=text, message=text, host=text, subject=text, type=text)
        letter = a_letter(alert=alert, site=text)
        page, plain = tags(mail_text(letter).html), tags(mail_text(a_letter()).html)
        assert page.names == plain.names
        assert set(page.links) == {LINKS.open, LINKS.acknowledge, LINKS.resolve}
        assert page.handlers == []
        assert "49" not in mail_text(letter).subject

    @settings(max_examples=40)
    @given(EVERYTHING, EVERYTHING, EVERYTHING)
    def test_whatever_comes_from_outside_the_page_has_only_our_elements_and_one_line_of_subject(
        self, title: str, message: str, name: str
    ) -> None:
        alert = an_alert(title=title, message=message, status="acknowledged", acknowledged_by=name)
        mail = mail_text(a_letter("acknowledged", alert))
        assert tags(mail.html).names <= tags(mail_text(a_letter()).html).names
        assert mail.subject.splitlines() == [mail.subject]
        mail.html.encode()

    def test_it_fetches_nothing(self) -> None:
        html = mail_text(a_letter()).html
        assert not re.search(r"<(img|link|script|iframe)|url\(|@import|@font-face", html)

    def test_it_knows_day_and_night_and_small_screens(self) -> None:
        html = mail_text(a_letter()).html
        assert '<meta name="color-scheme" content="light dark">' in html
        assert "prefers-color-scheme: dark" in html
        assert "width=device-width" in html

    def test_the_first_words_are_for_the_list_of_mails(self) -> None:
        body = mail_text(a_letter("resolved", RESOLVED, links=None)).html.partition("<body")[2]
        assert "Resolved after 12 min. Resolved by marta: Raised the quota." in body[:600]

    def test_it_stays_below_what_large_providers_show(self) -> None:
        assert len(mail_text(a_digest(500, listed=400)).html.encode()) < 102_400

    def test_a_digest_lists_thirty_and_counts_the_rest(self) -> None:
        text = mail_text(a_digest(500, listed=400)).text
        assert text.count("\n- ") == 30
        assert "\nand 470 more\n" in text


def test_a_push_is_plain_data() -> None:
    assert isinstance(push_text(a_letter()), Push)
