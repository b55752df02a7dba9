"""A manifest is read many lines at once, and line by line if one is wrong. Both agree."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidata import manifest
from scidata.digest import Digest
from scidata.errors import InvalidError
from scidata.manifest import Manifest
from scidata.paths import path_problems

NAMES = st.text(st.sampled_from("abB9_-.~ é:/\\\n%"), max_size=4) | st.sampled_from(
    [
        "con",
        "CON.txt",
        "com1",
        "a.part",
        ".DS_Store",
        "._a",
        "_a.",
        "a. b",
        "Thumbs.db",
        "THUMBS.DB",
        "config",
        "x.con",
        "con .x",
        "conin$",
        "lpt\u00b9.a",
        "a\u200bb",
        "x.PART",
        "\u017f",
        "\u212a",
        "e\u0301",
        "\u00df",
        "ss",
        "..",
        "data",
        "a" * 300,
    ]
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: "data/" + "/".join(names))
LINES = st.lists(st.tuples(st.sampled_from(["0" * 64, "aB" * 32, "f" * 64]), PATHS), max_size=5)


@given(lines=LINES, in_order=st.booleans())
def test_what_is_read_at_once_is_what_line_by_line_reading_gives(
    lines: list[tuple[str, str]], in_order: bool
) -> None:
    if in_order:
        lines = sorted({path: value for value, path in lines}.items())
        lines = [(value, path) for path, value in lines]
    data = "".join(f"{value}  {path}\n" for value, path in lines).encode()
    quick = manifest._plain_lines(data)
    try:
        careful = Manifest(manifest._checked_lines(data, "here"))
    except InvalidError:
        assert quick is None
        with pytest.raises(InvalidError):
            Manifest.parse(data)
    else:
        assert quick == careful.hexes
        assert Manifest.parse(data) == careful
        blocks = list(manifest.read_lines(data))
        assert [path for block, _ in blocks for path in block] == list(careful)
        assert [value for _, block in blocks for value in block] == [*careful.hexes.values()]


@given(paths=st.sets(PATHS, max_size=6))
def test_a_manifest_is_made_of_paths_exactly_if_each_is_allowed(paths: set[str]) -> None:
    files = dict.fromkeys(paths, Digest("0" * 64))
    if next(path_problems(sorted(paths)), None) is None:
        assert list(Manifest(files)) == sorted(paths)
    else:
        with pytest.raises(InvalidError):
            Manifest(files)


@given(
    paths=st.sets(
        st.text("abz9_-.", min_size=1, max_size=8).map(lambda name: f"data/x{name}x"),
        min_size=1,
    )
)
def test_plain_lines_are_read_at_once(paths: set[str]) -> None:
    """The quick way is taken where it can be, else the law above would hold of nothing."""
    data = "".join(f"{'0' * 64}  {path}\n" for path in sorted(paths)).encode()
    assert manifest._plain_lines(data) == dict.fromkeys(sorted(paths), "0" * 64)


def test_twins_that_differ_by_case_are_named() -> None:
    lines = [f"{'0' * 64}  data/{name}\n" for name in ("TABLE", "Table", "table")]
    with pytest.raises(InvalidError, match="differs from 'data/TABLE' by case only"):
        Manifest.parse("".join(lines).encode())


@pytest.mark.parametrize("name", ["c", "config", "a.config", "a b", "\u00e9"])
def test_two_hundred_thousand_lines_of_any_name_take_less_than_a_second(name: str) -> None:
    paths = [f"data/grid.zarr/{name}/{n // 1000:03d}/{n:06d}" for n in range(200_000)]
    data = "".join(f"{'0' * 64}  {path}\n" for path in paths).encode()
    began = time.process_time()
    parsed = Manifest.parse(data)
    assert time.process_time() - began < 1
    assert len(parsed) == len(paths)
    assert parsed[paths[7]] == Digest("0" * 64)
