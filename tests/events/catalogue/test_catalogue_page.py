"""``docs/reference/catalogue.md`` says what the code does."""

import importlib.util
from pathlib import Path
from types import ModuleType

from tocsin.events.catalogue.rows import METRICS, ROWS


def writer() -> ModuleType:
    """``reference.py`` beside this file: a script, not a package of the tests."""
    spec = importlib.util.spec_from_file_location("catalogue_reference", Path(__file__).with_name("reference.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_equal_to_the_code() -> None:
    reference = writer()
    assert reference.PAGE.read_text() == reference.page(), "run: python tests/events/catalogue/reference.py"


def test_the_page_names_every_type_and_every_metric() -> None:
    text = writer().PAGE.read_text()
    missing = [name for name in (*(row.type for row in ROWS), *(metric.name for metric in METRICS)) if f"`{name}`" not in text]
    assert missing == []
