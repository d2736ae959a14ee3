"""A sweep with very many trials, made inside the database."""

from sqlalchemy import insert, literal_column, select, text, true, update

from service.store.sql.engine import make_engine
from service.store.tables import sweeps, trials


def multiply(url: str, sweep_id: str, count: int) -> None:
    """Copy a sweep's trial 0 until it has so many; every copy has a best of its own."""
    engine = make_engine(url)
    numbers = (
        f"WITH RECURSIVE n(i) AS (SELECT {count - 1} UNION ALL SELECT i - 1 FROM n WHERE i > 1) "
        "SELECT i FROM n"
    )
    with engine.execution_options(writes=True).begin() as connection:
        key = connection.execute(select(sweeps.c.pk).where(sweeps.c.id == sweep_id)).scalar_one()
        mine = trials.c.sweep_pk == key
        connection.execute(trials.delete().where(mine, trials.c["index"] != 0))
        n = text(numbers).columns(literal_column("i")).subquery()
        copied = {column.name: column for column in trials.c if column.name != "pk"}
        copied.update({"index": n.c.i, "best": n.c.i * 1.0 / count})
        connection.execute(
            insert(trials).from_select(
                list(copied),
                select(*copied.values())
                .select_from(trials.join(n, true()))
                .where(mine, trials.c["index"] == 0),
            )
        )
        connection.execute(update(sweeps).where(sweeps.c.pk == key).values(num_trials=count))
        if engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE trials"))
    engine.dispose()
