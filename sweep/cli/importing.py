"""`sweep import`: sweep files of other systems as specs."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from sweep.cli.context import client_of
from sweep.cli.own_code import check_reachable
from sweep.imports import determined, katib, optuna, wandb
from sweep.imports.common import Imported, Options
from sweep.imports.reading import NotExact, bad
from sweep.imports.versions import differences
from sweep.loading import load_yaml

app = typer.Typer(no_args_is_help=True, help="Turn other systems' sweeps into specs of this one.")

File = Annotated[str, typer.Argument(help="The file, in YAML or JSON; - for standard input.")]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="Write the spec there, not to the screen.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Take every warning for an error; exit code 2.")
]
Code = Annotated[
    Path | None,
    typer.Option(help="With --submit: a folder of your own code, uploaded.", file_okay=False),
]
Submit = Annotated[bool, typer.Option("--submit", help="Post it as well.")]
TrainableName = Annotated[
    str | None, typer.Option("--trainable", help="What trains: a name, or package.module:function.")
]
MetricName = Annotated[str | None, typer.Option("--metric", help="The metric's name.")]
Mode = Annotated[Literal["min", "max"] | None, typer.Option("--mode", help="What is better.")]
Trials = Annotated[
    int | None, typer.Option("--num-trials", min=1, help="Assignments of the search.")
]
MaxT = Annotated[int | None, typer.Option("--max-t", min=1, help="Steps of a whole trial.")]


@dataclass(frozen=True)
class _Then:
    """What is done with the spec."""

    output: Path | None
    strict: bool
    submit: bool
    code: Path | None

    def __post_init__(self) -> None:
        if self.code is not None and not self.submit:
            raise typer.BadParameter(f"--code {self.code} is sent with the spec: add --submit")


@app.command("wandb")
def from_wandb(
    context: typer.Context,
    file: File,
    output: Output = None,
    strict: Strict = False,
    submit: Submit = False,
    code: Code = None,
    trainable: TrainableName = None,
    metric: MetricName = None,
    mode: Mode = None,
    num_trials: Trials = None,
    max_t: MaxT = None,
) -> None:
    """Import a W&B sweep configuration."""
    options = Options(trainable, metric, mode, num_trials, max_t)
    then = _Then(output, strict, submit, code)
    text = _text(file)
    raw = load_yaml(text)
    imported = wandb.read(raw, options)
    warnings = (*differences(text, raw), *imported.warnings)
    _answer(context, replace(imported, warnings=warnings), then)


@app.command("determined")
def from_determined(
    context: typer.Context,
    file: File,
    output: Output = None,
    strict: Strict = False,
    submit: Submit = False,
    code: Code = None,
    trainable: TrainableName = None,
    metric: MetricName = None,
    mode: Mode = None,
    num_trials: Trials = None,
    max_t: MaxT = None,
) -> None:
    """Import a Determined experiment configuration."""
    options = Options(trainable, metric, mode, num_trials, max_t)
    then = _Then(output, strict, submit, code)
    _answer(context, determined.read(_load(file), options), then)


@app.command("katib")
def from_katib(
    context: typer.Context,
    file: File,
    output: Output = None,
    strict: Strict = False,
    submit: Submit = False,
    code: Code = None,
    trainable: TrainableName = None,
    metric: MetricName = None,
    mode: Mode = None,
    num_trials: Trials = None,
    max_t: MaxT = None,
) -> None:
    """Import a Katib Experiment."""
    options = Options(trainable, metric, mode, num_trials, max_t)
    then = _Then(output, strict, submit, code)
    _answer(context, katib.read(_load(file), options), then)


@app.command("optuna")
def from_optuna(
    context: typer.Context,
    storage: Annotated[str, typer.Argument(help="The storage's URL, as sqlite:///study.db.")],
    study: Annotated[str, typer.Option("--study", help="The study's name.")],
    output: Output = None,
    strict: Strict = False,
    submit: Submit = False,
    code: Code = None,
    trainable: TrainableName = None,
    metric: MetricName = None,
    mode: Mode = None,
    num_trials: Trials = None,
    max_t: MaxT = None,
) -> None:
    """Import an Optuna study, its finished trials as history."""
    options = Options(trainable, metric, mode, num_trials, max_t)
    then = _Then(output, strict, submit, code)
    _answer(context, optuna.read(storage, study, options), then)


def _load(file: str) -> object:
    return load_yaml(_text(file))


def _text(file: str) -> str | bytes:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise bad("", f"{file} cannot be read: {error.strerror}") from None


def _answer(context: typer.Context, imported: Imported, then: _Then) -> None:
    if then.strict and imported.warnings:
        raise NotExact(imported.warnings)
    for warning in imported.warnings:
        sys.stderr.write(f"warning: {warning.path}: {warning.message}\n")
    text = imported.to_yaml()
    if then.output is None:
        sys.stdout.write(text)
    else:
        _write(then.output, text)
    if then.submit:
        _submit(context, text, then.code)


def _submit(context: typer.Context, text: str, code: Path | None) -> None:
    with client_of(context) as client:
        if code is None:
            check_reachable(text, url=client.url)
        sweep = client.submit(text, code=code)
    sys.stderr.write(f"sweep {sweep.id}: {sweep.num_trials} trials, {sweep.state}\n")


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text)
    except OSError as error:
        raise bad("", f"{output} cannot be written: {error.strerror}") from None
