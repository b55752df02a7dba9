"""The public surface: what imports what, what is exported, what starting costs."""

import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

import scidata
from scidata import errors
from scidata.cli import VERBS, cli, main

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "xarray", "zarr", "numpy", "pandas", "intake", "pyarrow", "s3fs", "botocore"}


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `code`."""
    program = f"{code}\nimport sys; print(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_import_scidata_loads_nothing_heavy() -> None:
    assert not loaded_by("import scidata") & HEAVY


def test_help_loads_nothing_heavy() -> None:
    code = "from scidata.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not loaded_by(code) & HEAVY


@pytest.mark.parametrize("verb", ["list", "show", "pull", "verify"])
def test_a_light_verb_starts_without_the_array_libraries(verb: str) -> None:
    heavy = {"torch", "xarray", "zarr", "pandas", "intake"}
    assert not loaded_by(f"import scidata.cli.{verb}") & heavy


def test_the_public_names_are_those_of_all_and_at_most_twelve() -> None:
    assert len(scidata.__all__) <= 12
    for name in scidata.__all__:
        assert getattr(scidata, name) is not None
    assert set(dir(scidata)) == set(scidata.__all__)


def test_no_module_takes_the_place_of_a_public_function() -> None:
    modules = {module.name for module in pkgutil.iter_modules(scidata.__path__)}
    assert modules.isdisjoint(scidata.__all__)


def test_verbs_still_run_when_every_verb_has_been_imported() -> None:
    for verb in VERBS:
        import_module(f"scidata.cli.{verb}")
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lst'"):
        _ = scidata.lst


@pytest.mark.parametrize("folder", ["loaders", "benchmarks"])
def test_the_bare_name_of_a_top_level_folder_does_not_import(folder: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"import 'scidata.{folder}', not '{folder}'" in done.stderr


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    classes = [
        c
        for _, c in inspect.getmembers(errors, inspect.isclass)
        if issubclass(c, errors.ScidataError)
    ]
    drawn = dict(
        line.strip("├└─ ").split()[:2]
        for line in (errors.__doc__ or "").splitlines()
        if "Error " in line and line.startswith("    ")
    )
    assert drawn == {c.__name__: str(c.exit_code) for c in classes}
    assert len({c.kind for c in classes}) == len(classes)


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """A verb, or each verb of a family such as ``bench``."""
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from commands(child, f"{name} {child.name}")
    else:
        yield name, command


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_each_of_its_options_is_explained(verb: str) -> None:
    with cli.make_context("scidata", [verb], resilient_parsing=True) as context:
        family = cli.get_command(context, verb)
    assert family is not None
    for name, command in commands(family, verb):
        assert command.help, name
        assert "Exit codes: 0 done" in (command.epilog or ""), name
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert getattr(parameter, "help", None), f"{name} {parameter.name}"
