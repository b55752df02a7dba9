"""``scidata build``: source files to a staged dataset."""

from pathlib import Path

import click

from scidata.building import Built, build
from scidata.cli.output import exits, json_option, print_json, progress_bar, quiet_option, say
from scidata.datasets import RECIPES
from scidata.wording import counted


@click.command(epilog=exits(2, 3, 4, 6, 7))
@click.argument("name", metavar="DATASET", type=click.Choice(sorted(RECIPES)))
@click.option(
    "--source",
    help="File, folder or s3://bucket/prefix to read; files of a bucket are fetched beside "
    "--out and removed at the end [default: what ships with scidata: the real earthquakes of "
    "magnitude 2.5 and above; what is called mini is simulated].",
)
@click.option(
    "--endpoint-url", help="S3 server of the source [default: of the AWS environment]."
)
@click.option(
    "--no-sign-request", "anonymous", is_flag=True, help="Read a bucket without credentials."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to make; nothing is there before everything is [default: staged/DATASET].",
)
@click.option(
    "--quirks",
    type=click.Choice(["both", "none", "published"]),
    help="tevolop: fortnights by the physical rule (none), as the benchmark published them, or "
    "both [default: both].",
)
@click.option(
    "--damaged",
    type=click.Choice(["refuse", "skip"]),
    help="cloudmask, stemdl: what becomes of files and samples that are damaged, lack a "
    "variable or are of another kind. Skipped ones are named in the record [default: refuse].",
)
@click.option(
    "--label",
    type=click.Choice(["bayes", "summary"]),
    help="cloudmask, of Sentinel-3 products: the Bayesian flags, or the summary of all cloud "
    "tests, which older products have instead [default: bayes].",
)
@click.option(
    "--size",
    type=click.Choice(["tiny", "small", "native", "mini"]),
    help="cloudmask-mini: scenes of 300 by 375 (tiny), 600 by 750 (small) or 1200 by 1500 "
    "pixels (native) [default: tiny]. stemdl-mini: 24, 180 or 2,400 samples (tiny, small, "
    "mini) [default: mini]. stemdl-reconstruction-mini has the same three sizes "
    "[default: mini]. tevolop-mini: 14 years in 96 pixels (tiny) or 60 in 216 (mini) "
    "[default: mini].",
)
@click.option(
    "--scenes",
    type=click.Choice(["24", "8", "40"]),
    help="cloudmask-mini: how many scenes are simulated [default: 24].",
)
@click.option(
    "--seed",
    type=click.Choice([str(n) for n in range(10)]),
    help="of what is called mini: seed of the simulation [default: 0].",
)
@click.option(
    "--completeness",
    type=click.Choice(["full", "falling"]),
    help="tevolop-mini: every earthquake of magnitude 2.5 is found (full), or only those from "
    "3.3 on in the first year and ever smaller ones later (falling) [default: full].",
)
@click.option(
    "--scheduler",
    metavar="threads|processes|ADDRESS",
    help="Dask's scheduler that works in parallel: all cores of this machine, or a cluster "
    "such as tcp://host:8786; the bytes are the same. For CloudMask and STEMDL where samples "
    "are made one by one; other datasets refuse it [default: one after another].",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Read and check the source, write nothing; what a bucket holds is fetched, and kept.",
)
@json_option
@quiet_option
def command(
    *,
    name: str,
    source: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    out: Path | None,
    scheduler: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **options: str | None,
) -> None:
    """Turn source files into a staged dataset, ready for `scidata publish`.

    The form of each file is told by its content. Every bad row or file is named, and then no
    dataset is made. Running it again says that it is done; a build of cloudmask or
    stemdl that was interrupted continues where it was.

    \b
    stemdl-classification
                         the archive's batch_{train,dev,test}_*.h5, or sample-*.npz
    stemdl-mini          nothing, or a folder of CIF files: it is simulated
    stemdl-reconstruction
                         LMDB environments batch_{train,eval}_*.db
    stemdl-reconstruction-mini
                         nothing: it is simulated
    tevolop              SCEDC yearly catalogues, a USGS ComCat CSV, an extract as
                         CSV, or the benchmark's own EarthquakeDec2020/
    cloudmask            the benchmark's own S3A_SL_1_RBT*.hdf, in training/ and
                         inference/ or not, or Sentinel-3 products SL_1_RBT
    cloudmask-mini       nothing: it is simulated
    cloudmask-aatsr      an Envisat product ATS_TOA_1 as NetCDF
    cloudmask-landsat8   a folder of Landsat 8 bands as *_B1_toa.tif and so on
    candle-uno           the published top_21_auc_1fold.uno.h5, or a folder of the
                         tab-separated tables that it was made from
    candle-uno-ccle      a folder of CCLE doses, features and SMILES as CSV
    candle-uno-ctrp-gdsc
                         a folder of DrugCell's CTRP and GDSC AUC, and CCLE features
    candle-uno-gdsc2     a folder of GDSC2 ln IC50, features and SMILES as CSV
    candle-uno-mini      nothing: it is simulated
    candle-uno-pairs-mini
                         nothing: it is simulated, two drugs at once
    tevolop-mini         nothing: it is simulated
    """  # noqa: D301 - a raw text would have two signs where click looks for one
    place = out or Path("staged") / name
    with progress_bar("build", shown=not (as_json or quiet), unit="") as progress:
        built = build(
            name,
            source,
            place,
            options={name: value for name, value in options.items() if value},
            dry_run=dry_run,
            scheduler=scheduler,
            endpoint_url=endpoint_url,
            anonymous=anonymous,
            progress=progress,
        )
    if as_json:
        print_json("scidata-build/1", vars(built))
    else:
        _print(built, shipped=source is None)


def _print(built: Built, *, shipped: bool) -> None:
    if built.already:
        say(f"{built.staged} is done already: the same source and options")
        return
    origin = " (ships with scidata)" if shipped and built.files else ""
    files = f", {counted(len(built.files), 'file')}" if built.files else ""
    say(f"source   {built.source}{origin}, {built.form}{files}")
    for name, count in built.counts.items():
        if count or name == "magnitude_floor":
            say(f"  {name.replace('_', ' '):24}{count:>10,}")
    verb = "wrote" if built.written else "would write"
    say(f"{verb} {built.staged}: {', '.join(built.assets)}")
