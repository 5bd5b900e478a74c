"""Users and API keys."""

import enum

import msgspec

from tocsin.audit.model import Who


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


class Permission(enum.StrEnum):
    """One thing that can be allowed; what each opens stands in permissions.py."""

    OPEN = "open"  # anybody, without a key or a login
    OWN = "own-account"
    SEND = "send"
    LOOK = "look"
    LOOK_WHOLE = "look-at-the-whole"
    ACT = "act"
    COVER = "cover"
    WATCH = "watch"
    CONFIGURE = "configure"
    PEOPLE = "people"
    KEYS = "keys"
    AUDIT = "audit"


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


class Caller(msgspec.Struct, frozen=True):
    """Whoever asks, a key or a person: what a handler needs to know. ``name`` is how histories name them.

    ``site_ids`` None: every site, those to come included. ``address``: where the request came from.
    """

    name: str
    address: str
    permissions: frozenset[Permission]
    site_ids: frozenset[int] | None
    user_id: str | None = None
    session_id: str | None = None

    @property
    def who(self) -> Who:
        """The same for the audit log."""
        return Who(self.name, self.address or None)

    def may(self, permission: str) -> bool:
        """Whether this caller has *permission*."""
        return permission in self.permissions

    def sees(self, site_id: int) -> bool:
        """Whether this caller may see what is of this site."""
        return self.site_ids is None or site_id in self.site_ids


class Theme(enum.StrEnum):
    """Which colours a person wants."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Contrast(enum.StrEnum):
    """How strong the colours are to differ."""

    SYSTEM = "system"
    MORE = "more"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person with an account. ``site_ids`` None: every site, those to come included."""

    id: str
    email: str
    name: str
    role: Role
    time_zone: str
    created_at: int
    disabled_at: int | None = None
    site_ids: frozenset[int] | None = None
    theme: Theme = Theme.SYSTEM
    contrast: Contrast = Contrast.SYSTEM
    locale: str = "en"
    has_password: bool = False
    totp_since: int | None = None
    last_login_at: int | None = None


class Viewer(msgspec.Struct, frozen=True):
    """The person in front of a page: who, what they may do and see, how they like it.

    ``site_ids`` None: every site, those to come included. ``csrf`` goes into every form (field ``csrf``) or, for a
    script, into the header ``X-CSRF-Token``.
    """

    user_id: str
    session_id: str
    email: str
    name: str
    role: Role
    permissions: frozenset[Permission]
    site_ids: frozenset[int] | None
    csrf: str
    theme: Theme
    contrast: Contrast
    locale: str
    time_zone: str

    def may(self, permission: str) -> bool:
        """Whether this person has *permission*."""
        return permission in self.permissions

    def sees(self, site_id: int) -> bool:
        """Whether this person may see what is of this site."""
        return self.site_ids is None or site_id in self.site_ids

    def calling(self, address: str) -> Caller:
        """The same person as a caller, from *address*."""
        return Caller(self.email, address, self.permissions, self.site_ids, self.user_id, self.session_id)


class Session(msgspec.Struct, frozen=True):
    """One login of one person on one device, as it is stored: its token itself is not."""

    id: str
    user_id: str
    created_at: int
    seen_at: int
    ends_at: int
    address: str
    agent: str


class PassKind(enum.StrEnum):
    """What a link that works once is for."""

    INVITE = "invite"  # a new person chooses a password
    RESET = "reset"  # somebody who has forgotten theirs
    SETUP = "setup"  # the first administrator, who is no user yet


class Pass(msgspec.Struct, frozen=True):
    """A link that works once, as it is stored: its token itself is not."""

    id: str
    kind: PassKind
    user_id: str | None
    created_at: int
    expires_at: int
    used_at: int | None
