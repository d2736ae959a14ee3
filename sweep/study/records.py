"""What the service answers of studies."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from sweep.states import SweepState
from sweep.study import Verdict


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class StudySize(_Record):
    """One size of a study."""

    label: str
    """What is smaller than, or other than, what was published."""
    sweeps: tuple[str, ...]
    """The names of its sweeps."""


class StudyRecord(_Record):
    """A study that the service's installed packages offer."""

    name: str
    title: str
    source: str
    about: str
    """What is trained, in Markdown."""
    claims: int
    sizes: Mapping[str, StudySize]


class StudySweep(_Record):
    """A sweep that a study's report rests on."""

    id: str
    name: str
    state: SweepState


class ClaimRecord(_Record):
    """A published statement against what was found here."""

    statement: str
    source: str
    published: str
    ours: str
    verdict: Verdict
    rule: str
    """When the claim is taken to agree, in words."""
    tried: str
    """What was tried where it does not hold."""


class StudyFigure(_Record):
    """A picture of a study's results."""

    name: str
    title: str
    caption: str


class StudyReport(_Record):
    """A study's newest run of a size, claim by claim."""

    study: StudyRecord
    size: str | None
    """Null when it was not run."""
    sweeps: tuple[StudySweep, ...]
    claims: tuple[ClaimRecord, ...]
    figures: tuple[StudyFigure, ...]
    notices: tuple[str, ...]
    """What a reader must know before the verdicts."""


class StudySpec(_Record):
    """One of a study's sweeps, as it ships."""

    study: str
    size: str
    name: str
    text: str
    """YAML."""
