"""How candle-uno is built: the published prebuilt file, or the tables that it was made from."""

from pathlib import Path

from scidata.datasets import Advance
from scidata.datasets.candle_uno import hdfstore, reading, tables
from scidata.datasets.candle_uno.content import Content
from scidata.datasets.candle_uno.recipe import Files, FromFiles, Reader
from scidata.errors import InvalidError

_WHAT = f"top_21_auc_1fold.uno.h5, or a folder with {', '.join(tables.NAMES.values())}"


def _find(source: Path) -> tuple[str, Files]:
    if hdfstore.is_file_of(source):
        return "HDFStore", {"file": source}
    if tables.is_folder_of(source):
        return "tab-separated tables", reading.find(source, tables.NAMES)
    raise InvalidError(
        f"{str(source)!r} is neither the published file nor its tables",
        where=str(source),
        fix=f"give {_WHAT}; its relatives read others: scidata build --help",
    )


def _read(files: Files, advance: Advance) -> Content:
    read: Reader = hdfstore.read if "file" in files else tables.read
    return read(files, advance)


RECIPE = FromFiles("candle-uno", _WHAT, _find, _read)
