"""Somebody with a browser: keeps cookies, sends what a browser sends, reads the forms of a page."""

import re
from collections.abc import Mapping
from html import unescape
from typing import Any

import httpx

from tests.api.service import Service
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity import service as identity
from tocsin.identity.model import Role

PASSWORD = "a long enough password"


class Browser:
    """One person in front of one Tocsin."""

    def __init__(self, service: Service) -> None:
        transport = service.client._transport
        self.client = httpx.AsyncClient(transport=transport, base_url="https://alarm.example.com", headers={"Accept": "text/html"})
        self.page = httpx.Response(200)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        """Opens a page."""
        self.page = await self.client.get(path, **more)
        return self.page

    async def post(self, path: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        """Sends a form from a page of ours."""
        own = {"Origin": "https://alarm.example.com", "Sec-Fetch-Site": "same-origin"}
        self.page = await self.client.post(path, data=fields, headers=own if headers is None else headers)
        return self.page

    async def fill(self, path: str, fields: Mapping[str, Any]) -> httpx.Response:
        """Sends a form whose fields have names such as ``l0.name``, or more than one value."""
        return await self.post(path, None, **dict(fields))

    async def log_in(self, email: str, password: str = PASSWORD, **fields: Any) -> httpx.Response:
        """By the form."""
        return await self.post("/login", email=email, password=password, **fields)

    @property
    def csrf(self) -> str:
        """What the forms of the page at hand carry."""
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.page.text)
        assert found, f"no form on this page: {self.text[:500]}"
        return found[1]

    def hidden(self, name: str) -> str:
        """What a hidden field of the page at hand carries."""
        found = re.search(rf'type="hidden" name="{name}" value="([^"]*)"', self.page.text)
        assert found, f"no {name} on this page"
        return found[1]

    @property
    def text(self) -> str:
        """The words of the page at hand."""
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", self.page.text)))

    @property
    def error(self) -> str:
        """What the page at hand says is wrong."""
        found = re.search(r'class="error"[^>]*>.*?<span>(.*?)</span>', self.page.text, re.DOTALL)
        return unescape(found[1]) if found else ""

    @property
    def place(self) -> str:
        """Where the page at hand sends the browser."""
        assert self.page.status_code == 303, (self.page.status_code, self.text[:500])
        return str(self.page.headers["location"])


async def a_person(service: Service, email: str = "marta@example.com", role: Role = Role.ADMIN, name: str = "Marta Weiss") -> str:
    """The id of a new person with the password above."""
    hashed = await service.server.passwords.hash(PASSWORD)
    now = service.world.clock.now()
    user = await service.world.write(lambda tx: identity.add_user(tx, email, name, role, hashed, now))
    return user.id


async def sees_only(service: Service, user_id: str, slug: str) -> None:
    """Takes every other site from a person."""
    site_id = service.world.core.sites.get(slug).id

    def work(tx: Tx) -> None:
        tx.sql.execute(tables.users.update().where(tables.users.c.id == user_id).values(every_site=False))
        tx.sql.execute(tables.user_sites.insert().values(user_id=user_id, site_id=site_id))

    await service.world.write(work)
