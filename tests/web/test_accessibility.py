"""The tool that looks for barriers is the one that was looked at."""

import hashlib

from tests.web.accessibility import AXE


def test_axe_is_the_file_that_its_makers_released() -> None:
    digest = hashlib.sha256(AXE.read_bytes()).hexdigest()
    assert digest == "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"  # axe-core 4.14.1
