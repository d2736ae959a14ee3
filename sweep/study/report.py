"""A study's report: one Markdown text, and the same as a page that needs nothing else."""

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from pathlib import Path

from sweep.errors import SweepError
from sweep.records import SweepRecord
from sweep.spec import SweepSpec
from sweep.states import FINAL_SWEEP_STATES, SweepState, TrialState
from sweep.study import Checked, Figure, Study, check_claims
from sweep.study.results import TRAINED, Results

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --paper: #ffffff; --line: #d5d9e2;
        --agrees: #1a6b36; --disagrees: #a3261b; --quiet: #59617a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9f2; --paper: #14171f; --line: #3a4152;
          --agrees: #6fd08f; --disagrees: #ff9b8f; --quiet: #a4adc4; } }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .93rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .7rem;
         border-bottom: 1px solid var(--line); }
figure { margin: 1.5rem 0 2.5rem; } figcaption { color: var(--quiet); font-size: .93rem; }
figure svg { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
blockquote { margin: 1rem 0; padding: .2rem 1rem; border-left: 4px solid var(--quiet); }
.agrees { color: var(--agrees); font-weight: 600; }
.disagrees { color: var(--disagrees); font-weight: 600; }
"""

_PACKAGES = {
    "markdown_it": "markdown-it-py",
    "matplotlib": "matplotlib",
    "pandas": "pandas",
    "scipy": "scipy",
}
"""What computes, draws and writes reports: modules and what installs them."""

_IMAGE = re.compile(r'<p><img src="([^"]+)" alt="([^"]*)"[^>]*/?></p>')


@dataclass(frozen=True)
class Report:
    """A report's two forms and its pictures."""

    markdown: str
    html: str
    pictures: Mapping[str, str]
    """SVG by file name, to lie beside the Markdown."""
    claims: tuple[Checked, ...]
    notices: tuple[str, ...]
    """What a reader must know before the verdicts: what is missing or was not run as it ships."""

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write all of it; the paths of the Markdown and of the page."""
        folder.mkdir(parents=True, exist_ok=True)
        for file, svg in self.pictures.items():
            (folder / file).write_text(svg, encoding="utf-8")
        markdown, page = folder / f"{name}.md", folder / f"{name}.html"
        markdown.write_text(self.markdown, encoding="utf-8")
        page.write_text(self.html, encoding="utf-8")
        return markdown, page


def check_packages() -> None:
    """Say what reports need and is not installed.

    Raises:
        SweepError: naming it, and how to install it.
    """
    missing = [name for module, name in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise SweepError(
            f"a report needs {', '.join(missing)}: pip install 'sweep-service[studies]'"
        )


def make_report(study: Study, results: Results) -> Report:
    """The report of a run.

    Raises:
        SweepError: when what draws and writes it is not installed.
    """
    check_packages()
    claims = check_claims(study, results)
    drawn = {figure: svg for figure in study.figures if (svg := draw(figure, results))}
    files = {figure: f"{study.name}-{results.size}-{figure.name}.svg" for figure in drawn}
    notices = notices_of(study, results)
    markdown = _markdown(study, results, claims, files, notices)
    pictures = {file: drawn[figure] for figure, file in files.items()}
    return Report(markdown, _html(study, markdown, pictures), pictures, claims, notices)


def notices_of(study: Study, results: Results) -> tuple[str, ...]:
    """What a reader must know before the verdicts: what is missing, or ran otherwise."""
    return (*_left_out(results), *_other_specs(study, results))


def _left_out(results: Results) -> list[str]:
    notices = [
        f"Sweep {sweep.name} ({sweep.id}) is {sweep.state}: the verdicts rest on a part of it."
        for sweep in results.sweeps
        if sweep.state is not SweepState.COMPLETED
    ]
    states = Counter(trial.state for trial in results.records)
    if missing := {state: count for state, count in states.items() if state not in TRAINED}:
        notices.append(f"Trials that are left out of everything below: {_counts(missing)}.")
    if diverged := states[TrialState.DIVERGED]:
        notices.append(f"Trials that diverged, which have no last value for a mean: {diverged}.")
    return notices


def _other_specs(study: Study, results: Results) -> list[str]:
    shipped = {spec.name: spec for spec in study.read_specs(results.size)}
    return [
        f"Sweep {sweep.name} ({sweep.id}) did not run as it ships now: its spec differs in "
        f"{', '.join(names)}."
        for sweep in results.sweeps
        if sweep.name in shipped and (names := _differing(sweep, shipped[sweep.name]))
    ]


def _differing(sweep: SweepRecord, shipped: SweepSpec) -> list[str]:
    ours, theirs = (
        spec.model_dump(mode="json", exclude={"tags"}) for spec in (sweep.spec, shipped)
    )
    return [name for name in theirs if ours[name] != theirs[name]]


def _counts(states: Mapping[TrialState, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in states.items() if count)


def draw(figure: Figure, results: Results) -> str | None:
    """The figure as SVG, the same for the same results; None when what it shows was not run."""
    picture = figure.draw(results)
    if picture is None:
        return None
    from matplotlib import rc_context

    svg = io.StringIO()
    with rc_context({"svg.hashsalt": figure.name, "svg.fonttype": "none"}):
        picture.savefig(svg, format="svg", bbox_inches="tight", metadata={"Date": None})
    return svg.getvalue()


def _markdown(
    study: Study,
    results: Results,
    claims: Sequence[Checked],
    files: Mapping[Figure, str],
    notices: Sequence[str],
) -> str:
    parts = [f"# {study.title}", f"*Source:* {study.source}", study.about]
    if label := study.labels.get(results.size):
        parts.append(f"> **Size `{results.size}`.** {label}")
    parts += [f"> **Note.** {notice}" for notice in notices]
    parts += ["## Claims", _claims_table(claims), *_tried(claims)]
    for table in study.tables:
        if rows := table.rows(results):
            parts += [f"## {table.title}", _table(table.columns, rows)]
    parts.append("## Figures")
    for figure, file in files.items():
        parts += [f"### {figure.title}", f"![{figure.title}]({file})", figure.caption]
    if not files:
        parts.append("None: what they show was not run.")
    parts += ["## What was run", _sweeps_table(results), "## How the verdicts are found"]
    parts += [_table(["claim", "agrees when"], [[c.statement, c.rule_text] for c in study.claims])]
    return "\n\n".join(parts) + "\n"


def _claims_table(claims: Sequence[Checked]) -> str:
    rows = [
        [c.claim.statement, c.claim.source, c.published, c.ours or "–", f"**{c.verdict}**"]
        for c in claims
    ]
    return _table(["statement", "source", "published", "ours", "verdict"], rows)


def _tried(claims: Sequence[Checked]) -> list[str]:
    notes = [
        f"* {c.claim.statement}: {c.claim.tried}"
        for c in claims
        if c.verdict == "disagrees" and c.claim.tried
    ]
    return ["What was tried where a claim does not hold:", "\n".join(notes)] if notes else []


def _sweeps_table(results: Results) -> str:
    rows = []
    for sweep in results.sweeps:
        ended = sweep.ended_at if sweep.state in FINAL_SWEEP_STATES else None
        took = "–"
        if sweep.started_at is not None and ended is not None:
            took = f"{(ended - sweep.started_at).total_seconds():,.0f} s"
        rows.append([sweep.name, sweep.id, str(sweep.state), _counts(sweep.trials), took])
    return _table(["sweep", "id", "state", "trials", "took"], rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.splitlines()).replace("|", "\\|")


def _html(study: Study, markdown: str, pictures: Mapping[str, str]) -> str:
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    body = body.replace("<table>", '<div class="scroll"><table>')
    body = body.replace("</table>", "</table></div>")
    for verdict in ("agrees", "disagrees"):
        body = body.replace(
            f"<strong>{verdict}</strong>", f'<span class="{verdict}">{verdict}</span>'
        )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(study.title)}</title><style>{_STYLE}</style></head>"
        f"<body>{_IMAGE.sub(lambda found: _inlined(found, pictures), body)}</body></html>\n"
    )


def _inlined(image: "re.Match[str]", pictures: Mapping[str, str]) -> str:
    """The picture itself in place of its file; its ids made its own."""
    file, title = image.groups()
    svg = pictures[file][pictures[file].index("<svg") :]
    prefix = file.removesuffix(".svg").replace(".", "-")
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(#|xlink:href="#)', rf"\g<1>{prefix}-", svg)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
    return f"<figure>{svg}</figure>"
