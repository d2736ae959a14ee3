"""A study through the real service, on the real cluster."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweep.cli.app import app as cli
from tests.integration.service_process import ServiceProcess
from tests.unit.study.tiny import tiny

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def test_a_study_runs_and_its_verdicts_come_from_sql(
    service: ServiceProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = service.start()
    study = tiny(tmp_path)
    monkeypatch.setattr("sweep.study.studies", lambda: {"tiny": study})
    command = ["--url", client.url, "study", "run", "tiny", "-o", str(tmp_path / "reports")]
    answer = CliRunner().invoke(cli, command)
    assert answer.exit_code == 0, answer.output
    assert "claims: 1 agrees, 1 disagrees, 0 not run" in answer.stdout
    text = (tmp_path / "reports" / "tiny-quick.md").read_text()
    assert "largest 3 of 3" in text
    (sweep,) = client.sweeps().page(limit=5).items
    assert set(sweep.tags) == {"study:tiny", "size:quick"}
    assert sweep.id in text
