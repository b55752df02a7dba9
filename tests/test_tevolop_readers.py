"""Catalogues of earthquakes: what is read, what is left out, and what is refused."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scidata.datasets.tevolop.events import SCHEMA, Catalogue, read_events
from scidata.datasets.tevolop.sources import Form, identify, list_files
from scidata.errors import InvalidError, NotFoundError, Problem

NOW = datetime(2026, 11, 1, tzinfo=UTC)
HEADER = "id,time,latitude,longitude,depth,mag,magType,type,quality"
GOOD = "ci1,1992-06-28T11:57:34.13Z,34.2,-116.437,1.1,7.3,w,eq,A"

SCEDC_BANNER = """\
###############################################################################
# The following is an SCEDC-format listing of catalog data from the Southern  #
###############################################################################
#YYY/MM/DD HH:mm:SS.ss ET GT MAG  M    LAT     LON     DEPTH Q  EVID     NPH NGRM
"""
SCEDC_ROW = (
    "1950/01/03 11:26:30.04 eq  l 3.37 l    33.941 -115.888   6.0 C  3361691   25    0\n"
)
SCEDC_BLAST = (
    "2023/01/01 01:00:24.86 qb  l 1.93 c    34.401 -118.713  -0.6 A 40152471   87 2922\n"
)
SCSN_BANNER = """\
##################################################################################
# The following is an SCSN-format listing of catalog data from the Southern 	 #
##################################################################################
#YYY MM DD  HH mm SS.ss  LATITUDE LONGITUDE Q MAG     DEPTH NPH    RMS   EVID
"""
SCSN_ROW = "1952 01 01  16 53  6.57  35 15.36-119  6.61 C 3.0      6.00 11     0.30  3322196\n"
FOOTER = "\n### Number of rows returned:{}\n"

COMCAT_HEADER = (
    "time,latitude,longitude,depth,mag,magType,nst,gap,dmin,rms,net,id,updated,place,type,"
    "horizontalError,depthError,magError,magNst,status,locationSource,magSource"
)
COMCAT_ROWS = [
    "2019-07-06T03:19:53.040Z,35.7695,-117.5993,8,7.1,mw,11,90,0.1,0.16,ci,ci38457511,"
    '2023-05-05T00:00:00.000Z,"2019 Ridgecrest, CA Earthquake Sequence",earthquake,0.1,0.2,,,'
    "reviewed,ci,ci",
    "2020-01-02T20:00:00.000Z,34.5,-117.1,-0.5,1.6,ml,11,90,0.1,0.16,ci,ci39000001,"
    '2023-05-05T00:00:00.000Z,"5km N of Nowhere, CA",quarry blast,0.1,0.2,,,reviewed,ci,ci',
    "2020-01-03T20:00:00.000Z,34.5,-117.1,0,1.2,ml,11,90,0.1,0.16,ci,ci39000002,"
    "2023-05-05T00:00:00.000Z,Nowhere,explosion,0.1,0.2,,,reviewed,ci,ci",
    "2020-01-04T20:00:00.000Z,34.5,-117.1,5,,,11,90,0.1,0.16,ci,ci39000003,"
    "2023-05-05T00:00:00.000Z,Nowhere,earthquake,0.1,0.2,,,automatic,ci,ci",
]


def read(source: Path) -> Catalogue:
    files = identify(list_files(source), source)
    return read_events(files, now=NOW, where=str(source))


def write(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("".join(f"{row}\n" for row in (header, *rows)), encoding="utf-8")
    return path


def refused(source: Path) -> tuple[Problem, ...]:
    with pytest.raises(InvalidError) as caught:
        read(source)
    assert caught.value.fix
    return caught.value.problems


def test_scedc_catalogues_are_read_column_by_column(tmp_path: Path) -> None:
    path = tmp_path / "any-name.txt"
    path.write_text(SCEDC_BANNER + SCEDC_ROW + SCEDC_BLAST + FOOTER.format(2))
    catalogue = read(path)
    assert catalogue.table.schema.equals(SCHEMA)
    assert catalogue.table.to_pylist()[0] == {
        "id": "ci3361691",
        "time": datetime(1950, 1, 3, 11, 26, 30, 40_000, tzinfo=UTC),
        "latitude": 33.941,
        "longitude": -115.888,
        "depth": 6.0,
        "magnitude": 3.37,
        "magnitude_type": "l",
        "event_type": "eq",
        "quality": "C",
    }
    assert catalogue.counts.blasts == 1
    assert catalogue.earthquakes.num_rows == 1


def test_scsn_catalogues_give_degrees_and_no_type(tmp_path: Path) -> None:
    path = tmp_path / "1952.catalog"
    path.write_text(SCSN_BANNER + SCSN_ROW + FOOTER.format(1))
    row = read(path).table.to_pylist()[0]
    assert row["id"] == "ci3322196"
    assert row["time"] == datetime(1952, 1, 1, 16, 53, 6, 570_000, tzinfo=UTC)
    assert row["latitude"] == pytest.approx(35 + 15.36 / 60, abs=1e-6)
    assert row["longitude"] == pytest.approx(-(119 + 6.61 / 60), abs=1e-6)
    assert (row["magnitude"], row["depth"], row["quality"]) == (3.0, 6.0, "C")
    assert row["event_type"] == ""


def test_comcat_csv_tells_blasts_and_explosions_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "query.csv", *COMCAT_ROWS, header=COMCAT_HEADER)
    catalogue = read(path)
    assert catalogue.table["event_type"].to_pylist() == ["eq", "qb", "explosion"]
    assert catalogue.table["id"].to_pylist()[0] == "ci38457511"
    counts = catalogue.counts
    assert (counts.blasts, counts.others, counts.incomplete) == (1, 1, 1)
    assert catalogue.earthquakes.num_rows == 1


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (SCEDC_ROW, Form.SCEC_DC),
        (SCEDC_BANNER + FOOTER.format(0), Form.SCEC_DC),
        (SCSN_ROW, Form.SCSN),
        (SCSN_BANNER + FOOTER.format(0), Form.SCSN),
        (COMCAT_HEADER + "\n" + COMCAT_ROWS[0] + "\n", Form.COMCAT),
        ("\ufeff" + HEADER + "\r\n" + GOOD + "\r\n", Form.TABLE),
    ],
)
def test_the_form_is_told_by_content_plain_or_gzip(
    tmp_path: Path, content: str, form: Form
) -> None:
    for name, data in {
        "misleading.csv": content.encode(),
        "1950.catalog": gzip.compress(content.encode()),
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert [file.form for file in identify([path], path)] == [form]


def test_a_folder_of_years_reads_as_one_catalogue_in_order_of_time(tmp_path: Path) -> None:
    later = SCEDC_BANNER + SCEDC_BLAST + SCEDC_BLAST.replace("qb", "eq").replace("471", "472")
    (tmp_path / "a.catalog.gz").write_bytes(gzip.compress((later + FOOTER.format(2)).encode()))
    (tmp_path / "z.catalog").write_text(SCEDC_BANNER + SCEDC_ROW + FOOTER.format(1))
    (tmp_path / "README.md").write_text("not a catalogue")
    (tmp_path / ".hidden").write_bytes(b"\0")
    assert read(tmp_path).table["id"].to_pylist() == ["ci3361691", "ci40152471", "ci40152472"]


def test_events_outside_the_region_or_before_1950_are_counted_and_left_out(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path / "x.csv",
        GOOD,
        GOOD.replace("ci1", "ci2").replace("34.2", "36.0001"),
        GOOD.replace("ci1", "ci3").replace("-116.437", "-120.001"),
        GOOD.replace("ci1", "ci4").replace("1992", "1949"),
        GOOD.replace("ci1", "ci5").replace("34.2", "36").replace("-116.437", "-120"),
    )
    counts = read(path).counts
    assert (counts.rows, counts.kept, counts.outside, counts.early) == (5, 2, 2, 1)


def test_rows_on_the_southern_and_eastern_edge_are_kept_and_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.csv",
        GOOD,
        GOOD.replace("ci1", "ci2").replace("34.2", "32"),
        GOOD.replace("ci1", "ci3").replace("-116.437", "-114.000"),
    )
    counts = read(path).counts
    assert (counts.kept, counts.on_edge) == (3, 2)


def test_an_identical_row_is_dropped_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", GOOD, GOOD)
    counts = read(path).counts
    assert (counts.rows, counts.kept, counts.repeated) == (2, 1, 1)


def test_one_id_with_two_rows_is_refused_naming_both_lines(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", GOOD)
    write(tmp_path / "b.csv", GOOD.replace("ci1", "ci0"), GOOD.replace("7.3", "7.2"))
    (problem,) = refused(tmp_path)
    assert problem.path == "a.csv:2"
    assert "b.csv:3" in problem.message
    assert "7.3 and 7.2" in problem.message


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("34.2", "95.1", "latitude"),
        ("34.2", "north", "latitude"),
        ("34.2", "nan", "latitude"),
        ("34.2", "", "latitude"),
        ("-116.437", "-1164.37", "longitude"),
        ("1.1", "900", "depth"),
        ("1.1", "-11", "depth"),
        ("7.3", "10.1", "magnitude"),
        ("7.3", "-3.5", "magnitude"),
        ("7.3", "0x7", "magnitude"),
        ("1992-06-28", "1992-06-31", "time"),
        ("11:57", "25:57", "time"),
        ("34.13Z", "34.13", "time"),
        ("1992-06-28T11:57:34.13Z", "yesterday", "time"),
        ("1992-", "2092-", "time"),
        ("ci1", "", "id"),
        ("ci1", "ci 1;rm", "id"),
        ("ci1", "jma1", "network"),
        (",eq,", ",=cmd(),", "event-type"),
        (",A", ",A,extra", "row"),
        (",eq,A", "", "row"),
        (",w,", ',"w,', "row"),
    ],
)
def test_a_bad_value_is_refused_with_its_line_and_value(
    tmp_path: Path, old: str, new: str, code: str
) -> None:
    bad = GOOD.replace(old, new)
    assert bad != GOOD
    (problem,) = refused(write(tmp_path / "x.csv", GOOD.replace("ci1", "ci9"), bad))
    assert problem.code == code
    assert problem.path == "x.csv:3"
    assert new.strip('",') in problem.message
    assert problem.fix


def test_every_bad_row_of_every_file_is_listed_at_once(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", GOOD.replace("34.2", "91"), GOOD.replace("7.3", "99"))
    (tmp_path / "b.catalog").write_text("1950/01/03 11:26:30.04 eq l 3.37\n" + SCEDC_ROW)
    assert [p.path for p in refused(tmp_path)] == ["a.csv:2", "a.csv:3", "b.catalog:1"]


def test_bad_rows_are_listed_in_the_order_of_the_file_whatever_is_wrong(tmp_path: Path) -> None:
    rows = [GOOD.replace("7.3", "99"), GOOD.replace("34.2", "91"), "ci9,too,few"]
    path = write(tmp_path / "a.csv", *rows, *[GOOD] * 7, GOOD.replace("34.2", "nan"))
    assert [p.path for p in refused(path)] == ["a.csv:2", "a.csv:3", "a.csv:4", "a.csv:12"]


def test_one_row_with_two_problems_counts_as_two_problems(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", GOOD.replace("34.2", "91").replace("7.3", "99"))
    with pytest.raises(InvalidError, match="2 problems in its rows"):
        read(path)


def test_more_than_a_hundred_problems_are_counted(tmp_path: Path) -> None:
    rows = [GOOD.replace("ci1", f"ci{n}").replace("7.3", "77") for n in range(150)]
    path = write(tmp_path / "x.csv", *rows)
    with pytest.raises(InvalidError, match=r"150 problems in its rows, of which 100") as caught:
        read(path)
    assert len(caught.value.problems) == 100


def test_a_gzip_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    rows = [GOOD.replace("ci1", f"ci{n}") for n in range(5000)]
    whole = gzip.compress("\n".join([HEADER, *rows]).encode())
    path = tmp_path / "x.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    (problem,) = refused(path)
    assert problem.code == "cut-off"
    assert str(len(whole) // 2) in problem.message


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    data = bytearray(gzip.compress("\n".join([HEADER, GOOD]).encode()))
    data[-6] ^= 0xFF  # in the checksum
    path = tmp_path / "x.csv.gz"
    path.write_bytes(data)
    (problem,) = refused(path)
    assert problem.code == "gzip"


def test_a_listing_without_its_last_line_is_refused_as_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "1950.catalog"
    path.write_text(SCEDC_BANNER + SCEDC_ROW)
    (problem,) = refused(path)
    assert problem.code == "cut-off"


def test_a_listing_with_fewer_rows_than_it_promises_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "1950.catalog"
    path.write_text(SCEDC_BANNER + SCEDC_ROW + FOOTER.format(508))
    (problem,) = refused(path)
    assert "508" in problem.message


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"PAR1\0\0\0\1", "binary"),
        (b"Dear sir,\nplease find enclosed\n", "form"),
        (b"<html><body>503</body></html>", "form"),
        (HEADER.replace(",mag,", ",").encode() + b"\n", "header"),
        (HEADER.replace(",type,", ",").encode() + b"\n", "header"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    (problem,) = refused(path)
    assert problem.code == code
    assert "file" in problem.path


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(HEADER.encode() + b"\n" + b"7" * 5_000_000))
    (problem,) = refused(path)
    assert problem.code == "line-length"


def test_a_missing_source_and_an_empty_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        read(tmp_path / "nowhere")
    with pytest.raises(InvalidError, match="0 data files"):
        read(tmp_path)


def test_a_catalogue_of_elsewhere_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", GOOD.replace("34.2", "-34.2"))
    with pytest.raises(InvalidError, match="none of its 1 events"):
        read(path)


@settings(deadline=None, max_examples=25)
@given(order=st.permutations(range(12)))
def test_the_order_of_rows_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    rows = [
        GOOD.replace("ci1", f"ci{n}").replace("34.13", f"{34 - n % 3}.13") for n in range(12)
    ]
    path = tmp_path_factory.mktemp("order") / "x.csv"
    shuffled = read(write(path, *(rows[n] for n in order))).table
    assert shuffled.equals(read(write(path, *rows)).table)


def test_the_real_yearly_files_are_read_whole(shared_data: Path) -> None:
    folder = shared_data / "tevolop" / "original"
    years = read(folder / "SCEC_DC")
    assert (years.counts.rows, years.counts.kept, years.counts.blasts) == (14742, 14246, 659)
    network = read(folder / "SCSN" / "1952.catalog")
    assert (network.counts.rows, network.counts.kept) == (555, 521)


def test_both_real_forms_of_1952_agree(shared_data: Path) -> None:
    folder = shared_data / "tevolop" / "original"
    decimal = {r["id"]: r for r in read(folder / "SCEC_DC" / "1952.catalog").table.to_pylist()}
    for row in read(folder / "SCSN" / "1952.catalog").table.to_pylist():
        other = decimal[row["id"]]
        assert row["time"] == other["time"]
        assert row["latitude"] == pytest.approx(other["latitude"], abs=0.001)
        assert row["longitude"] == pytest.approx(other["longitude"], abs=0.001)
        assert row["magnitude"] == pytest.approx(other["magnitude"], abs=0.051)
