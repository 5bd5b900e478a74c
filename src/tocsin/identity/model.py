"""Users and API keys."""

import enum

import msgspec


class Scope(enum.StrEnum):
    """What an API key may do. Each stands alone; `admin` includes all."""

    INGEST = "ingest"  # send events
    READ = "read"
    WRITE = "write"  # act on alerts
    ADMIN = "admin"


class Role(enum.StrEnum):
    """What a user may do."""

    ADMIN = "admin"
    RESPONDER = "responder"
    VIEWER = "viewer"


class ApiKey(msgspec.Struct, frozen=True):
    """A key as it is stored: the secret itself is not. ``site`` limits it to one site's events and alerts."""

    id: str
    name: str
    scopes: frozenset[Scope]
    site_id: int | None
    site: str | None
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None

    def allows(self, scope: Scope) -> bool:
        """Whether the key has *scope*, by itself or as admin."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class User(msgspec.Struct, frozen=True):
    """A person with an account."""

    id: str
    email: str
    name: str
    role: Role
    time_zone: str
    created_at: int
    disabled_at: int | None
