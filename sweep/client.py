"""The Python client of the sweep service.

with Client() as client:
    sweep = client.submit("sweep.yaml")
    client.wait(sweep.id)
    frame = client.trials(sweep.id, filter="best > 0.9", sort="-best").to_pandas()
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import platformdirs
from pydantic import TypeAdapter
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from sweep import errors
from sweep.asking import AnalysisCalls
from sweep.code import check_packed, packed, upload
from sweep.documents import spec_document, with_code
from sweep.errors import (
    FieldProblem,
    NotFound,
    QueryError,
    ServiceUnavailable,
    SpecError,
    SweepError,
)
from sweep.guard import Guard
from sweep.listing import Listing, SweepListing, TrialListing
from sweep.live import LiveEvent
from sweep.records import (
    CodeLimits,
    CodeRecord,
    DryRun,
    EventRecord,
    LogPage,
    LogRecord,
    NewToken,
    Page,
    Problem,
    QueryField,
    ReportRecord,
    RungRecord,
    SweepRecord,
    TokenRecord,
    TokenRole,
    TrainableRecord,
    TrialRecord,
)
from sweep.spec import SweepSpec
from sweep.states import FINAL_SWEEP_STATES, FINAL_TRIAL_STATES
from sweep.streaming import READ_TIMEOUT_S, follow_events
from sweep.study.records import StudyRecord, StudyReport, StudySpec

DEFAULT_URL = "http://127.0.0.1:8080"

EXPORT_FORMATS = ("csv", "parquet", "arrow")

_ATTEMPTS = 4

_BY_CODE: Mapping[str, type[SweepError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, SweepError)
}


def home_folder() -> Path:
    """Where a local service keeps its files."""
    return Path(os.environ.get("SWEEP_HOME") or platformdirs.user_data_dir("sweep"))


def default_url() -> str:
    """SWEEP_URL, or where the local service says that it is, or the usual address."""
    if url := os.environ.get("SWEEP_URL"):
        return url
    try:
        url = json.loads((home_folder() / "server.json").read_text())["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_URL
    return str(url)


class Client(AnalysisCalls):
    """Calls the service's REST API; every error is one of `sweep.errors`."""

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = 30
    ) -> None:
        self.url = (url or default_url()).rstrip("/")
        token = token or os.environ.get("SWEEP_TOKEN")
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(timeout, connect=5),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    # Sweeps

    def submit(
        self,
        spec: SweepSpec | Mapping[str, Any] | Path | str,
        *,
        code: Path | str | None = None,
    ) -> SweepRecord:
        """Post a sweep: a spec, plain data, a YAML or JSON file's path, or its text.

        Args:
            spec: the sweep.
            code: a folder of your own code, which is uploaded and becomes the spec's `code`.

        Raises:
            BadCode: when the folder cannot be packed, or its archive is refused.
        """
        document = spec_document(spec)
        if code is not None:
            document = with_code(document, self.upload_code(code).code)
        answer = self._send("POST", "/v1/sweeps", document)
        return SweepRecord.model_validate_json(answer.content)

    def dry_run(
        self,
        spec: SweepSpec | Mapping[str, Any] | Path | str,
        *,
        code: Path | str | None = None,
    ) -> DryRun:
        """What a spec would run; nothing is stored, and no code uploaded, but it is checked.

        Raises:
            SpecError: also when the code has not what the trainable names.
            BadCode: when the folder of code cannot be packed.
        """
        document = spec_document(spec)
        if code is not None:
            with packed(code, self._code_limits()) as (archive, file):
                document = with_code(document, archive.address)
                check_packed(file, document)
        answer = self._send("POST", "/v1/sweeps?dry_run=true", document)
        return DryRun.model_validate_json(answer.content)

    def upload_code(self, folder: Path | str) -> CodeRecord:
        """Upload a folder of code, unless the service has the same already.

        Raises:
            BadCode: when it cannot be packed, or is refused.
        """
        limits = self._code_limits()
        with self._guard():
            answer = upload(self._http, folder, limits)
        if not answer.is_success:
            raise _error(answer)
        return CodeRecord.model_validate_json(answer.content)

    def sweeps(
        self, *, state: str | None = None, filter: str | None = None, sort: str | None = None
    ) -> SweepListing[SweepRecord]:
        """Sweeps, newest first without a sort."""
        asked = {"state": state, "filter": filter, "sort": sort}
        return SweepListing(self, "/v1/sweeps", SweepRecord, asked)

    def sweep(self, sweep_id: str) -> SweepRecord:
        """One sweep."""
        return SweepRecord.model_validate_json(self.get(_at("/v1/sweeps", sweep_id)))

    def cancel(self, sweep_id: str) -> SweepRecord:
        """Cancel a sweep."""
        return self._ask(sweep_id, "cancel")

    def pause(self, sweep_id: str) -> SweepRecord:
        """Pause a sweep; its trials go on later from their saved states."""
        return self._ask(sweep_id, "pause")

    def resume(self, sweep_id: str) -> SweepRecord:
        """Let a paused sweep go on."""
        return self._ask(sweep_id, "resume")

    def retry(self, sweep_id: str) -> SweepRecord:
        """Have a sweep's failed trials tried again."""
        return self._ask(sweep_id, "retry")

    def edit(self, sweep_id: str, changes: Mapping[str, Any]) -> SweepRecord:
        """Change a sweep: see `sweep.editing.SweepEdit` for what may change."""
        answer = self._send("PATCH", _at("/v1/sweeps", sweep_id), spec_document(changes))
        return SweepRecord.model_validate_json(answer.content)

    def delete(self, sweep_id: str) -> None:
        """Delete a sweep that has ended."""
        self._send("DELETE", _at("/v1/sweeps", sweep_id))

    def wait(
        self,
        sweep_id: str,
        *,
        poll: float = 1.0,
        on_update: Callable[[SweepRecord], None] | None = None,
    ) -> SweepRecord:
        """Wait until a sweep has ended; `on_update` hears of it every `poll` seconds."""
        while True:
            sweep = self.sweep(sweep_id)
            if on_update is not None:
                on_update(sweep)
            if sweep.state in FINAL_SWEEP_STATES:
                return sweep
            time.sleep(poll)

    def events(self, sweep_id: str, *, last_event_id: str | None = None) -> Iterator[LiveEvent]:
        """What changes of a sweep, as it changes, until it has ended.

        Goes on where it was when the connection is lost or the service starts again.

        Args:
            sweep_id: the sweep.
            last_event_id: goes on after the event of that id, or after a sweep's `version`;
                0: all trials are told. By default from now on.
        """
        path = _at("/v1/sweeps", sweep_id, "events")
        return follow_events(lambda last: self._stream(path, last), last_event_id)

    def follow(
        self, sweep_id: str, on_update: Callable[[SweepRecord], None], *, poll: float = 1.0
    ) -> SweepRecord:
        """Wait until a sweep has ended; `on_update` hears of it whenever it changes.

        An older service, which has no live events, is asked every `poll` seconds.
        """
        sweep = self.sweep(sweep_id)
        try:
            for event in self.events(sweep_id):
                if event.sweep is not None:
                    on_update(SweepRecord(spec=sweep.spec, **dict(event.sweep)))
        except NotFound:
            return self.wait(sweep_id, poll=poll, on_update=on_update)
        return self.sweep(sweep_id)

    # Results

    def trials(
        self, sweep_id: str, *, filter: str | None = None, sort: str | None = None
    ) -> TrialListing:
        """A sweep's trials."""
        path = _at("/v1/sweeps", sweep_id, "trials")
        return TrialListing(self, path, TrialRecord, {"filter": filter, "sort": sort})

    def query_fields(self, sweep_id: str | None = None) -> list[QueryField]:
        """The fields that queries may name: of a sweep's trials, or of sweeps."""
        asked = {} if sweep_id is None else {"sweep": sweep_id}
        return TypeAdapter(list[QueryField]).validate_json(self.get("/v1/query/fields", asked))

    def trial(self, trial_id: str) -> TrialRecord:
        """One trial."""
        return TrialRecord.model_validate_json(self.get(_at("/v1/trials", trial_id)))

    def reports(self, trial_id: str) -> Listing[ReportRecord]:
        """What a trial reported, by step."""
        return Listing(self, _at("/v1/trials", trial_id, "reports"), ReportRecord, {})

    def logs(
        self, trial_id: str, *, stream: str | None = None, tail: int | None = None
    ) -> Listing[LogRecord]:
        """What was printed while a trial trained, attempt after attempt.

        Args:
            trial_id: the trial.
            stream: only `stdout` or `stderr`.
            tail: only so many lines from the end.
        """
        path = _at("/v1/trials", trial_id, "logs")
        return Listing(self, path, LogRecord, {"stream": stream, "tail": tail})

    def follow_logs(
        self,
        trial_id: str,
        *,
        stream: str | None = None,
        tail: int | None = None,
        poll: float = 1.0,
    ) -> Iterator[LogRecord]:
        """As `logs`, and then what is printed until the trial has ended.

        Args:
            trial_id: the trial.
            stream: only `stdout` or `stderr`.
            tail: of what is there already, only so many lines from the end.
            poll: seconds between two looks.
        """
        path = _at("/v1/trials", trial_id, "logs")
        asked = {k: v for k, v in {"stream": stream, "tail": tail}.items() if v is not None}
        ended = over = False
        while not over:
            page = LogPage.model_validate_json(self.get(path, asked))
            yield from page.items
            asked.pop("tail", None)
            asked["cursor"] = page.end_cursor
            if page.next_cursor is None:  # once more after the end: last words come late
                over, ended = ended, self.trial(trial_id).state in FINAL_TRIAL_STATES
                if not over:
                    time.sleep(poll)

    def rungs(self, sweep_id: str) -> Listing[RungRecord]:
        """A sweep's early-stopping decisions, in order."""
        return Listing(self, _at("/v1/sweeps", sweep_id, "rungs"), RungRecord, {})

    def audit(self, sweep_id: str, *, kind: str | None = None) -> Listing[EventRecord]:
        """Who changed what of a sweep, when; the events of one kind if it is given."""
        return Listing(self, _at("/v1/sweeps", sweep_id, "audit"), EventRecord, {"kind": kind})

    def export(
        self,
        sweep_id: str,
        to: Path | str,
        *,
        layout: str = "trials",
        filter: str | None = None,
        fields: Sequence[str] = (),
    ) -> None:
        """Write a sweep's trials to a file whose ending, .csv, .parquet or .arrow, is its format.

        Args:
            sweep_id: the sweep.
            to: the file. An `.arrow` file holds an Arrow IPC stream.
            layout: `trials`, or `published` for CSV as the trainable's results were published.
            filter: only trials that match.
            fields: only these columns.

        Raises:
            QueryError: when the file's ending is none of those.
        """
        asked = {"format": export_format(to), "layout": layout, "filter": filter}
        asked["fields"] = ",".join(fields) or None
        parameters = {name: value for name, value in asked.items() if value is not None}
        with (
            self.stream(_at("/v1/sweeps", sweep_id, "export"), parameters) as chunks,
            Path(to).open("wb") as file,
        ):
            file.writelines(chunks)

    # The rest

    def trainables(self) -> tuple[TrainableRecord, ...]:
        """The registered trainables."""
        adapter = TypeAdapter(Page[TrainableRecord])
        return adapter.validate_json(self.get("/v1/trainables")).items

    def studies(self) -> tuple[StudyRecord, ...]:
        """The studies that the service's installed packages offer."""
        return TypeAdapter(Page[StudyRecord]).validate_json(self.get("/v1/studies")).items

    def study(self, name: str, size: str | None = None) -> StudyReport:
        """What came of a study's claims in its newest run; of a size, or the last one run."""
        answer = self.get(_at("/v1/studies", name), {"size": size} if size else None)
        return StudyReport.model_validate_json(answer)

    def study_specs(self) -> tuple[StudySpec, ...]:
        """Every study's sweeps as they ship, as YAML."""
        return TypeAdapter(Page[StudySpec]).validate_json(self.get("/v1/studies/specs")).items

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a sweep spec."""
        found: dict[str, Any] = json.loads(self.get("/v1/schema/sweep"))
        return found

    def create_token(self, name: str, *, roles: Sequence[TokenRole] = ()) -> NewToken:
        """Make a bearer token; its secret is shown this once."""
        wanted = {"name": name, "roles": list(roles)} if roles else {"name": name}
        answer = self._send("POST", "/v1/tokens", json.dumps(wanted))
        return NewToken.model_validate_json(answer.content)

    def tokens(self) -> tuple[TokenRecord, ...]:
        """Every token, without secrets."""
        return TypeAdapter(Page[TokenRecord]).validate_json(self.get("/v1/tokens")).items

    def revoke_token(self, token: str) -> TokenRecord:
        """Make a token, named by id or name, worthless."""
        answer = self._send("DELETE", _at("/v1/tokens", token))
        return TokenRecord.model_validate_json(answer.content)

    def is_ready(self) -> bool:
        """Whether the service can be reached and its store answers."""
        try:
            return self._http.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> bytes:
        """The body that a GET answers; tried again for a while when the service is away."""
        retrying = Retrying(
            retry=retry_if_exception_type(ServiceUnavailable),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential_jitter(multiplier=0.1, max=2),
            reraise=True,
        )
        return retrying(self._get, path, parameters)

    @contextmanager
    def stream(self, path: str, parameters: Mapping[str, Any]) -> Iterator[Iterator[bytes]]:
        """The body that a GET answers, in pieces."""
        with self._guard(), self._http.stream("GET", path, params=dict(parameters)) as answer:
            if not answer.is_success:
                answer.read()
                raise _error(answer)
            yield answer.iter_bytes()

    def _get(self, path: str, parameters: Mapping[str, Any] | None) -> bytes:
        with self._guard():
            answer = self._http.get(path, params=dict(parameters or {}))
        if not answer.is_success:
            raise _error(answer)
        return answer.content

    @contextmanager
    def _stream(self, path: str, last: str | None) -> Iterator[httpx.Response]:
        headers = {} if last is None else {"Last-Event-ID": last}
        timeout = httpx.Timeout(READ_TIMEOUT_S, connect=5)
        with (
            self._guard(),
            self._http.stream("GET", path, headers=headers, timeout=timeout) as answer,
        ):
            if not answer.is_success:
                answer.read()
                raise _error(answer)
            yield answer

    def _code_limits(self) -> CodeLimits:
        return CodeLimits.model_validate_json(self.get("/v1/code"))

    def _ask(self, sweep_id: str, verb: str) -> SweepRecord:
        answer = self._send("POST", _at("/v1/sweeps", sweep_id, verb))
        return SweepRecord.model_validate_json(answer.content)

    def _send(self, method: str, path: str, body: str | None = None) -> httpx.Response:
        with self._guard():
            answer = self._http.request(
                method, path, content=body, headers={"Content-Type": "application/json"}
            )
        if not answer.is_success:
            raise _error(answer)
        return answer

    def _guard(self) -> Guard:
        return Guard(self.url)


def export_format(to: Path | str) -> str:
    """The format that a file's ending names.

    Raises:
        QueryError: when it names none.
    """
    found = Path(to).suffix.removeprefix(".")
    if found not in EXPORT_FORMATS:
        allowed = ", ".join(f".{name}" for name in EXPORT_FORMATS)
        raise QueryError(f"{Path(to).name!r} does not end in one of {allowed}")
    return found


def _at(*parts: str) -> str:
    first, *rest = parts
    return "/".join([first, *(quote(part, safe="") for part in rest)])


def _error(answer: httpx.Response) -> SweepError:
    """The error that a problem document stands for."""
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValueError:
        kind = ServiceUnavailable if answer.status_code in (429, 502, 503, 504) else SweepError
        return kind(f"the service answered {answer.status_code}: {answer.text[:300]}")
    if problem.code == SpecError.code:
        fields = [FieldProblem(p.get("path", ""), p.get("message", "")) for p in problem.problems]
        return SpecError(fields or problem.detail)
    if problem.code == QueryError.code:
        part = problem.problems[0].get("path") if problem.problems else None
        text = answer.request.url.params.get(part) if part else None
        return QueryError(problem.detail, problem.column, part=part, text=text)
    known = _BY_CODE.get(problem.code)
    return known(problem.detail) if known is not None else SweepError(problem.detail)
