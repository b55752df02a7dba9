"""The command line: `root` lists the verbs and sets the exit codes; one file per verb."""

try:
    from scidata.cli.root import VERBS, cli, main
except KeyboardInterrupt:  # before `main` could say so; nothing has begun
    raise SystemExit(130) from None

__all__ = ["VERBS", "cli", "main"]
