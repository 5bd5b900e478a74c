"""History at the terminal."""

import json

import duckdb
import pytest

from tests.cli.program import Inside
from tocsin.bootstrap import build_core
from tocsin.core.clock import HOUR, MINUTE
from tocsin.core.times import to_text
from tocsin.metrics.model import Sample, labels_of
from tocsin.settings import Settings

pytestmark = pytest.mark.claim("H1")


def measure(ready: Inside) -> int:
    """Three hours of two series; answers when they end."""
    core = build_core(Settings(data_dir=ready.folder, database_url=f"sqlite:///{ready.folder}/tocsin.db"))
    now, site = core.clock.now() // HOUR * HOUR, core.sites.get("main").id
    times = range(now - 3 * HOUR, now, 30 * MINUTE)
    made = [Sample(site, "disk_percent", at, n + 0.5, "web1", labels_of({"mount": "/var"})) for n, at in enumerate(times)]
    core.writer.call(lambda tx: core.history.record(tx, [*made, Sample(site, "orders_total", now - 1, 7.0)], now))
    core.close()
    return now


def test_series_curves_and_samples_are_shown(ready: Inside) -> None:
    assert "Nothing is measured" in ready.run("history", "series").err
    now = measure(ready)
    orders, disk = json.loads(ready.run("history", "series", "--json").out)["items"]
    assert (orders["name"], orders["host"], orders["last_value"]) == ("orders_total", None, 7.0)
    assert (disk["labels"], disk["unit"], disk["last_value"]) == ({"mount": "/var"}, "percent", 5.5)
    assert "disk_percent" in ready.run("history", "series", "--host", "web1", "--labels", "mount=/var").out
    curve = ready.run("history", "query", "disk_percent", "--step", "1h", "--agg", "max")
    assert [line.split()[-1] for line in curve.out.splitlines()[1:]] == ["1.5", "3.5", "5.5"]
    (found,) = json.loads(ready.run("history", "query", "disk_percent", "--json", "--to", to_text(now)).out)["series"]
    assert (found["step_seconds"], len(found["points"])) == (None, 6)
    exported = ready.run("history", "export").out.splitlines()
    assert exported[0] == "site,host,name,labels,at,value"
    assert exported[1] == f"main,,orders_total,,{to_text(now - 1)},7.0"
    assert len(exported) == 8
    lines = [json.loads(line) for line in ready.run("history", "export", "--name", "disk_percent", "--json").out.splitlines()]
    assert [line["value"] for line in lines] == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    into = ready.folder / "metrics.parquet"
    assert ready.run("history", "export", "--parquet", str(into)).out == ""
    with duckdb.connect() as reader:
        assert reader.execute("""SELECT count(*), max("value") FROM read_parquet(?)""", [str(into)]).fetchone() == (7, 7.0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["query", "disk_percent", "--step", "often"], "Example: 5m"),
        (["query", "disk_percent", "--step", "1s"], "make it longer"),
        (["query", "disk_percent", "--from", "yesterday"], "no time with a zone"),
        (["export", "--from", "2100-01-01T00:00:00Z"], "must be before to"),
        (["series", "--site", "nowhere"], "there is no site nowhere"),
    ],
)
def test_a_wrong_question_is_refused_with_the_cure(ready: Inside, words: list[str], says: str) -> None:
    measure(ready)
    answer = ready.run("history", *words)
    assert answer.code in (1, 2)
    assert says in answer.err


def test_series_are_removed_once_it_is_said_to_be_sure(ready: Inside) -> None:
    measure(ready)
    assert "Example: tocsin history remove" in ready.run("history", "remove").err
    assert "1 series would be removed" in ready.run("history", "remove", "disk_percent").err
    assert len(json.loads(ready.run("history", "series", "--json").out)["items"]) == 2
    assert json.loads(ready.run("history", "remove", "disk_percent", "--yes", "--json").out) == {"series": 1, "removed": True}
    (left,) = json.loads(ready.run("history", "series", "--json").out)["items"]
    assert left["name"] == "orders_total"
    assert "0 series are removed" in ready.run("history", "remove", "disk_percent", "--yes").err
