"""Whether a sweep may start from the trials of the sweeps that it names."""

from collections.abc import Iterator

from service.store.interface import Store
from sweep.errors import FieldProblem, NotFound, SpecError
from sweep.searches import ModelSearch
from sweep.spec import SweepSpec


def check_warm_start(spec: SweepSpec, store: Store) -> None:
    """Refuse a warm start from sweeps that are not there, or sought something else.

    Raises:
        SpecError: with every one of them.
    """
    if isinstance(spec.search, ModelSearch) and spec.search.warm_start is not None:
        problems = list(_problems(spec, spec.search.warm_start.sweeps, store))
        if problems:
            raise SpecError(problems)


def _problems(spec: SweepSpec, named: tuple[str, ...], store: Store) -> Iterator[FieldProblem]:
    for i, sweep_id in enumerate(named):
        path = f"search.warm_start.sweeps[{i}]"
        try:
            metric = store.get_sweep(sweep_id).spec.metric
        except NotFound:
            yield FieldProblem(path, f"there is no sweep {sweep_id!r}: give ids of sweeps here")
            continue
        found, wanted = (metric.name, metric.mode), (spec.metric.name, spec.metric.mode)
        if found != wanted:
            yield FieldProblem(
                path,
                f"sweep {sweep_id} sought the {found[1]} of {found[0]!r}, and this one seeks the "
                f"{wanted[1]} of {wanted[0]!r}: name sweeps of the same metric and mode",
            )
