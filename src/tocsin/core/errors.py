"""The errors a person may read. Each says what happened, to which thing, and what to do.

TocsinError
├── InvalidInput     the input is wrong; names the fields
│   └── UnknownFields
├── NotAuthenticated no key, or one that is unknown, expired or revoked
├── NotAllowed       the key may not do this
├── NotFound
├── Conflict         the present state forbids it
│   └── Overtaken     somebody else has changed it since the caller looked
├── TooLarge
├── TooMany          this caller has called too often: wait
└── Unavailable      a fault of ours: try again later
"""

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One thing wrong with one field of the input; ``field`` is a dotted path such as ``attributes.host``."""

    field: str
    message: str


class TocsinError(Exception):
    """Base of all errors whose text is meant for the person at the other end."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(TocsinError):
    """The input cannot be used; ``errors`` names each field and what would be right."""

    def __init__(self, errors: tuple[FieldError, ...], message: str = "") -> None:
        super().__init__(message or "; ".join(f"{e.field}: {e.message}" for e in errors))
        self.errors = errors

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidInput":
        """The usual case: one field."""
        return cls((FieldError(field, message),))


class UnknownFields(InvalidInput):
    """The input names fields that nobody asked for: a typing mistake, or somebody who tries what may be let in."""


class NotAuthenticated(TocsinError):
    """No key was sent, or it is not one of ours."""


class NotAllowed(TocsinError):
    """The key is good and the action is not its to do."""


class NotFound(TocsinError):
    """There is no such thing, or not for this key."""


class Conflict(TocsinError):
    """The thing exists and its present state forbids the action."""


class Overtaken(Conflict):
    """Somebody else has changed it since the caller looked."""


class TooLarge(TocsinError):
    """More than the limit that the message names."""


class TooMany(TocsinError):
    """This caller has called too often within a minute. Nothing was done; sending again after ``retry_after`` seconds is safe."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(TocsinError):
    """Tocsin cannot do its part now (full disk, lost database, full queue). Nothing was taken; sending again is safe."""

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after
