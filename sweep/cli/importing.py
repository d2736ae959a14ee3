"""`sweep import`: sweep files of other systems as specs."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sweep.cli.context import client_of
from sweep.cli.own_code import check_reachable
from sweep.imports import determined, katib, optuna, wandb
from sweep.imports.common import Imported, Options
from sweep.imports.reading import NotExact, bad
from sweep.imports.versions import differences
from sweep.loading import load_yaml

System = Literal["wandb", "determined", "katib", "optuna"]


def import_sweep(
    context: typer.Context,
    system: Annotated[System, typer.Argument(help="Whose sweep it is.")],
    source: Annotated[
        str,
        typer.Argument(
            help="The file, in YAML or JSON; - for standard input. Of optuna: the storage's URL, "
            "such as sqlite:///study.db."
        ),
    ],
    study: Annotated[
        str | None, typer.Option("--study", help="The study's name; for optuna alone.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the spec there, not to the screen."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Take every warning for an error; exit code 2.")
    ] = False,
    submit: Annotated[bool, typer.Option("--submit", help="Post it as well.")] = False,
    code: Annotated[
        Path | None,
        typer.Option(help="With --submit: a folder of your own code, uploaded.", file_okay=False),
    ] = None,
    trainable: Annotated[
        str | None,
        typer.Option("--trainable", help="What trains: a name, or package.module:function."),
    ] = None,
    metric: Annotated[str | None, typer.Option("--metric", help="The metric's name.")] = None,
    mode: Annotated[
        Literal["min", "max"] | None, typer.Option("--mode", help="What is better.")
    ] = None,
    num_trials: Annotated[
        int | None, typer.Option("--num-trials", min=1, help="Assignments of the search.")
    ] = None,
    max_t: Annotated[
        int | None, typer.Option("--max-t", min=1, help="Steps of a whole trial.")
    ] = None,
) -> None:
    """Turn a sweep of W&B, Determined or Katib, or an Optuna study, into a spec of this service."""
    if code is not None and not submit:
        raise typer.BadParameter(f"--code {code} is sent with the spec: add --submit")
    if (study is None) == (system == "optuna"):
        raise typer.BadParameter("--study names a study of optuna's, which needs it")
    imported = _read(system, source, study, Options(trainable, metric, mode, num_trials, max_t))
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
        _submit(context, imported.document, code)


def _read(system: System, source: str, study: str | None, options: Options) -> Imported:
    if system == "optuna":
        assert study is not None
        return optuna.read(source, study, options)
    text = _text(source)
    raw = load_yaml(text)
    if system == "determined":
        return determined.read(raw, options)
    if system == "katib":
        return katib.read(raw, options)
    imported = wandb.read(raw, options)
    return replace(imported, warnings=(*differences(text, raw), *imported.warnings))


def _text(file: str) -> str | bytes:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise bad("", f"{file} cannot be read: {error.strerror}") from None


def _submit(context: typer.Context, spec: Mapping[str, Any], code: Path | None) -> None:
    with client_of(context) as client:
        if code is None:
            check_reachable(spec, url=client.url)
        sweep = client.submit(spec, code=code)
    sys.stderr.write(f"sweep {sweep.id}: {sweep.num_trials} trials, {sweep.state}\n")


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text)
    except OSError as error:
        raise bad("", f"{output} cannot be written: {error.strerror}") from None
