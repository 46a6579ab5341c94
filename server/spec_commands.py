"""``countersign spec``: what is wrong with the spec, what it decides, what a change of it means."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import yaml

from contract.diagnostics import SpecError
from server import catalogue, explain, releases, scaffold, settings, spec


def warn(reading: spec.Reading) -> None:
    """What an author may leave for later; plain text, as the errors are."""
    for diagnostic in reading.bundle.warnings:
        click.echo(str(diagnostic), err=True)


@click.group("spec")
def spec_group() -> None:
    """Read the spec as the server does."""


ROOT = click.argument(
    "root", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)


def root_of(given: Path | None) -> Path:
    """The root file that was given, or that of the settings."""
    return given or settings.load().spec


def _in_force() -> spec.Reading:
    """The spec as the settings have it served."""
    current = settings.load()
    return spec.read(current.spec, features_off=current.features_off)


@spec_group.command("lint")
@ROOT
def spec_lint(root: Path | None) -> None:
    """List everything that is wrong with the spec, as file:line:column; examples included."""
    reading = spec.read(root_of(root), examples="error")
    warn(reading)
    click.echo(f"{len(reading.contract.operations)} operations, no errors")


@spec_group.command("bundle")
@ROOT
@click.option("--format", "form", type=click.Choice(["json", "yaml"]), default="json")
def spec_bundle(root: Path | None, form: str) -> None:
    """Print the spec as one document, component names kept.

    Without ROOT it is what is served: features that are switched off are not in it.
    """
    document = (spec.read(root) if root else _in_force()).contract.document
    if form == "json":
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        click.echo(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), nl=False)


@spec_group.command("explain")
@click.argument("operation_id", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def spec_explain(operation_id: str | None, as_json: bool) -> None:
    """Print what the spec decides for one operation, or all that are served, and where it says so."""
    reading = _in_force()
    try:
        if as_json:
            found = explain.as_json(reading, operation_id)
            click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        else:
            click.echo("\n\n".join(map(str, explain.explain(reading, operation_id))))
    except LookupError as error:
        raise click.BadParameter(str(error.args[0])) from None


@spec_group.command("stub")
@click.option("--dry-run", is_flag=True, help="Show what would be written.")
def spec_stub(dry_run: bool) -> None:
    """Write a handler, an act and a failing test for each operation that has no handler."""
    current = settings.load()
    try:
        found = scaffold.plan(spec.read(current.spec, unimplemented="warning"))
    except scaffold.Unwritable as error:
        raise click.ClickException(str(error)) from None
    for file in found.files:
        if dry_run:
            click.echo(file.diff(), nl=False)
        else:
            file.write()
            click.echo(f"wrote {file.path}")
    if not found.files:
        click.echo("nothing to write")
    for line in found.by_hand:
        click.echo(f"by hand: {line}", err=dry_run)


@spec_group.command("extensions")
def spec_extensions() -> None:
    """Print what every x- key means, in Markdown: its members, their bounds, what they decide."""
    reading = _in_force()
    click.echo(catalogue.catalogue(reading.registry, reading.bundle.document), nl=False)


@spec_group.command("diff")
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--changelog", is_flag=True, help="As Markdown, to paste into a changelog.")
@click.option("--released", is_flag=True, help="Hold info.version against the last release.")
def spec_diff(
    old: str | None, new: str | None, as_json: bool, changelog: bool, released: bool
) -> None:
    """List what changed from OLD to NEW (the spec in force) and whether it breaks consumers.

    Each is a spec's root file, a folder with one, or a git revision. The exit status is 1 where a
    change is breaking, and 2 where a spec cannot be read. With --released OLD is the last release,
    and 1 means that info.version does not move as the changes ask.
    """
    if (old is None) is not released:
        raise click.UsageError("give OLD, or --released alone")
    if as_json and changelog:
        raise click.UsageError("give --json or --changelog")
    try:
        found = _comparison(old, new)
        wrong = found.misfit() if released else None
    except (SpecError, settings.SettingsError, releases.Unreadable, OSError) as unreadable:
        click.echo(str(unreadable), err=True)
        sys.exit(2)
    if changelog:
        click.echo(found.changelog() or "no change that consumers notice")
    else:
        _tell(found, as_json, brief=released and wrong is None)
    if wrong:
        click.echo(wrong, err=True)
    sys.exit(1 if (wrong if released else found.breaks) else 0)


def _comparison(old: str | None, new: str | None) -> releases.Comparison:
    current = settings.load().spec
    return releases.compared(old, new, current) if old else releases.against_release(current)


def _tell(found: releases.Comparison, as_json: bool, brief: bool) -> None:
    if as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
        return
    for change in () if brief else found.changes:
        click.echo(str(change))
    click.echo(found.summary())
