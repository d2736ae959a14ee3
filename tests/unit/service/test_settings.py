"""Settings that are refused at the start."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings


def test_a_root_for_saved_states_is_checked(tmp_path: Path) -> None:
    assert Settings(checkpoint_root="s3://bucket/states/").checkpoints == "s3://bucket/states"
    assert Settings(home=tmp_path).checkpoints == str(tmp_path / "checkpoints")
    assert Settings(home=Path("here")).checkpoints == str(Path("here/checkpoints").absolute())
    with pytest.raises(ValidationError, match="write s3://bucket"):
        Settings(checkpoint_root="s3:/bucket")


def test_a_check_of_a_cloud_s_url_loads_no_package_of_it() -> None:
    script = (
        "import sys\n"
        "from service.settings import Settings\n"
        "Settings(checkpoint_root='s3://bucket/states')\n"
        "print(sorted({'s3fs', 'botocore', 'aiohttp', 'torch', 'ray'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout.strip() == "[]", ended.stderr
