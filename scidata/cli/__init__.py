"""The command line: `root` lists the verbs and sets the exit codes; one file per verb."""

from scidata.cli.root import VERBS, cli, main

__all__ = ["VERBS", "cli", "main"]
