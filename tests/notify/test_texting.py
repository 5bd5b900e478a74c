"""What a text message says, and that it fits; what a call says."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.notify.letters import NOW, a_letter, an_alert
from tocsin.notify.model import Links
from tocsin.notify.texting import MENU, PART, SINGLE, WIDE_ROOM, parts, script, septets, simple, sms_text

pytestmark = pytest.mark.claim("N3")


class TestText:
    def test_it_says_how_loud_where_what_and_what_to_answer(self) -> None:
        text = sms_text(a_letter(), answers=True)
        assert text == "CRITICAL acme #12: Service 77: creation failed (srv-12). Reply ack 12 or resolve 12"

    def test_where_nobody_can_answer_there_is_a_link(self) -> None:
        assert sms_text(a_letter(), answers=False).endswith(". https://alarm.example.com/a/o-7f3k9q")

    @pytest.mark.parametrize(
        ("kind", "changes", "begins"),
        [
            ("repeated", {}, "CRITICAL acme #12 open 41 min: "),
            ("escalated", {"maybe_repeated": True}, "CRITICAL acme #12 (perhaps again): "),
            ("resolved", {"alert": an_alert(status="resolved", resolved_at=NOW)}, "RESOLVED acme #12: Service 77"),
            ("acknowledged", {"alert": an_alert(status="acknowledged", acknowledged_by="Marta")}, "ACKNOWLEDGED acme #12 by Marta: "),
            ("digest", {"others": (an_alert(13),), "more": 3}, "5 more alerts of acme, the loudest: #12 Service 77"),
            (
                "notice",
                {"alert": an_alert(-1, title="You are on call", message="Until 8:00."), "links": None},
                "Tocsin: You are on call. Until",
            ),
        ],
    )
    def test_each_kind_has_its_words(self, kind: str, changes: dict[str, Any], begins: str) -> None:
        assert sms_text(a_letter(kind, **changes), answers=True).startswith(begins)

    def test_a_long_title_is_cut_and_not_what_one_needs_to_act(self) -> None:
        text = sms_text(a_letter(alert=an_alert(title="Backup of " + "x" * 300)), answers=True)
        assert septets(text) == SINGLE
        assert text.endswith("xx... Reply ack 12 or resolve 12")

    @pytest.mark.claim("A12")
    def test_what_hangs_on_it_is_told_unless_the_title_would_suffer(self) -> None:
        impact = "182 services of 140 clients hang on Web 1: EUR 2,310.00 a month."
        text = sms_text(a_letter(impact=impact), answers=True, actions=("ack",))
        assert text == f"CRITICAL acme #12: Service 77: creation failed (srv-12). {impact} Reply ack 12"
        long = a_letter(impact=impact, alert=an_alert(title="Backup of " + "x" * 300))
        assert sms_text(long, answers=True, actions=("ack",)).startswith("CRITICAL acme #12: Backup of xxxx")
        assert impact in sms_text(long, answers=True, actions=("ack",))
        assert parts(sms_text(long, answers=True, actions=("ack",))) == 1
        assert impact not in sms_text(a_letter(impact=impact + " Of figures of a week ago."), answers=True)
        assert impact not in sms_text(a_letter("resolved", impact=impact), answers=True)

    def test_letters_of_the_phones_alphabet_stay_and_others_are_made_plain(self) -> None:
        assert simple("Störung für 5 €, “naïve” café \u2013 déjà vu… 🔥") == 'Störung für 5 €, "naive" café - déjà vu...'
        assert simple("Łódź ščř ığ") == "Lodz scr ig"

    def test_signs_that_take_two_places_are_counted_as_two(self) -> None:
        assert (septets("a"), septets("€"), septets("[x]"), septets("ж")) == (1, 2, 5, None)

    def test_another_script_is_sent_as_it_is_in_two_parts_at_most(self) -> None:
        text = sms_text(a_letter(alert=an_alert(title="Сервер не отвечает на запросы " * 6)), answers=True)
        assert "Сервер не отвечает" in text
        assert text.endswith("Reply ack 12 or resolve 12")
        assert parts(text) == 2

    @pytest.mark.parametrize(
        ("text", "count"), [("x" * 160, 1), ("x" * 161, 2), ("x" * 2 * PART, 2), ("€" * 81, 2), ("ж" * 70, 1), ("ж" * 71, 2)]
    )
    def test_it_is_known_as_how_many_it_is_billed(self, text: str, count: int) -> None:
        assert parts(text) == count

    @given(st.text(max_size=250), st.text(max_size=80), st.sampled_from(["opened", "repeated", "resolved", "digest"]), st.booleans())
    def test_whatever_the_title_it_fits_and_the_number_is_in_it(self, title: str, site: str, kind: str, answers: bool) -> None:
        text = sms_text(a_letter(kind, alert=an_alert(title=title, host=title[:50]), site=site), answers=answers)
        narrow = septets(text)
        assert narrow <= SINGLE if narrow is not None else len(text.encode("utf-16-le")) // 2 <= WIDE_ROOM
        assert "#12" in text
        assert "\n" not in text

    def test_a_very_long_address_gives_way_to_the_title(self) -> None:
        far = "https://" + "x" * 150 + ".example/a/1"
        text = sms_text(a_letter(links=Links(far, far, far)), answers=False)
        assert text.startswith("CRITICAL acme #12: Service 77: creation failed")
        assert parts(text) == 1


class TestCall:
    def test_it_says_what_where_and_what_the_keys_do(self) -> None:
        said = script(a_letter(), hears=True)
        assert said.text == "This is Tocsin. Critical alert at acme, number 12. Service 77: creation failed. On srv-12."
        assert said.menu == MENU

    @pytest.mark.claim("A12")
    def test_it_says_what_hangs_on_it(self) -> None:
        said = script(a_letter(impact="182 services of 140 clients hang on Web 1: EUR 2,310.00 a month."), hears=True)
        assert said.text.endswith("On srv-12. 182 services of 140 clients hang on Web 1: EUR 2,310.00 a month.")

    def test_where_keys_are_not_heard_none_are_asked_for(self) -> None:
        assert script(a_letter(), hears=False).menu == ""

    def test_what_a_voice_cannot_say_is_left_out(self) -> None:
        said = script(a_letter(alert=an_alert(title="Look: https://x.example/?a=1 <b>{}|~ 🔥 disk_full", host=None)), hears=True)
        assert said.text.endswith("number 12. Look: b disk full.")

    @pytest.mark.parametrize("kind", ["digest", "notice"])
    def test_a_digest_and_a_notice_have_no_menu(self, kind: str) -> None:
        assert script(a_letter(kind, others=(an_alert(13),) if kind == "digest" else ()), hears=True).menu == ""
