"""WHMCS's answers, whose types are loose."""

from typing import Any

import msgspec
import pytest

from tests.standins.whmcs import CONTRACT
from tocsin.whmcs.model import Row
from tocsin.whmcs.reading import WhmcsFault, answer, count, hundredths, rows


class Transaction(Row, frozen=True):
    id: str
    amountin: str


@pytest.mark.parametrize("shape", CONTRACT["list_shapes"], ids=lambda shape: shape["case"])
def test_a_list_is_the_same_list_in_whatever_form_it_comes(shape: dict[str, Any]) -> None:
    found = rows(shape["value"], "transactions", "transaction", Transaction)
    assert found == [Transaction("1", "5.00"), Transaction("2", "7.50")][: shape["expect"]]


def test_a_row_without_its_id_and_what_is_no_row_are_left_out() -> None:
    assert rows({"transactions": [{"amountin": "1"}, 7, None, {"id": None, "amountin": 3}]}, "transactions", None, Transaction) == [
        Transaction("", "3")
    ]


@pytest.mark.parametrize("case", [case for case in CONTRACT["errors"] if case["case"] != "php_noise_before_json"], ids=lambda c: c["case"])
def test_whatever_is_no_success_is_a_fault_with_a_cure(case: dict[str, Any]) -> None:
    body = case["body"].encode() if isinstance(case["body"], str) else msgspec.json.encode(case["body"])
    with pytest.raises(WhmcsFault) as raised:
        answer("GetServers", case["http_status"], body)
    assert raised.value.reason
    assert raised.value.cure


@pytest.mark.parametrize(
    ("case", "cure"),
    [
        ("bad_identifier", "make a new pair and set WHMCS_API_ID and WHMCS_API_SECRET"),
        ("ip_not_allowed", "API IP Access Restriction: add this address"),
        ("role_lacks_action", "API Roles: allow GetServers"),
        ("admin_disabled", "enable the administrator"),
        ("admin_without_api_access", "needs API Access"),
        ("waf_html", "WHMCS_URL"),
    ],
)
def test_the_cure_says_what_to_change_where(case: str, cure: str) -> None:
    found = next(one for one in CONTRACT["errors"] if one["case"] == case)
    body = found["body"].encode() if isinstance(found["body"], str) else msgspec.json.encode(found["body"])
    with pytest.raises(WhmcsFault) as raised:
        answer("GetServers", found["http_status"], body)
    assert cure in raised.value.cure


def test_notices_that_php_prints_first_are_passed_over() -> None:
    noisy = next(one for one in CONTRACT["errors"] if one["case"] == "php_noise_before_json")
    assert answer("WhmcsDetails", 200, noisy["body"].encode()) == {"result": "success"}


@pytest.mark.parametrize(
    ("text", "amount"),
    [("24.00", 2400), ("36.5", 3650), ("1,204.99", 120499), ("7", 700), ("", 0), ("-5.00", 0), ("$12.00", 0), ("1.x", 0), ("9" * 40, 0)],
)
def test_amounts_are_read_exactly(text: str, amount: int) -> None:
    assert hundredths(text) == amount


def test_a_count_may_be_text_or_nothing() -> None:
    assert [count({"totalresults": value}, "totalresults") for value in (12, "12", "", None, "many", -3)] == [12, 12, 0, 0, 0, 0]
    assert count({}, "totalresults") == 0
