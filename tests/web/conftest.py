"""The same whole Tocsin as the API's tests have."""

from tests.api.conftest import service, sqlite_service

__all__ = ["service", "sqlite_service"]
