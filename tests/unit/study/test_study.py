"""Studies as such: their specs, claims, reports."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studies.product import STUDY as PRODUCT
from sweep.errors import NotFound
from sweep.records import TrialRecord
from sweep.space import Space
from sweep.study import Claim, Figure, Finding, Size, Study, Verdict, check_claims, find_study
from sweep.study import studies as all_studies
from sweep.study.report import make_report
from sweep.study.results import Results
from sweep.trainables import check_parameters, check_spec, find, registered
from tests.unit.study.builders import results_of, trial

SIZES: tuple[Size, ...] = ("quick", "full")
EMPTY = [(name, size) for name in sorted(all_studies()) for size in SIZES]


def product_trial(index: int, kind: str, rmse: float, outside: float, **more: float) -> TrialRecord:
    network = {"type": kind} if kind == "log_linear" else {"type": kind, "units": 80}
    metrics = {"rmse": rmse, "rmse_outside": outside, "prediction_000": 0.1, "prediction_100": 0.9}
    return trial(index, {"network": network, "lr": more.get("lr", 1e-3)}, metrics, best="rmse")


@pytest.mark.parametrize(("name", "size"), EMPTY)
def test_every_spec_is_one_the_service_takes(name: str, size: Size) -> None:
    study = find_study(name)
    for spec in study.read_specs(size):
        known = registered()
        trainable = find(spec.trainable, known)
        check_spec(spec, trainable)
        Space(spec).check()
        for planned in Space(spec).trials():
            check_parameters(planned.parameters, trainable)
        assert set(study.tags(size)) <= set(spec.tags)


@pytest.mark.parametrize("name", sorted(all_studies()))
def test_without_results_no_claim_has_a_verdict_and_a_report_can_be_made(name: str) -> None:
    study = find_study(name)
    results = results_of(study, [])
    assert {c.verdict for c in check_claims(study, results)} == {Verdict.NOT_RUN}
    report = make_report(study, results)
    for claim in study.claims:
        assert claim.statement.replace("|", "\\|") in report.markdown


@pytest.mark.parametrize("name", sorted(all_studies()))
def test_names_are_used_once(name: str) -> None:
    study = find_study(name)
    assert len({c.statement for c in study.claims}) == len(study.claims)
    assert len({f.name for f in study.figures}) == len(study.figures)
    sizes = [{spec.name for spec in study.read_specs(size)} for size in SIZES]
    assert not sizes[0] & sizes[1]
    assert "quick" in study.labels


def test_an_unknown_study_or_size_names_those_that_there_are() -> None:
    with pytest.raises(NotFound, match=r"no study 'poduct': there are .*product"):
        find_study("poduct")
    with pytest.raises(NotFound, match="has no size 'full': it has quick"):
        replace(PRODUCT, specs={"quick": PRODUCT.specs["quick"]}).read_specs("full")


def _verdicts(results: Results) -> dict[str, Verdict]:
    return {c.claim.statement: c.verdict for c in check_claims(PRODUCT, results)}


def test_a_verdict_follows_from_the_results() -> None:
    def run(rmse: float, outside: float) -> Results:
        good = [product_trial(i, "relu", rmse + i * 1e-5, 30.0 + i) for i in range(3)]
        units = [product_trial(9 + i, "multiply", 1e-6, outside + i * 1e-3) for i in range(3)]
        return results_of(PRODUCT, [*good, *units])

    holds = _verdicts(run(0.002, 0.01))
    assert holds["80 ReLUs approximate a product well inside the range"] is Verdict.AGREES
    assert holds["A multiplicative unit extrapolates"] is Verdict.AGREES
    assert holds["ReLUs fed with logarithms extrapolate too"] is Verdict.NOT_RUN
    fails = _verdicts(run(0.02, 10.0))
    assert fails["80 ReLUs approximate a product well inside the range"] is Verdict.DISAGREES
    assert fails["A multiplicative unit extrapolates"] is Verdict.DISAGREES


def test_the_best_rate_counts_for_each_network() -> None:
    trials = [product_trial(0, "relu", 0.02, 9.0, lr=1e-2), product_trial(1, "relu", 0.004, 9.0)]
    (claim, *_) = check_claims(PRODUCT, results_of(PRODUCT, trials))
    assert claim.verdict is Verdict.AGREES
    assert claim.ours == "RMSE 0.004 (one run)"


def _draw_one(results: Results) -> Any:
    from studies.drawing import Line, draw_lines, panels

    figure, (axes,) = panels(1)
    draw_lines(axes, [Line("<b>one</b>", [1, 2], [3, 4])], x="x", y="y")
    return figure


def made_up(statement: str) -> Study:
    claim = Claim(
        statement, "source", "1 | 2", lambda r: Finding(False, "a|b"), "never", tried="All <i>."
    )
    figure = Figure("one", "A figure", "What it shows.", _draw_one)
    return replace(PRODUCT, claims=(claim,), figures=(figure,), labels={"quick": "A stand-in."})


def test_a_report_is_one_page_that_needs_nothing_else(tmp_path: Path) -> None:
    study = made_up("A statement")
    results = results_of(study, [product_trial(0, "relu", 0.1, 1.0)])
    markdown, page = make_report(study, results).write(tmp_path / "new", "study-quick")
    text, html = markdown.read_text(), page.read_text()
    assert "| A statement | source | 1 \\| 2 | a\\|b | **disagrees** |" in text
    assert "A stand-in." in text
    assert "90 s" in text
    (picture,) = re.findall(r"!\[A figure\]\((.+?)\)", text)
    assert (markdown.parent / picture).read_text().startswith("<?xml")
    assert "<svg role=" in html
    fetched = re.sub(r"<metadata>.*?</metadata>", "", html, flags=re.DOTALL)
    assert not re.search(r"<img|<script|<link|@import|\bsrc=", fetched)


def test_what_a_report_quotes_is_escaped() -> None:
    study = made_up("<script>alert(1)</script>")
    trials = [product_trial(0, "relu", 0.1, 1.0)]
    results = results_of(study, trials, name="<img src=x>")
    html = make_report(study, results).html
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_a_line_break_does_not_end_a_tables_row() -> None:
    study = made_up("one\r\nstatement")
    report = make_report(study, results_of(study, [product_trial(0, "relu", 0.1, 1.0)]))
    assert "| one statement | source |" in report.markdown
    assert "<td>one statement</td>" in report.html


def test_the_same_results_give_the_same_report() -> None:
    study = made_up("A statement")
    trials = [product_trial(0, "relu", 0.1, 1.0)]
    first, second = (make_report(study, results_of(study, trials)) for _ in range(2))
    assert first.html == second.html


def test_curves_hold_a_row_for_each_finite_report() -> None:
    trials = [product_trial(0, "relu", 0.1, 1.0)]
    reports = {"trial0": [(50, {"rmse": 0.5}), (100, {"rmse": 0.1}), (150, {"other": 1.0})]}
    curves = results_of(PRODUCT, trials, reports).curves("rmse")
    assert list(curves["at"]) == [50, 100]
    assert list(curves["value"]) == [0.5, 0.1]
    assert list(curves["network.units"]) == [80, 80]
