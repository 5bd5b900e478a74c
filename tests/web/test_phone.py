"""What makes the dashboard an app: every file that manifest and service worker name is there, and neither holds anything about anybody."""

import re

import msgspec

from tests.api.service import Service


async def test_the_manifest_names_icons_that_are_there(service: Service) -> None:
    answer = await service.client.get("/manifest.webmanifest")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/manifest+json")
    manifest = msgspec.json.decode(answer.content)
    for icon in manifest["icons"]:
        assert (await service.client.get(f"/{icon['src']}")).headers["Content-Type"] == "image/png"
    assert {icon["purpose"] for icon in manifest["icons"]} == {"any", "maskable"}


async def test_the_service_worker_keeps_files_that_are_there(service: Service) -> None:
    answer = await service.client.get("/sw.js")
    assert answer.headers["Cache-Control"] == "no-cache"
    found = re.search(r"const FILES = (\[.*\]);", answer.text)
    assert found is not None
    files = msgspec.json.decode(found[1])
    assert any(file.endswith(".css") for file in files)
    for file in files:
        assert (await service.client.get(f"/{file}")).status_code == 200, file
