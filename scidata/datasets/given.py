"""Whether a source was given: some recipes need one, what is simulated has none."""

from pathlib import Path

from scidata.errors import InvalidError, NotFoundError


def required(
    source: Path | None, name: str, what: str, *, size: str = "", simulated: str = ""
) -> Path:
    """Return the source of a dataset that does not ship with scidata.

    Parameters
    ----------
    source : Path or None
    name : str
        Of the dataset.
    what : str
        What to give.
    size : str
        Of the files, said as the reason.
    simulated : str
        Dataset that can be built without any.

    Raises
    ------
    InvalidError
        If none was given.
    NotFoundError
        If it is not there.
    """
    fix = f"give --source {what}"
    if source is None:
        raise InvalidError(
            f"{name} does not ship with scidata" + (f": {size}" if size else ""),
            where=name,
            fix=fix + (f"; scidata build {simulated} simulates some" if simulated else ""),
        )
    if not source.exists():
        raise NotFoundError(f"there is no {str(source)!r}", where=str(source), fix=fix)
    return source


def none(source: Path | None, name: str, *, published: str) -> None:
    """Refuse a source where everything is simulated.

    Parameters
    ----------
    source : Path or None
    name : str
        Of the dataset.
    published : str
        Dataset that is built from files.

    Raises
    ------
    InvalidError
        If one was given.
    """
    if source is not None:
        raise InvalidError(
            f"{name} is simulated and reads no source",
            where=str(source),
            fix="leave out --source, or build what is in files with: scidata build "
            f"{published} --source {source}",
        )
