"""One sample for each of the 141 hooks, with the attributes that the bridge sends, and what must come of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tocsin.events.catalogue.rows import HOOK_ROWS
from tocsin.events.catalogue.rules import Catalogue

HERE = Path(__file__).parent
SAMPLES: list[dict[str, Any]] = [json.loads(line) for line in (HERE / "samples.jsonl").read_text().splitlines()]
HOOKS = json.loads((HERE.parents[2] / "contracts" / "whmcs-hooks.json").read_text())["hooks"]
FORWARDED = {hook["name"]: {"hook", *hook["forward"]} for hook in HOOKS if hook["kind"] == "event"}
CATALOGUE = Catalogue.default()

each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=[sample["type"] for sample in SAMPLES])
pytestmark = [pytest.mark.claim("E6"), *(pytest.mark.claim(f"origin:M{number}") for number in range(1, 7))]


def test_there_is_a_sample_for_each_hook() -> None:
    assert [sample["type"] for sample in SAMPLES] == [row.type for row in HOOK_ROWS]


@each_sample
def test_a_sample_holds_only_what_the_bridge_forwards(sample: dict[str, Any]) -> None:
    assert set(sample["attributes"]) <= FORWARDED[sample["attributes"]["hook"]]


@each_sample
def test_a_sample_is_described_as_written_down(sample: dict[str, Any]) -> None:
    found = CATALOGUE.describe(sample["type"], sample["attributes"], None, None, None)
    row = CATALOGUE.get(sample["type"])
    assert row is not None
    assert (row.category, found.type) == (sample["category"], sample["type"])
    assert (found.severity, found.status) == (sample["severity"], sample["status"])
    assert (found.subject, found.title) == (sample["subject"], sample["title"])
    assert list(found.recovers) == sample["recovers"]


@each_sample
def test_the_title_reads_well_even_when_the_attributes_are_missing(sample: dict[str, Any]) -> None:
    sent: tuple[dict[str, Any] | None, ...] = (sample["attributes"], {}, None)
    titles = (CATALOGUE.describe(sample["type"], attributes).title for attributes in sent)
    for title in titles:
        assert title[:1].isupper()
        for ugly in ("{", "}", "[", "|", "None", "  ", "!", " ,", " 0"):
            assert ugly not in title
        assert title == title.strip(" :,")


@each_sample
def test_keys_are_found_however_they_are_spelled(sample: dict[str, Any]) -> None:
    shouted = {key.upper(): value for key, value in sample["attributes"].items()}
    assert CATALOGUE.describe(sample["type"], shouted).subject == sample["subject"]
