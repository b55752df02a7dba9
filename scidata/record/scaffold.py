"""A new record to fill in: every field that a person writes, each with a comment."""

from importlib.resources import files
from pathlib import Path

from scidata.errors import ConflictError, InvalidError, StorageError
from scidata.identifiers import check_dataset_id


def scaffold(name: str, *, path: Path) -> bytes:
    """Return the text of a new record; what is in angle brackets is to be filled in.

    Parameters
    ----------
    name : str
        The dataset's id.
    path : Path
        Where it will lie, for the command in its first comment.

    Raises
    ------
    InvalidError
        If the name is not a dataset's id.
    """
    check_name(name)
    template = files("scidata") / "metadata" / "templates" / "record.yaml"
    text = template.read_text("utf-8").replace("{name}", name).replace("{path}", str(path))
    return text.encode()


def check_name(name: str) -> None:
    """Refuse a name that is not a dataset's id, as somebody typed it.

    Raises
    ------
    InvalidError
        If it is none.
    """
    try:
        check_dataset_id(name)
    except InvalidError as error:
        raise InvalidError(error.message, where="NAME", fix=error.fix) from error


def write_new(path: Path, data: bytes) -> None:
    """Write a new file, and never over an existing one.

    Raises
    ------
    ConflictError
        If something is at the path.
    StorageError
        If the folder cannot be written.
    """
    created = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            created = True
            file.write(data)
    except OSError as error:
        if created:  # a full disk: no half of a record stays
            path.unlink()
        elif path.exists():
            raise ConflictError(
                f"{str(path)!r} exists and is not written over",
                where=str(path),
                fix="choose another name, or say where with --out FILE",
            ) from error
        raise StorageError(
            f"{str(path)!r} cannot be written: {error.strerror}",
            where=str(path),
            fix="choose another place with --out FILE, where you may write and there is room",
        ) from error
