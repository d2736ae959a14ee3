"""Studies: sweeps that come with the published claims that they check.

A package offers studies through the entry-point group `sweep.studies`; each entry is a
`Study`. Importing one loads neither pandas nor a drawing library.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sweep.errors import NotFound
from sweep.loading import load_yaml
from sweep.spec import SweepSpec, parse_spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from sweep.study.results import Results

ENTRY_POINT_GROUP = "sweep.studies"

Size = Literal["quick", "full"]


class Verdict(StrEnum):
    """What our results say of a claim."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Finding:
    """What our results show of a claim."""

    holds: bool
    ours: str
    """The figures, with an interval where there are repeats."""
    published: str = ""
    """The published figures, where they are computed from published results too."""


@dataclass(frozen=True)
class Claim:
    """A published statement, and the rule that checks it."""

    statement: str
    source: str
    """Where in the study's source it is made."""
    published: str
    """The figures published with it; empty when the rule computes them."""
    rule: "Callable[[Results], Finding | None]"
    """Computed from results alone; None when what it needs was not run."""
    rule_text: str
    """When the claim is taken to agree, in words."""
    tried: str = ""
    """What was tried where it does not hold."""


@dataclass(frozen=True)
class Checked:
    """A claim and what came of it."""

    claim: Claim
    verdict: Verdict
    published: str
    ours: str


@dataclass(frozen=True)
class Figure:
    """A picture of the results."""

    name: str
    title: str
    caption: str
    draw: "Callable[[Results], Drawing | None]"
    """None when what it shows was not run."""


@dataclass(frozen=True)
class Table:
    """A table of the results."""

    title: str
    columns: tuple[str, ...]
    rows: "Callable[[Results], Sequence[Sequence[str]] | None]"
    """None when what it shows was not run."""


@dataclass(frozen=True)
class Study:
    """What is trained, what was published of it, and how to compare the two."""

    name: str
    title: str
    source: str
    about: str
    """What is trained, in Markdown."""
    specs: Mapping[Size, tuple[Path, ...]]
    """The sweeps of each size, as files."""
    claims: tuple[Claim, ...]
    figures: tuple[Figure, ...]
    labels: Mapping[Size, str]
    """What is smaller than, or other than, what was published; shown wherever results are."""
    tables: tuple[Table, ...] = ()

    def read_specs(
        self, size: Size, parameters: Mapping[str, Any] | None = None
    ) -> tuple[SweepSpec, ...]:
        """The specs of a size, tagged as this study's.

        Args:
            size: which.
            parameters: what stands in place of, or beside, the specs' own parameters.

        Raises:
            NotFound: when the study has no such size.
            SpecError: when a parameter cannot be one.
        """
        if size not in self.specs:
            raise NotFound(
                f"study {self.name!r} has no size {size!r}: it has {', '.join(self.specs)}"
            )
        documents = (load_yaml(path.read_bytes()) for path in self.specs[size])
        specs = (
            parse_spec({**raw, "parameters": {**raw["parameters"], **(parameters or {})}})
            for raw in documents
        )
        return tuple(s.model_copy(update={"tags": (*s.tags, *self.tags(size))}) for s in specs)

    def tags(self, size: Size) -> tuple[str, str]:
        """What marks a sweep as a run of this study."""
        return (f"study:{self.name}", f"size:{size}")


def studies() -> dict[str, Study]:
    """Every study that the installed packages offer, by name."""
    found: dict[str, Study] = {}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        study = entry.load()
        if not isinstance(study, Study):
            raise TypeError(f"entry point {entry.name!r} of {ENTRY_POINT_GROUP} is no Study")
        found[study.name] = study
    return dict(sorted(found.items()))


def find_study(name: str) -> Study:
    """The study of that name.

    Raises:
        NotFound: naming those that there are.
    """
    known = studies()
    if name not in known:
        raise NotFound(f"there is no study {name!r}: there are {', '.join(known) or 'none'}")
    return known[name]


def check_claims(study: Study, results: "Results") -> tuple[Checked, ...]:
    """Every claim with its verdict."""
    return tuple(_check(claim, results) for claim in study.claims)


def _check(claim: Claim, results: "Results") -> Checked:
    finding = claim.rule(results)
    if finding is None:
        return Checked(claim, Verdict.NOT_RUN, claim.published, "")
    verdict = Verdict.AGREES if finding.holds else Verdict.DISAGREES
    return Checked(claim, verdict, finding.published or claim.published, finding.ours)
