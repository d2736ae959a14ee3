"""Studies over REST: their specs, their claims against a run, their figures."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from service.store.interface import DriverIdentity, NewSweep, Store
from sweep.loading import load_yaml
from sweep.records import Page
from sweep.space import Space
from sweep.spec import parse_spec
from sweep.states import SweepState
from sweep.study import find_study, studies
from sweep.study.records import StudyRecord, StudyReport, StudySpec
from sweep.wire import Batch, Known, SweepFinished
from tests.page.feeding import product_messages
from tests.unit.store.builders import LEASE, START


def run_product(store: Store) -> None:
    """The quick size of the study, as a driver would have told it."""
    (spec,) = find_study("product").read_specs("quick")
    new = NewSweep(id="p1", spec=spec, created_by="me", created_at=START)
    store.create_sweep(new, Space(spec).trials())
    store.start_driver("p1", after_epoch=0, token_hash="h", now=START, lease=LEASE)
    tasks = store.tasks("p1", after=-1, limit=1_000).items
    end = SweepFinished(state=SweepState.COMPLETED, time=START + timedelta(seconds=9))
    batch = Batch(messages=(*product_messages(tasks), end), known=Known(trials=len(tasks)))
    store.apply_batch(DriverIdentity("p1", 1), batch, now=START, lease=LEASE)


def test_every_study_is_told_with_its_sizes(client: TestClient) -> None:
    page = Page[StudyRecord].model_validate_json(client.get("/v1/studies").content)
    assert [study.name for study in page.items] == sorted(studies())
    product = next(study for study in page.items if study.name == "product")
    assert product.claims == len(find_study("product").claims)
    assert product.sizes["quick"].sweeps == ("product-quick",)


def test_their_specs_are_examples_that_can_be_run(client: TestClient) -> None:
    page = Page[StudySpec].model_validate_json(client.get("/v1/studies/specs").content)
    assert {(spec.study, spec.size) for spec in page.items} == {
        (name, size) for name, study in studies().items() for size in study.specs
    }
    product = next(spec for spec in page.items if spec.name == "product-quick")
    assert parse_spec(load_yaml(product.text)).name == "product-quick"


def test_a_study_that_was_not_run_has_claims_and_no_verdicts(client: TestClient) -> None:
    report = StudyReport.model_validate_json(client.get("/v1/studies/product").content)
    assert report.size is None
    assert {claim.verdict for claim in report.claims} == {"not run"}
    assert all(claim.statement and claim.rule for claim in report.claims)
    answer = client.get("/v1/studies/product/figures/width")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_claims_are_judged_by_the_newest_run(client: TestClient, store: Store) -> None:
    run_product(store)
    report = StudyReport.model_validate_json(client.get("/v1/studies/product").content)
    assert (report.size, [sweep.id for sweep in report.sweeps]) == ("quick", ["p1"])
    first = report.claims[0]
    assert (first.verdict, first.published) == ("agrees", "RMSE near 0.003")
    assert first.ours.startswith("RMSE 0.0013")
    assert report.notices == ()
    unrun = client.get("/v1/studies/product", params={"size": "full"}).json()
    assert unrun["size"] is None


def test_figures_are_pictures_that_can_run_nothing(client: TestClient, store: Store) -> None:
    run_product(store)
    answer = client.get("/v1/studies/product/figures/width")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<svg" in answer.text
    missing = client.get("/v1/studies/product/figures/nope").json()
    assert "width, prediction" in missing["detail"]


@pytest.mark.parametrize("path", ["/v1/studies/nope", "/v1/studies/nope/figures/x"])
def test_an_unknown_study_names_those_that_there_are(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "there are arithmetic, " in answer.json()["detail"]
    assert client.get("/v1/studies/product?size=huge").status_code == 422
