"""Saved states in an S3 bucket: a real server over HTTP, and the client that users install."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sweep.errors import StorageFailed
from sweep.metric import Metric
from sweep.spec import CheckpointPolicy
from sweep.storage import open_folder, split
from workers.driver.checkpoints import Checkpoints, for_each

pytest.importorskip("s3fs", reason="needs s3fs: pip install s3fs 'moto[server]'")
moto = pytest.importorskip("moto.server", reason="needs a server: pip install 'moto[server]'")

BUCKET = "s3://states/sweeps"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server on loopback."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    import s3fs

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    if not system.exists("states"):
        system.mkdir("states")
    return BUCKET


def attempt(folder: str, number: int = 1, **policy: object) -> Checkpoints:
    return Checkpoints(
        folder,
        attempt=number,
        metric=Metric(name="score", mode="max"),
        policy=CheckpointPolicy.model_validate(policy),
    )


def test_states_are_saved_restored_kept_and_removed(bucket: str) -> None:
    folder = f"{bucket}/a/a-0"
    first = attempt(folder, keep_best=True)
    for step, score in ((1, 0.9), (2, 0.1), (3, 0.2), (4, 0.3), (5, 0.4)):
        first.observe({"score": score})
        last = first.save(step, {"step": step, "weights": bytes(100_000)})
    first.tidy()
    left = [f"1-{step}-after-0-0.state" for step in (1, 4, 5)]
    assert sorted(open_folder(folder).names()) == left
    opened = open_folder(folder)
    name = split(last)[1]
    opened.write(name, opened.read(name)[:1_000])
    second = attempt(folder, 2, keep_best=True)
    found = second.restore(last, 5)
    assert found is not None
    assert (found.step, second.best) == (4, f"{folder}/1-1-after-0-0.state")
    second.save(6, {"step": 6})
    assert name not in open_folder(folder).names(), "it was given up"
    assert open_folder(f"{bucket}/a").clear()
    assert open_folder(folder).names() == []
    assert not open_folder(f"{bucket}/a").clear()


def test_a_pack_s_members_are_saved_at_once(bucket: str) -> None:
    members = [attempt(f"{bucket}/p/p-{index}") for index in range(40)]
    uris = for_each(lambda states: states.save(1, {"step": 1}), members)
    again = [(attempt(split(uri)[0], 2), uri) for uri in uris]
    found = for_each(lambda pair: pair[0].restore(pair[1], 1), again)
    assert [state.uri for state in found if state is not None] == uris


def test_two_writers_of_one_name_leave_one_whole_state(bucket: str) -> None:
    folder = f"{bucket}/w/w-0"
    with ThreadPoolExecutor(4) as pool:
        uris = set(
            pool.map(lambda n: attempt(folder).save(1, {"by": bytes([n]) * 50_000}), range(8))
        )
    (uri,) = uris
    found = attempt(folder, 2).restore(uri, 1)
    assert found is not None
    assert len(set(found.state["by"])) == 1


def test_a_bucket_that_is_not_there_is_told_and_not_made(bucket: str) -> None:
    import s3fs

    with pytest.raises(StorageFailed, match=r"s3://nobodys-bucket/x/1-1-after-0-0\.state"):
        attempt("s3://nobodys-bucket/x").save(1, {})
    assert not s3fs.S3FileSystem().exists("nobodys-bucket")
