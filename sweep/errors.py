"""Every error that this project raises on purpose.

    SweepError
    ├── SpecError             a spec that cannot run; lists every bad field
    ├── SpecTooLarge          a document or a search space past its limits
    ├── BadCode               an archive of code that is not taken; says which entry and why
    ├── QueryError            a filter or sort that cannot be read
    │   └── ParameterError    a parameter of a question that does not fit the sweep
    ├── NotFound              no such sweep, trial, token or trainable
    ├── Conflict              a transition that the present state forbids
    │   └── Fenced            a driver whose lease a successor holds
    ├── Unauthorized          no token, or one that is unknown or revoked
    ├── Forbidden             a token that is good for something else
    ├── ServiceUnavailable    the service cannot be reached or is not ready
    │   └── TooManyRequests   the service has too much to do; says when to ask again
    ├── StorageFailed         a saved state cannot be written, read or removed
    └── TrialFault            what a trial's code did against the rules of `run`

Each class carries the `code` and HTTP `status` of its problem document
(RFC 9457), so that one small map serves the API and the client both ways.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class SweepError(Exception):
    """Something in the sweep service went wrong."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        """What was wrong, in one sentence or two."""
        return str(self.args[0])


@dataclass(frozen=True)
class FieldProblem:
    """One bad field of a spec: where it is, and what is wrong with it."""

    path: str
    message: str


class SpecError(SweepError):
    """The sweep spec is not valid."""

    code = "invalid-spec"
    status = 422

    def __init__(self, problems: Sequence[FieldProblem] | str) -> None:
        if isinstance(problems, str):
            problems = [FieldProblem(path="", message=problems)]
        self.problems = tuple(problems)
        super().__init__(
            "; ".join(f"{p.path}: {p.message}" if p.path else p.message for p in self.problems)
        )


class SpecTooLarge(SweepError):
    """The document is larger than the service takes."""

    code = "too-large"
    status = 413


class BadCode(SweepError):
    """The archive of code is not one that this service takes."""

    code = "bad-code"
    status = 422

    def __init__(self, message: str | None = None, *, entry: str | None = None) -> None:
        where = f"entry {entry!r:.300} " if entry is not None else ""
        super().__init__(where + message if message else message)
        self.problems = (FieldProblem(f"entry.{entry}"[:1_000], message or ""),) if entry else ()


class QueryError(SweepError):
    """The filter or sort cannot be read."""

    code = "invalid-query"
    status = 422

    def __init__(
        self,
        message: str,
        column: int | None = None,
        *,
        part: str | None = None,
        text: str | None = None,
    ) -> None:
        super().__init__(message)
        self.column = column
        """Where in the text, from 1."""
        self.part = part
        """Which text: filter, sort or fields."""
        self.text = text
        """The text itself, where it is known."""


class ParameterError(QueryError):
    """A parameter of the question does not fit."""

    code = "invalid-parameter"

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(f"{parameter}: {message}" if parameter else message)
        self.problems = (FieldProblem(f"query.{parameter}", message),) if parameter else ()


class NotFound(SweepError):
    """There is no such thing."""

    code = "not-found"
    status = 404


class Conflict(SweepError):
    """The present state does not allow that."""

    code = "conflict"
    status = 409


class Fenced(Conflict):
    """A successor holds this driver's lease; its reports are refused."""

    code = "fenced"


class Unauthorized(SweepError):
    """A valid bearer token is needed."""

    code = "unauthorized"
    status = 401


class Forbidden(SweepError):
    """This token does not give access to that."""

    code = "forbidden"
    status = 403


class ServiceUnavailable(SweepError):
    """The sweep service cannot be reached."""

    code = "unavailable"
    status = 503


class TooManyRequests(ServiceUnavailable):
    """The service has too much to do now."""

    code = "too_many_requests"
    status = 429

    def __init__(self, message: str | None = None, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """When to ask again, in seconds."""


class StorageFailed(SweepError):
    """A saved state cannot be written, read or removed."""

    code = "storage-failed"
    status = 503


class TrialFault(SweepError):
    """A trial's code broke a rule of its `run` object."""

    code = "trial-fault"
    status = 422
