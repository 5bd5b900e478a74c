"""The comparison says of each of its 118 features yes, partly or no, and counts them right."""

import re
from collections import Counter
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "compared.md"


def test_every_feature_has_its_number_and_a_plain_verdict() -> None:
    text = PAGE.read_text()
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| (\w+) \|", text, flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 119))
    verdicts = Counter(verdict for _, verdict in rows)
    assert f"{verdicts['yes']} yes, {verdicts['partly']} partly, {verdicts['no']} no." in text
    assert verdicts.total() == verdicts["yes"] + verdicts["partly"] + verdicts["no"]
