"""A leaderboard of submissions: a table a task, profile and version, best first."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scidata.benchmarks import check_submission, load_task
from scidata.benchmarks.folders import Submission, read_files, read_submission
from scidata.benchmarks.scoring import MODEL
from scidata.benchmarks.submission import MANIFEST
from scidata.benchmarks.task import Task
from scidata.errors import InvalidError, NotFoundError, ScidataError, StorageError
from scidata.site.rendering import ASSETS, asset, render
from scidata.storage import StoreLike

MOST = 10_000
_LEVELS = "*/*/*/*"


def collect(folder: Path, store: StoreLike | None = None) -> dict[str, Any]:  # Any: JSON
    """Read every submission below a folder; with a store each is checked, too.

    Returns
    -------
    dict
        ``tables``, one a task, profile, version and last scored part; and ``refused``, the
        folders that are no sound submission, each with the reason.

    Raises
    ------
    NotFoundError
        If there is no submission.
    """
    places = sorted(folder.glob(f"{_LEVELS}/{MANIFEST}"))[:MOST]
    if not places:
        raise NotFoundError(
            "there are no submissions",
            where=str(folder),
            fix=f"name a folder with submissions at {_LEVELS}: scidata bench submit",
        )
    tables: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    heads: dict[tuple[str, ...], dict[str, Any]] = {}
    refused = []
    for place in places:
        where = place.parent.relative_to(folder).as_posix()
        try:
            head, entry = _read(place.parent, folder, where, store)
        except (ScidataError, KeyError, IndexError) as error:
            said = error.message if isinstance(error, ScidataError) else "it has no score"
            refused.append({"path": where, "reason": said})
            continue
        key = (head["task"], head["profile"], head["dataset"], head["digest"], head["part"])
        tables.setdefault(key, []).append(entry)
        heads.setdefault(key, head)
    ordered = [
        {
            **heads[key],
            "entries": ranked(tables[key], higher_is_better=heads[key]["higher_is_better"]),
        }
        for key in sorted(tables)
    ]
    return {"tables": ordered, "refused": refused}


def _read(
    place: Path, folder: Path, where: str, store: StoreLike | None
) -> tuple[dict[str, Any], dict[str, Any]]:  # Any: JSON
    """Read a submission, and check it if there is a store; return its table's head and it."""
    if any(
        each.is_symlink() for each in (place, *place.parents) if each.is_relative_to(folder)
    ):
        raise InvalidError("it lies behind a link", where=where, fix="bring the folder itself")
    found = read_submission(read_files(place))
    task = load_task(found.task)
    profile = task.profile(found.profile)
    if (found.metric, found.higher_is_better) != (task.metric, task.higher_is_better):
        raise InvalidError(
            f"its metric is not {task.metric}", where=where, fix="submit what the run wrote"
        )
    if Path(where) != (proper := found.named.folder(found.task)):
        raise InvalidError(
            f"it says that it lies at {proper.as_posix()}",
            where=where,
            fix="move it there, so that nobody is in a table twice",
        )
    part = profile.parts[-1]
    entry = _entry(found, part, where)
    if store is not None:
        doi = check_submission(place, store=store)["doi"]
        entry |= {"checked": True, "doi": doi, "doi_known": True}
    return _head(task, found, part), entry


def _head(task: Task[Any], found: Submission, part: str) -> dict[str, Any]:  # Any: JSON
    return {
        "task": task.name,
        "profile": found.profile,
        "part": part,
        "metric": task.metric,
        "higher_is_better": task.higher_is_better,
        "dataset": found.dataset.name,
        "digest": found.dataset.digest,
    }


def _entry(found: Submission, part: str, where: str) -> dict[str, Any]:  # Any: JSON
    scores = {name: each[found.metric] for name, each in found.scores[part].items()}
    return {
        "org": found.org,
        "system": found.system,
        "descriptor": found.descriptor,
        "path": where,
        "checked": False,
        "division": found.division,
        "score": scores[MODEL],
        "baselines": {name: value for name, value in scores.items() if name != MODEL},
        "split": found.splits[part].get("name"),
        "split_digest": found.splits[part].get("digest"),
        "doi": found.dataset.doi,
        "doi_claimed": found.dataset.doi,
        "doi_known": False,
        "leaks": list(found.leaks),
        "quirks": list(found.quirks),
        "created": found.created,
    }


def ranked(entries: list[dict[str, Any]], *, higher_is_better: bool) -> list[dict[str, Any]]:
    """Order by score, those without one last; a check does not change the order."""
    sign = -1 if higher_is_better else 1
    return sorted(
        entries,
        key=lambda e: (e["score"] is None, sign * (e["score"] or 0.0), e["path"]),
    )


def markdown(board: Mapping[str, Any]) -> str:
    """Write a leaderboard as Markdown; names of others can add nothing to it."""
    return "\n".join(_lines(board)) + "\n"


def _lines(board: Mapping[str, Any]) -> Iterator[str]:
    for table in board["tables"]:
        order = "higher" if table["higher_is_better"] else "lower"
        yield f"## {_cell(table['task'])}, {_cell(table['profile'])}"
        yield ""
        yield (
            f"{_cell(table['metric'])} on {_cell(table['part'])} of {_cell(table['dataset'])}, "
            f"`{table['digest']}`; {order} is better."
        )
        yield ""
        names = sorted({name for entry in table["entries"] for name in entry["baselines"]})
        heads = ("submitter", "system", table["metric"], *names, "division", "split", "leaks",
                 "DOI", "checked")  # fmt: skip
        yield _row(heads)
        yield _row(["---"] * len(heads))
        for entry in table["entries"]:
            yield _row(
                (
                    entry["org"],
                    entry["system"],
                    number(entry["score"]),
                    *(number(entry["baselines"].get(name)) for name in names),
                    entry["division"],
                    entry["split"],
                    "; ".join(entry["leaks"]) or "none declared",
                    f"{entry['doi'] or 'none'} {doi_note(entry)}",
                    "yes" if entry["checked"] else "unchecked",
                )
            )
        yield ""
    for each in board["refused"]:
        yield f"- refused: {_cell(each['path'])}: {_cell(each['reason'])}"


def _row(cells: Any) -> str:  # Any: text and numbers
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: object) -> str:
    text = " ".join(str(value).split())
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return text


def doi_note(entry: Mapping[str, Any]) -> str:  # Any: JSON
    """Say what is wrong with the DOI of an entry: unchecked, or not the one of the store."""
    claimed = entry["doi_claimed"]
    if not entry["doi_known"]:
        return "(unverified)" if claimed else ""
    return f"({claimed} is claimed)" if claimed not in (None, entry["doi"]) else ""


def number(value: float | None) -> str:
    """Write a score."""
    return "-" if value is None else f"{value:.4f}"


def page(board: Mapping[str, Any], *, root: str, feed: bool) -> bytes:
    """Write a leaderboard as a page of the site."""
    return render(
        "leaderboard.html",
        root=root,
        feed=feed,
        canonical=None,
        links=(),
        document=None,
        tables=[
            {
                **table,
                "names": sorted({n for e in table["entries"] for n in e["baselines"]}),
            }
            for table in board["tables"]
        ],
        refused=board["refused"],
        number=number,
        doi_note=doi_note,
    )


def write(board: Mapping[str, Any], out: Path) -> None:
    """Write all three forms; beside a site the page is one of its own.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    beside = (out / ASSETS[0]).is_file()
    document = {"schema": "scidata-leaderboard/1", **board}
    files = {
        "leaderboard.md": markdown(board).encode(),
        "leaderboard.json": (
            json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        ).encode(),
        "leaderboard/index.html": page(board, root="../" if beside else "./", feed=beside),
    }
    if not beside:
        files |= {f"leaderboard/{name}": asset(name) for name in ASSETS}
    try:
        (out / "leaderboard").mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            (out / path).write_bytes(data)
    except OSError as error:
        raise StorageError(
            f"cannot write the leaderboard: {error.strerror}",
            where=str(out),
            fix="make room or choose another --out",
        ) from error
