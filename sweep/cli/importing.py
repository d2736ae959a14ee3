"""`sweep import`: sweep files of other systems as specs."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from sweep.cli.context import client_of
from sweep.imports import determined, katib, optuna, wandb
from sweep.imports.common import Imported, Options
from sweep.imports.reading import NotExact, bad
from sweep.loading import load_yaml

app = typer.Typer(no_args_is_help=True, help="Turn other systems' sweeps into specs of this one.")

File = Annotated[str, typer.Argument(help="The file, in YAML or JSON; - for standard input.")]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="Write the spec there, not to the screen.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Take every warning for an error; exit code 2.")
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


@app.command("wandb")
def from_wandb(
    context: typer.Context,
    file: File,
    output: Output = None,
    strict: Strict = False,
    submit: Submit = False,
    trainable: TrainableName = None,
    metric: MetricName = None,
    mode: Mode = None,
    num_trials: Trials = None,
    max_t: MaxT = None,
) -> None:
    """Import a W&B sweep configuration."""
    options = Options(trainable, metric, mode, num_trials, max_t)
    _answer(context, wandb.read(_load(file), options), output, strict=strict, submit=submit)


@app.command("determined")
def from_determined(
    context: typer.Context,
    file: File,
    output: Output = None,
    strict: Strict = False,
    submit: Submit = False,
    trainable: TrainableName = None,
    metric: MetricName = None,
    mode: Mode = None,
    num_trials: Trials = None,
    max_t: MaxT = None,
) -> None:
    """Import a Determined experiment configuration."""
    options = Options(trainable, metric, mode, num_trials, max_t)
    _answer(context, determined.read(_load(file), options), output, strict=strict, submit=submit)


@app.command("katib")
def from_katib(
    context: typer.Context,
    file: File,
    output: Output = None,
    strict: Strict = False,
    submit: Submit = False,
    trainable: TrainableName = None,
    metric: MetricName = None,
    mode: Mode = None,
    num_trials: Trials = None,
    max_t: MaxT = None,
) -> None:
    """Import a Katib Experiment."""
    options = Options(trainable, metric, mode, num_trials, max_t)
    _answer(context, katib.read(_load(file), options), output, strict=strict, submit=submit)


@app.command("optuna")
def from_optuna(
    context: typer.Context,
    storage: Annotated[str, typer.Argument(help="The storage's URL, as sqlite:///study.db.")],
    study: Annotated[str, typer.Option("--study", help="The study's name.")],
    output: Output = None,
    strict: Strict = False,
    submit: Submit = False,
    trainable: TrainableName = None,
    metric: MetricName = None,
    mode: Mode = None,
    num_trials: Trials = None,
    max_t: MaxT = None,
) -> None:
    """Import an Optuna study, its finished trials as history."""
    options = Options(trainable, metric, mode, num_trials, max_t)
    _answer(context, optuna.read(storage, study, options), output, strict=strict, submit=submit)


def _load(file: str) -> object:
    if file == "-":
        return load_yaml(sys.stdin.read())
    try:
        return load_yaml(Path(file).read_bytes())
    except OSError as error:
        raise bad("", f"{file} cannot be read: {error.strerror}") from None


def _answer(
    context: typer.Context, imported: Imported, output: Path | None, *, strict: bool, submit: bool
) -> None:
    if strict and imported.warnings:
        raise NotExact(imported.warnings)
    for warning in imported.warnings:
        sys.stderr.write(f"warning: {warning.path}: {warning.message}\n")
    text = imported.to_yaml()
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)
    if submit:
        with client_of(context) as client:
            sweep = client.submit(text)
        sys.stderr.write(f"sweep {sweep.id}: {sweep.num_trials} trials, {sweep.state}\n")


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text)
    except OSError as error:
        raise bad("", f"{output} cannot be written: {error.strerror}") from None
