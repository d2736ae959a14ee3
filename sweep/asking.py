"""The client's questions about many trials at once."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sweep.analysis import (
    Aggregate,
    Comparison,
    Curves,
    Figure,
    Groups,
    Importance,
    Mode,
    ParetoFront,
    Pivot,
    Replicates,
    Savings,
)


class AnalysisCalls(ABC):
    """The part of `sweep.client.Client` that asks for analysis and figures."""

    @abstractmethod
    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> bytes:
        """The body that a GET answers."""

    def pivot(
        self,
        sweep_id: str,
        *,
        rows: str,
        columns: str,
        metric: str | None = None,
        aggregate: Aggregate = "max",
        threshold: float | None = None,
        mode: Mode | None = None,
        replicates: Replicates = "each",
        filter: str | None = None,
    ) -> Pivot:
        """A metric over two fields: `rows="parameters.task", columns="parameters.network"`.

        Args:
            sweep_id: the sweep.
            rows: a field of the query language.
            columns: another one.
            metric: a metric's name, best, last.NAME, min.NAME or max.NAME; the sweep's own
                metric at its best when not given.
            aggregate: what a cell shows: max, min, mean, median, count, or the share of
                trials that reach `threshold`.
            threshold: for share alone.
            mode: for share of a metric of which the spec does not say which way is better.
            replicates: whether each trial counts, or an assignment's mean over replicates.
            filter: only trials that match.
        """
        asked = {
            "rows": rows,
            "columns": columns,
            "metric": metric,
            "aggregate": aggregate,
            "threshold": threshold,
            "mode": mode,
            "replicates": replicates,
            "filter": filter,
        }
        return Pivot.model_validate_json(self._analysis(sweep_id, "pivot", asked))

    def groups(
        self,
        sweep_id: str,
        *,
        by: str,
        metric: str | None = None,
        mode: Mode | None = None,
        filter: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Groups:
        """Trials by the values of some fields, with commas between: states, mean, best.

        Args:
            sweep_id: the sweep.
            by: the fields.
            metric: as of `pivot`.
            mode: for a metric of which the spec does not say which way is better.
            filter: only trials that match.
            sort: mean, median, best, count or one of the fields, `-` before it for descending.
            limit: so many groups at most; all when not given.
            offset: leave out so many first.
        """
        asked = {
            "by": by,
            "metric": metric,
            "mode": mode,
            "filter": filter,
            "sort": sort,
            "limit": limit,
            "offset": offset,
        }
        return Groups.model_validate_json(self._analysis(sweep_id, "groups", asked))

    def pareto(
        self,
        sweep_id: str,
        *,
        x: str,
        y: str | None = None,
        x_mode: Mode | None = None,
        y_mode: Mode | None = None,
        filter: str | None = None,
    ) -> ParetoFront:
        """The trials that no other one beats in both metrics."""
        asked = {"x": x, "y": y, "x_mode": x_mode, "y_mode": y_mode, "filter": filter}
        return ParetoFront.model_validate_json(self._analysis(sweep_id, "pareto", asked))

    def importance(
        self, sweep_id: str, *, metric: str | None = None, filter: str | None = None
    ) -> Importance:
        """Which parameters a metric depends on."""
        asked = {"metric": metric, "filter": filter}
        return Importance.model_validate_json(self._analysis(sweep_id, "importance", asked))

    def savings(self, sweep_id: str) -> Savings:
        """What early stopping spared."""
        return Savings.model_validate_json(self._analysis(sweep_id, "savings", {}))

    def curves(
        self,
        sweep_id: str,
        *,
        metric: str | None = None,
        filter: str | None = None,
        sort: str | None = None,
        trials: int = 50,
        points: int = 20_000,
    ) -> Curves:
        """Reports of many trials, thinned out to so many points in all; the best first."""
        asked = {
            "metric": metric,
            "filter": filter,
            "sort": sort,
            "trials": trials,
            "points": points,
        }
        return Curves.model_validate_json(self._analysis(sweep_id, "curves", asked))

    def compare(
        self,
        *sweep_ids: str,
        metric: str | None = None,
        mode: Mode | None = None,
        by: str | None = None,
        filter: str | None = None,
    ) -> Comparison:
        """Sweeps side by side; assignments are matched with the first sweep's."""
        asked = {
            "sweeps": ",".join(sweep_ids),
            "metric": metric,
            "mode": mode,
            "by": by,
            "filter": filter,
        }
        return Comparison.model_validate_json(self.get("/v1/compare", _given(asked)))

    def figure(
        self, sweep_id: str, kind: str, parameters: Mapping[str, Any] | None = None
    ) -> Figure:
        """A figure of a sweep for plotly; `parameters` are those of its kind."""
        return Figure.model_validate_json(
            self._analysis(sweep_id, f"figures/{kind}", parameters or {})
        )

    def picture(
        self, sweep_id: str, kind: str, parameters: Mapping[str, Any] | None = None
    ) -> bytes:
        """A figure of a sweep as PNG."""
        asked = {**(parameters or {}), "format": "png"}
        return self._analysis(sweep_id, f"figures/{kind}", asked)

    def _analysis(self, sweep_id: str, what: str, asked: Mapping[str, Any]) -> bytes:
        path = f"/v1/sweeps/{quote(sweep_id, safe='')}/{quote(what)}"
        return self.get(path, _given(asked))


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}
