"""Run the fenced blocks of a Markdown page as its reader would, and compare what they print.

```console  each line after ``$ `` is a command; the lines below it are its output, where
            ``...`` stands for anything. A command ends with status 0, unless its line ends
            with ``# exit N``. A command without output below it may print what it likes.
```python   a session with ``>>>`` and output, or a plain script. Blocks share their names.

Blocks in any other language are shown, not run.
"""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXIT = re.compile(r"\s+# exit (\d+)$")


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Command:
    text: str
    expected: str
    status: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(language=m[1], text=m[2], line=text.count("\n", 0, m.start()) + 1)
        for m in _FENCE.finditer(text)
    ]


def commands(block: Block) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = part.split("\n")
        count = next(n for n, line in enumerate(lines, start=1) if not line.endswith("\\"))
        text = "\n".join(lines[:count])
        status = _EXIT.search(text)
        yield Command(
            text=_EXIT.sub("", text),
            expected="\n".join(lines[count:]),
            status=int(status[1]) if status else 0,
        )


def run_page(page: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Run every block in order; the first that differs from the page fails."""
    names: dict[str, object] = {"__name__": "__page__"}
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.language == "console":
            for command in commands(block):
                run_command(command, where, folder, environment)
        elif block.language == "python":
            _run_python(block, where, names)


def run_command(
    command: Command, where: str, folder: Path, environment: Mapping[str, str]
) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command.text],
        cwd=folder,
        env={**environment, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    shown = f"{where}: $ {command.text}\n{done.stdout}"
    assert done.returncode == command.status, shown
    checker = doctest.OutputChecker()
    if command.expected.strip():
        assert checker.check_output(command.expected.strip(), done.stdout.strip(), FLAGS), (
            f"{shown}\n--- the page says ---\n{command.expected}"
        )


def _run_python(block: Block, where: str, names: dict[str, object]) -> None:
    if ">>>" not in block.text:
        exec(compile(block.text, where, "exec"), names)  # noqa: S102 (our own pages)
        return
    test = doctest.DocTestParser().get_doctest(block.text, names, where, where, block.line)
    output: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=output.append, clear_globs=False)
    names.update(test.globs)
    assert runner.failures == 0, "".join(output)
