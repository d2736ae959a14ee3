"""Bearer tokens: made, hashed, compared.

A user's token opens every route but the driver's, and the upload of code only with the role
`code`; a driver's token opens the driver
routes of one sweep. Only SHA-256 hashes are stored: the secrets are 256 random bits,
so a slow hash would add nothing.

A browser has its user's token in a cookie that scripts cannot read. A cookie travels with
whatever makes a browser ask, so a request that changes something and has no more than the
cookie is refused: the page adds a header that other sites cannot add.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args
from urllib.parse import SplitResult, urlsplit

from service.settings import is_loopback
from service.store.interface import DriverIdentity, Store
from sweep.errors import Forbidden, Unauthorized
from sweep.records import NewToken, TokenRole

USER_PREFIX = "swp_"
DRIVER_PREFIX = "swd_"
LOCAL_ACTOR = "local"
COOKIE = "sweep_token"
PAGE_HEADER = "x-sweep-page"

_TOUCH_EVERY = timedelta(minutes=1)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Caller:
    """What a request says of who made it."""

    authorization: str | None
    host: str | None
    origin: str | None
    method: str = "GET"
    cookie: str | None = None
    """The token of the page's cookie."""
    from_page: bool = False
    """Whether it has the header that the page alone can add."""


def hash_secret(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_driver_token() -> tuple[str, str]:
    """A driver's secret and its hash."""
    secret = DRIVER_PREFIX + secrets.token_urlsafe(32)
    return secret, hash_secret(secret)


@dataclass(frozen=True)
class Identity:
    """Who makes a request to a user's route."""

    name: str
    roles: frozenset[TokenRole]

    def check(self, role: TokenRole) -> None:
        """Raise `Forbidden` unless the role is there."""
        if role not in self.roles:
            raise Forbidden(
                f"this needs a token with the role {role!r}: an operator makes one with "
                f"`python -m service token NAME --role {role}`"
            )


def issue_token(
    store: Store, *, token_id: str, name: str, now: datetime, roles: Sequence[TokenRole] = ()
) -> NewToken:
    """Make and store a user's token; its secret is shown here and never again."""
    secret = USER_PREFIX + secrets.token_urlsafe(32)
    record = store.create_token(
        token_id, name=name, token_hash=hash_secret(secret), now=now, roles=sorted(set(roles))
    )
    return NewToken(**record.model_dump(), secret=secret)


def authenticate_user(store: Store, caller: Caller, *, embedded: bool, now: datetime) -> Identity:
    """Who makes a request to a user's route; in embedded mode somebody with every role.

    Raises:
        Unauthorized: without a live token, unless in embedded mode.
        Forbidden: with a driver's token, or in embedded mode from another site.
    """
    if embedded:
        _refuse_other_sites(caller)
        return Identity(LOCAL_ACTOR, frozenset(get_args(TokenRole)))
    secret = _user_secret(caller)
    if secret.startswith(DRIVER_PREFIX):
        raise Forbidden("a driver's token is good for driver routes alone")
    return _owner(store, secret, now=now)


def _owner(store: Store, secret: str, *, now: datetime) -> Identity:
    given = hash_secret(secret)
    found = None
    for record, token_hash in store.live_token_hashes():
        if hmac.compare_digest(given, token_hash):
            found = record
    if found is None:
        raise Unauthorized("this bearer token is not known, or was revoked")
    if found.last_used_at is None or now - found.last_used_at > _TOUCH_EVERY:
        store.touch_token(found.id, now=now)
    return Identity(found.name, frozenset(found.roles))


def authenticate_driver(store: Store, caller: Caller) -> DriverIdentity:
    """Which driver makes a request to a driver route.

    Raises:
        Unauthorized: without a driver's token that is known.
        Forbidden: with a user's token.
    """
    secret = _bearer(caller)
    if secret.startswith(USER_PREFIX):
        raise Forbidden("driver routes are for drivers' own tokens alone")
    driver = store.identify_driver(hash_secret(secret))
    if driver is None:
        raise Unauthorized("this driver's token is not known")
    return driver


def _user_secret(caller: Caller) -> str:
    if caller.authorization is not None or not caller.cookie:
        return _bearer(caller)
    if caller.method not in _SAFE_METHODS and not caller.from_page:
        raise Forbidden(
            f"a request that changes something needs the header '{PAGE_HEADER}' beside the cookie"
        )
    return caller.cookie


def _bearer(caller: Caller) -> str:
    scheme, _, secret = (caller.authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorized(
            "this needs a bearer token: send the header 'Authorization: Bearer swp_…' "
            "(`python -m service token NAME` makes the first one)"
        )
    return secret.strip()


def _refuse_other_sites(caller: Caller) -> None:
    """A web page that the user visits must not drive a service that asks for no token."""
    refuse_other_hosts(caller.host)
    if caller.origin is not None and _split(caller.origin).netloc != caller.host:
        raise Forbidden(f"requests from another site ({caller.origin!r:.100}) are refused")


def refuse_other_hosts(header: str | None) -> None:
    """A name that another site had pointed at this machine must not open the service.

    Raises:
        Forbidden: when the Host header names no loopback address.
    """
    host = _split(f"//{header or ''}").hostname
    if host is None or not is_loopback(host):
        raise Forbidden(f"this service answers to loopback addresses alone, not to {host!r:.100}")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise Forbidden(f"the Host or Origin header holds no address: {url!r:.100}") from None
