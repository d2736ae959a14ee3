"""Archives of code over REST: what is kept, what is refused, who may send one."""

import hashlib
import io
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, event, text

from service.app import create_app
from service.auth import issue_token, new_driver_token
from service.settings import Settings
from service.store.interface import Store
from service.store.open import migrate, open_store
from tests.unit.api.conftest import TOY, Clock
from tests.unit.api.test_auth import bearer
from tests.unit.archives import ATTACKS, FILES, archive, entry, files, with_long_end
from tests.unit.store.builders import LEASE, START

GOOD = files()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(client: TestClient, content: bytes, address: str | None = None, **more: Any) -> Any:
    return client.put(f"/v1/code/{address or digest(content)}", content=content, **more)


def spec(trainable: str = "train:fn", content: bytes = GOOD, **fields: Any) -> dict[str, Any]:
    return {
        "name": "own",
        "trainable": trainable,
        "metric": {"name": "score", "mode": "max"},
        "parameters": {"x": {"grid": [1, 2]}},
        "code": f"sha256:{digest(content)}",
        **fields,
    }


def rows(tmp_path: Path) -> tuple[int, ...]:
    """How many rows there are of archives, pieces and ties to sweeps."""
    engine = create_engine(f"sqlite:///{tmp_path / 'sweep.db'}")
    with closing(engine.connect()) as connection:
        found = tuple(
            int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
            for table in ("code", "code_chunks", "sweep_code")
        )
    engine.dispose()
    return found


@contextmanager
def noted(table: str) -> Iterator[list[str]]:
    """The statements that name a table."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if table in statement:
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@contextmanager
def small_app(folder: Path) -> Iterator[TestClient]:
    """The app with limits that tests reach."""
    home, url = folder / "home", f"sqlite:///{folder / 'sweep.db'}"
    home.mkdir(exist_ok=True)
    migrate(url)
    settings = Settings(
        home=home, embedded=True, code_max_mb=1, code_max_unpacked_mb=16, code_max_files=50
    )
    ids = (f"id{i}" for i in count(1))
    with closing(open_store(url)) as store:
        app = create_app(
            store=store,
            settings=settings,
            clock=Clock(),
            new_id=lambda: next(ids),
            trainables={"toy": TOY},
        )
        with TestClient(app, base_url="http://127.0.0.1:8080") as made:
            yield made


@dataclass(frozen=True)
class Shared:
    """An app that many tests share, each of which leaves it as it was."""

    client: TestClient
    folder: Path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    with small_app(folder) as made:
        yield Shared(made, folder)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One more such app, for tests that keep archives."""
    with small_app(tmp_path_factory.mktemp("kept")) as made:
        yield made


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused_and_leave_nothing(
    shared: Shared, tmp_path: Path, attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    content, message = ATTACKS[attack]
    answer = put(shared.client, content)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "bad-code"), problem
    assert message in problem["detail"]
    assert rows(shared.folder) == (0, 0, 0)
    assert list((shared.folder / "home").iterdir()) == list(tmp_path.iterdir()) == []
    assert shared.client.get(f"/v1/code/{digest(content)}").status_code == 404


def test_a_refusal_names_the_entry(shared: Shared) -> None:
    problem = put(shared.client, ATTACKS["symbolic link"][0]).json()
    assert problem["problems"] == [{"path": "entry.x", "message": "is a symbolic link"}]


def test_files_beside_the_code_may_have_names_of_ours(kept: TestClient) -> None:
    content = files({**FILES, "sweep.yaml": "", "ray/data.so": "", "pkg/sweep.py": ""})
    assert put(kept, content).status_code == 201


def test_an_archive_in_an_archive_is_one_file(kept: TestClient) -> None:
    inner = entry("data.zip")
    inner.compress_type = zipfile.ZIP_STORED
    many = files({f"{i}.txt": "" for i in range(60)})
    answer = put(kept, archive((entry("train.py"), b""), (inner, many)))
    assert (answer.status_code, answer.json()["files"]) == (201, 2)


def test_a_directory_may_end_as_one_of_very_many_entries(kept: TestClient) -> None:
    answer = put(kept, with_long_end())
    assert (answer.status_code, answer.json()["files"]) == (201, len(FILES))


def test_a_wrong_or_cut_off_body_is_refused(shared: Shared) -> None:
    small = shared.client
    for body in (GOOD[:-7], GOOD + b"x"):
        answer = put(small, body, digest(GOOD))
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-code")
        assert "the address says" in answer.json()["detail"]
    assert put(small, GOOD, "A" * 64).status_code == 422
    assert rows(shared.folder) == (0, 0, 0)


def test_a_body_past_the_limit_is_not_read(shared: Shared) -> None:
    answer = put(shared.client, os.urandom((1 << 20) + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert rows(shared.folder) == (0, 0, 0)


def test_a_large_archive_comes_back_byte_for_byte(client: TestClient, store: Store) -> None:
    content = files({**FILES, "data.txt": os.urandom(1_500_000).hex()})
    assert len(content) > 1 << 20
    made = put(client, content)
    assert made.status_code == 201
    assert made.json() | {"created_at": None} == {
        "code": f"sha256:{digest(content)}",
        "size": len(content),
        "files": 4,
        "unpacked": sum(map(len, FILES.values())) + 3_000_000,
        "created_by": "local",
        "created_at": None,
    }
    assert put(client, content).json() == made.json()
    assert client.get(f"/v1/code/{digest(content)}").status_code == 200
    client.post("/v1/sweeps", json=spec(content=content)).raise_for_status()
    secret, token_hash = new_driver_token()
    store.start_driver("id1", after_epoch=0, token_hash=token_hash, now=START, lease=LEASE)
    got = client.get("/v1/driver/code", headers=bearer(secret))
    assert got.content == content
    assert zipfile.ZipFile(io.BytesIO(got.content)).testzip() is None


def test_a_driver_gets_its_own_sweeps_code_alone(client: TestClient, store: Store) -> None:
    put(client, GOOD)
    client.post("/v1/sweeps", json=spec()).raise_for_status()
    plain = {k: v for k, v in spec("somewhere:fn").items() if k != "code"}
    client.post("/v1/sweeps", json=plain).raise_for_status()
    found = []
    for sweep in ("id1", "id2"):
        secret, token_hash = new_driver_token()
        store.start_driver(sweep, after_epoch=0, token_hash=token_hash, now=START, lease=LEASE)
        found.append(client.get("/v1/driver/code", headers=bearer(secret)))
    assert [answer.status_code for answer in found] == [200, 404]
    assert found[0].content == GOOD


@pytest.mark.parametrize(
    ("trainable", "message"),
    [
        ("train:fn", None),
        ("pkg.deep:fn", None),
        ("train.py", None),
        ("pkg/deep.py", None),
        ("absent:fn", "neither absent.py nor absent/__init__.py; it has pkg/__init__.py"),
        ("train:other", "train.py in the sweep's code defines no 'other' at its top level"),
        ("pkg:fn", "pkg/__init__.py in the sweep's code defines no 'fn'"),
        ("absent.py", "there is no file 'absent.py'"),
    ],
)
def test_a_trainable_must_be_in_the_archive(
    kept: TestClient, trainable: str, message: str | None
) -> None:
    client = kept
    put(client, GOOD)
    answer = client.post("/v1/sweeps", json=spec(trainable))
    if message is None:
        assert answer.status_code == 201
        return
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-spec")
    assert [problem["path"] for problem in answer.json()["problems"]] == ["trainable"]
    assert message in answer.json()["detail"]


def test_an_archive_is_read_once_for_each_trainable_that_it_has(client: TestClient) -> None:
    put(client, GOOD)

    def reads(trainable: str, *, dry_run: bool = True) -> int:
        with noted("code_chunks") as read:
            client.post(f"/v1/sweeps?dry_run={dry_run}", json=spec(trainable))
        return len(read)

    assert reads("train:fn") > 0
    assert reads("train:fn") == reads("train:fn", dry_run=False) == 0
    assert reads("pkg.deep:fn") > 0
    assert reads("train:absent") > 0


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def fn(:\n", "cannot be read as Python"),
        ("x = " + "(" * 50_000, "c"),
        ("x = " + "-" * 100_000 + "1", "nested too deeply"),
        ("#" * 1_000_001, "more than 1,000,000 bytes"),
        ("def outer():\n    def fn(): ...\n", "defines no 'fn'"),
        ("class fn: ...", None),
        ("fn: int = 1", None),
        ("fn: int", "defines no 'fn'"),
        ("a, (b, fn) = 1, (2, 3)", None),
        ("from elsewhere import train as fn", None),
        ("from elsewhere import *", None),
        ("try:\n    import fast\nexcept ImportError:\n    def fn(): ...", None),
        ("if True:\n    pass\nelse:\n    fn = 1", None),
        ("match a:\n    case 1:\n        fn = 1", None),
        ("match a:\n    case {'x': fn}: ...", None),
        ("try: ...\nexcept* OSError:\n    def fn(): ...", None),
        ("def __getattr__(name): ...", None),
        ("globals()['fn'] = 1", None),
        ("def make():\n    global fn\n    fn = 1\nmake()", None),
        ("print(fn := 1)", None),
        ("a, *fn = 1, 2", None),
        ("for fn in a: ...", None),
        ("with a as fn: ...", None),
        ("a = [fn for fn in b]", "defines no 'fn'"),
        ("a.fn = a[fn] = 1", "defines no 'fn'"),
        ("class A:\n    fn = 1", "defines no 'fn'"),
        ("try: ...\nexcept OSError as fn: ...", "defines no 'fn'"),
        ("if a:\n    pass\n" + "elif a:\n    pass\n" * 1_100 + "else:\n    fn = 1", None),
    ],
)
def test_functions_are_found_without_running_anything(
    kept: TestClient, source: str, message: str | None
) -> None:
    client = kept
    content = files({"train.py": source})
    put(client, content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        answer = client.post("/v1/sweeps", json=spec(content=content))
    assert answer.status_code == (201 if message is None else 422), answer.text
    assert message is None or message in answer.json()["detail"]


def test_a_sweep_needs_its_archive_and_a_dry_run_does_not(client: TestClient) -> None:
    refused = client.post("/v1/sweeps", json=spec())
    assert (refused.status_code, refused.json()["problems"][0]["path"]) == (422, "code")
    assert client.post("/v1/sweeps?dry_run=true", json=spec()).json()["trials"] == 2
    installed = client.post("/v1/sweeps?dry_run=true", json=spec("toy"))
    assert "leave code out" in installed.json()["detail"]


def test_unused_archives_go_after_a_while(
    client: TestClient, store: Store, clock: Clock, tmp_path: Path
) -> None:
    other = files({"other.py": ""})
    put(client, GOOD)
    client.post("/v1/sweeps", json=spec()).raise_for_status()
    clock.pass_by(25 * 3600)
    put(client, other)
    assert rows(tmp_path) == (2, 2, 1)  # the first one is old, and its sweep is there
    client.post("/v1/sweeps/id1/cancel").raise_for_status()
    client.delete("/v1/sweeps/id1").raise_for_status()
    assert rows(tmp_path) == (1, 1, 0)
    assert client.get(f"/v1/code/{digest(other)}").status_code == 200
    kinds = [event.kind for event in store.list_events().items]
    assert kinds.count("code.added") == 2
    assert kinds.count("code.removed") == 1


def test_only_the_role_code_uploads_and_passes_itself_on(
    guarded: TestClient, store: Store, tmp_path: Path
) -> None:
    ann = bearer(issue_token(store, token_id="t1", name="ann", now=START).secret)
    operator = bearer(
        issue_token(store, token_id="t2", name="op", now=START, roles=["code"]).secret
    )
    path = f"/v1/code/{digest(GOOD)}"
    refused = [
        put(guarded, GOOD, headers=ann),
        guarded.get(path, headers=ann),
        guarded.get("/v1/code", headers=ann),
        guarded.post("/v1/tokens", json={"name": "bob", "roles": ["code"]}, headers=ann),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "--role code" in answer.json()["detail"]
    assert put(guarded, GOOD).status_code == 401
    assert rows(tmp_path) == (0, 0, 0)
    made = guarded.post("/v1/tokens", json={"name": "bob", "roles": ["code"]}, headers=operator)
    assert made.json()["roles"] == ["code"]
    assert put(guarded, GOOD, headers=bearer(made.json()["secret"])).status_code == 201
    assert guarded.post("/v1/sweeps", json=spec(), headers=ann).status_code == 201
    assert [token.roles for token in store.list_tokens()] == [(), ("code",), ("code",)]
