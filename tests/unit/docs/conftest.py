"""The app of the API's tests, for the queries in the text."""

from tests.unit.api.conftest import app, client, clock

__all__ = ["app", "client", "clock"]
