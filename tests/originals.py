"""A small stand-in for each published original: files in the layout that its record states.

Real extents where that costs little, smaller ones otherwise; and what Intake alone must see.
"""

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scidata.catalog.founding import founding_records
from scidata.formats.founding import AWS
from scidata.record import Original
from tests.plainly import scene
from tests.servers import create_bucket, create_public_object, folder_server, moto_server


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """What lies at an original's address, and what is seen of it."""

    files: Callable[[], Mapping[str, bytes]]
    """Bytes by path below the address; the path of a single file is empty."""
    length: int
    """Files that Intake opens, or rows of a table."""
    seen: Any  # Any: JSON
    """What `tests.plain_readers` says of the first file, or of the table."""


def founding_originals() -> dict[str, Original]:
    """Every original of every founding record, as ``dataset/original``."""
    return {f"{r.id}/{o.name}": o for r in founding_records() for o in r.originals}


def _scene_files(*folders: str) -> Mapping[str, bytes]:
    stem = (
        "S3A_SL_1_RBT____2019100{}T113221_2019100{}T113520_0179_050_023_1980_LN2_O_NT_003.hdf"
    )
    one = scene(radiances=6)
    return {f"{folder}{stem.format(day, day)}": one for folder in folders for day in (1, 2)}


def _samples(*folders: str) -> Mapping[str, bytes]:
    import numpy as np

    packed = io.BytesIO()
    np.savez(packed, data=np.full((3, 128, 128), 255, "f4"), label=np.array([14]))
    return {f"{f}/sample-{k}.npz": packed.getvalue() for k, f in enumerate(folders)}


def _frames() -> Mapping[str, bytes]:
    """Lay out tables in HDF5 as pandas does in an HDFStore of the format `table`."""
    import h5py
    import hdf5plugin
    import numpy as np

    packed = hdf5plugin.Blosc(cname="snappy", clevel=9, shuffle=hdf5plugin.Blosc.SHUFFLE)
    columns = {"x_{}_0": [("f4", 942)], "x_{}_1": [("f4", 5270)]}
    columns["y_{}"] = [("f4", 1), ("S30", 1), ("S10", 1)]
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        for part in ("train", "val", "test"):
            for key, blocks in columns.items():
                values = [(f"values_block_{n}", t, (w,)) for n, (t, w) in enumerate(blocks)]
                table = np.zeros(2, [("index", "i8"), *values])
                frame = root.create_group(key.format(part))
                frame.attrs["pandas_type"] = np.bytes_("frame_table")
                frame.create_dataset("table", data=table, chunks=(2,), **packed)
        root.create_group("model").attrs["input_features"] = np.bytes_("a pickle")
    return {"": file.getvalue()}


def _benchmark_archive() -> Mapping[str, bytes]:
    days = "1950start/SC_1950-2019.freq-D-25567x2400"
    header = "," + ",".join(map(str, range(2400)))
    day = ",".join(["0"] * 2401)
    texts = {f"{days}-{name}.multi.csv": f"{header}\n{day}\n" for name in QUANTITIES}
    texts["topearthquakes_20.csv"] = "date,long,lat,mag,depth,name\n"
    texts["pix_faults_SmallJan21.csv"] = (",".join(["0"] * 60) + "\n") * 40
    texts["ValidationEARTHQN-Transformer3"] = "0.2,4,1\n0,1,2,3\n4\n"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"EarthquakeDec2020/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return {"": packed.getvalue()}


def _one(text: str) -> Callable[[], Mapping[str, bytes]]:
    return lambda: {"": text.encode()}


QUANTITIES = ("log_eng", "w_depth", "n_shock", "n_shock-mag-3.29")
CATALOGUE = (
    "#YYY/MM/DD HH:mm:SS.ss ET GT MAG  M    LAT     LON     DEPTH Q  EVID     NPH NGRM\n"
    "{}/01/03 11:26:30.04 eq  l 3.37 l    33.941 -115.888   6.0 C  3361691   25    0\n"
)
RESPONSE = (
    *("SOURCE", "CELL", "DRUG", "STUDY", "AUC", "IC50", "EC50", "EC50se", "R2fit", "Einf"),
    *("HS", "AAC1", "AUC1", "DSS1"),
)
SCENE = {
    "refs": [12, 15, 6],
    "bts": [12, 15, 3],
    "bayes": [12, 15, 1],
    "radiances": [12, 15, 6],
}
SAMPLE = {"data": ["float32", [3, 128, 128]], "label": ["int64", [1]]}
PARTS = ("train", "val", "test")
FRAMES = {
    f"{kind}_{part}{end}/table": [2, widths]
    for part in PARTS
    for kind, end, widths in (
        ("x", "_0", [942]),
        ("x", "_1", [5270]),
        ("y", "", [1, 1, 1]),
    )
}
DAILY = "EarthquakeDec2020/1950start/SC_1950-2019.freq-D-25567x2400"
MEMBERS = sorted(
    [
        *(f"{DAILY}-{q}.multi.csv" for q in QUANTITIES),
        "EarthquakeDec2020/ValidationEARTHQN-Transformer3",
        "EarthquakeDec2020/pix_faults_SmallJan21.csv",
        "EarthquakeDec2020/topearthquakes_20.csv",
    ]
)

STAND_INS: Mapping[str, StandIn] = {
    "cloudmask/ds1-training": StandIn(files=lambda: _scene_files(""), length=2, seen=SCENE),
    "cloudmask/ds1-inference": StandIn(files=lambda: _scene_files(""), length=2, seen=SCENE),
    "cloudmask/ds1-mirror": StandIn(
        files=lambda: _scene_files("training/", "inference/"), length=4, seen=SCENE
    ),
    "stemdl-classification/stemdl-ds1a": StandIn(
        files=lambda: _samples("training", "validation", "testing", "inference"),
        length=4,
        seen=SAMPLE,
    ),
    "stemdl-classification/stemdl-ds1": StandIn(
        files=lambda: _samples("training", "testing"), length=2, seen=SAMPLE
    ),
    "candle-uno/top21-auc-1fold": StandIn(files=_frames, length=1, seen=FRAMES),
    "candle-uno/combo-response": StandIn(
        files=_one("\t".join(RESPONSE) + "\nCCLE\tA\tB\tC" + "\t0.5" * 10 + "\n"),
        length=1,
        seen=list(RESPONSE),
    ),
    "candle-uno/combo-rnaseq": StandIn(
        files=_one("Sample\tAARS\tABCB6\nCCLE.A\t0.5\t-0.5\nCCLE.B\t0.1\t0.2\n"),
        length=2,
        seen=["Sample", "AARS", "ABCB6"],
    ),
    "candle-uno/combo-descriptors": StandIn(
        files=_one("NAME\tMW\tAMW\nDrug.1\t0.5\t\n"), length=1, seen=["NAME", "MW", "AMW"]
    ),
    "tevolop/benchmark-archive": StandIn(files=_benchmark_archive, length=1, seen=MEMBERS),
    "tevolop/scedc-catalogue": StandIn(
        files=lambda: {f"{y}.catalog": CATALOGUE.format(y).encode() for y in (1950, 1951)},
        length=2,
        seen=CATALOGUE.format(1950).splitlines(),
    ),
}


@contextmanager
def serving_originals(folder: Path) -> Iterator[dict[str, str]]:
    """Serve the stand-ins as their publishers do; yields which server replaces which.

    An S3 server for each endpoint and a web server for the rest, so that whoever asks at the
    wrong one finds nothing.
    """
    moved: dict[str, str] = {}
    made: set[str] = set()
    originals = founding_originals()
    with ExitStack() as stack:
        web = stack.enter_context(folder_server(folder))
        for key, stand_in in STAND_INS.items():
            original = originals[key]
            address = urlsplit(original.url)
            if address.scheme == "s3":
                at = original.endpoint or AWS
                if at not in moved:
                    moved[at] = stack.enter_context(moto_server())
                bucket = f"{moved[at]}/{address.netloc}"
                if bucket not in made:
                    create_bucket(moved[at], address.netloc)
                    made.add(bucket)
                for path, data in stand_in.files().items():
                    name = f"{address.path.strip('/')}/{path}"
                    create_public_object(moved[at], address.netloc, name, data)
            else:
                moved[f"{address.scheme}://{address.netloc}"] = f"{web}/{address.netloc}"
                (data,) = stand_in.files().values()
                file = folder / address.netloc / address.path.lstrip("/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
        yield moved
