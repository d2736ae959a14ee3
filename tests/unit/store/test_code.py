"""The contract of the part of the store that keeps archives of code."""

from datetime import datetime

import pytest
from sqlalchemy import Engine, event

from service.store.code import NewCode
from service.store.interface import Store
from sweep.errors import NotFound, SpecError
from sweep.records import CodeRecord
from tests.unit.store.builders import START, at, create

DIGEST = "ab" * 32
ADDRESS = f"sha256:{DIGEST}"


def add(store: Store, digest: str = DIGEST, *, now: datetime = START) -> CodeRecord:
    new = NewCode(digest, size=5, files=1, unpacked=9, created_by="ann", created_at=now)
    return store.add_code(new, [b"\x00ab", b"\xffc"])


def removed(store: Store, *, used_before: datetime, now: datetime) -> int:
    """How many archives go that were last used before a time."""

    def count() -> int:
        return [event.kind for event in store.list_events().items].count("code.removed")

    before = count()
    store.remove_unused_code(used_before=used_before, now=now)
    return count() - before


def test_an_archive_is_kept_once_and_read_in_pieces(store: Store) -> None:
    record = add(store)
    assert add(store, now=at(1)) == record == store.use_code(DIGEST, now=at(1))
    assert [event.kind for event in store.list_events().items].count("code.added") == 1
    assert (record.code, record.size, record.files, record.unpacked) == (ADDRESS, 5, 1, 9)
    assert (record.created_by, record.created_at) == ("ann", START)
    assert [store.code_chunk(DIGEST, seq) for seq in range(3)] == [b"\x00ab", b"\xffc", None]
    assert store.code_chunk("cd" * 32, 0) is None
    with pytest.raises(NotFound):
        store.use_code("cd" * 32, now=at(1))


def test_a_sweep_names_an_archive_that_is_there_or_is_not_stored(store: Store) -> None:
    with pytest.raises(SpecError, match="there is no code"):
        create(store, trainable="m:f", code=ADDRESS)
    with pytest.raises(NotFound):
        store.get_sweep("s1")
    add(store)
    assert create(store, trainable="m:f", code=ADDRESS).spec.code == ADDRESS
    assert store.code_of("s1").code == ADDRESS
    create(store, "s2")
    for sweep in ("s2", "absent"):
        with pytest.raises(NotFound):
            store.code_of(sweep)


def test_what_no_sweep_names_goes_when_it_was_not_used(store: Store) -> None:
    other = "cd" * 32
    add(store)
    add(store, other)
    create(store, trainable="m:f", code=ADDRESS, created_at=at(1))
    assert removed(store, used_before=at(0), now=at(9)) == 0
    assert removed(store, used_before=at(5), now=at(9)) == 1
    assert store.code_chunk(other, 0) is None
    store.cancel_sweep("s1", actor="ann", now=at(9))
    store.delete_sweep("s1", actor="ann", now=at(9))
    add(store, now=at(900))
    assert removed(store, used_before=at(900), now=at(2000)) == 0
    assert removed(store, used_before=at(901), now=at(2000)) == 1
    assert store.code_chunk(DIGEST, 0) is None


def test_a_use_is_noted_unless_one_was_just_before(store: Store) -> None:
    add(store)
    store.use_code(DIGEST, now=at(400))
    assert removed(store, used_before=at(400), now=at(9000)) == 0
    store.use_code(DIGEST, now=at(500))
    assert removed(store, used_before=at(401), now=at(9000)) == 1


def test_an_archive_is_locked_after_the_trials_are_there(store: Store) -> None:
    written: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        written.append(" ".join(statement.split()[:3]))

    add(store)
    event.listen(Engine, "before_cursor_execute", note)
    try:
        create(store, trainable="m:f", code=ADDRESS, created_at=at(3600))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert written.index("INSERT INTO trials") < written.index("UPDATE code SET")


def test_tokens_keep_their_roles(store: Store) -> None:
    store.create_token("t1", name="ann", token_hash="h1", now=START, roles=("code",))
    store.create_token("t2", name="bob", token_hash="h2", now=START)
    assert [token.roles for token in store.list_tokens()] == [("code",), ()]
    assert [token.roles for token, _ in store.live_token_hashes()] == [("code",), ()]
