"""Ray's token authentication, as the service takes part in it.

A cluster that runs with RAY_AUTH_MODE=token answers nobody without its token. The
service is given it as SWEEP_RAY_AUTH_TOKEN, or finds it where Ray itself looks:
RAY_AUTH_TOKEN, the file that RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token.
"""

from collections.abc import Mapping
from pathlib import Path

from service.settings import Settings
from sweep.errors import SweepError


def ray_token(settings: Settings, environment: Mapping[str, str]) -> str | None:
    """The cluster's token, or None where its authentication is off.

    Raises:
        SweepError: when it is on and there is no token.
    """
    if settings.ray_auth_token is not None:
        return settings.ray_auth_token.get_secret_value()
    if environment.get("RAY_AUTH_MODE") != "token":
        return None
    if environment.get("RAY_AUTH_TOKEN"):
        return environment["RAY_AUTH_TOKEN"]
    path = environment.get("RAY_AUTH_TOKEN_PATH")
    file = Path(path) if path else Path.home() / ".ray" / "auth_token"
    try:
        return file.read_text().strip()
    except OSError as error:
        raise SweepError(
            f"RAY_AUTH_MODE is token, but there is no token: {error}; "
            "set SWEEP_RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to its file"
        ) from None


def ray_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """What a driver needs in its environment to reach the cluster of `ray_address`."""
    token = ray_token(settings, environment)
    auth = {} if token is None else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    return {"RAY_ADDRESS": settings.ray_address or "", **auth}
