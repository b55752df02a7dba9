"""How a version is looked at, and which of its files: pure decisions, no reading.

Files are drawn in an order that the version's digest fixes, so that everybody who names the
same sample or subset looks at the same files, and `n` subsets cover all of them.
"""

import hashlib
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from scidata.compare import Depth
from scidata.errors import InvalidError, NotFoundError
from scidata.wording import amount, counted

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SAMPLE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(%|[KMGT]?B?)", re.IGNORECASE)
_SUBSET = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How deep to look, and at what."""

    depth: Depth = "full"
    globs: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    sample: "Sample | None" = None
    subset: "Subset | None" = None

    @property
    def draws(self) -> bool:
        """Whether only some of the files are looked into; of the others names and sizes."""
        return self.sample is not None or self.subset is not None

    def read(self, files: Collection[str], seed: str, sizes: Mapping[str, int]) -> set[str]:
        """Choose the files whose content is compared.

        Parameters
        ----------
        files : collection of str
            The paths that globs and assets leave.
        seed : str
            The version's digest.
        sizes : mapping of str to int
            Their sizes in bytes, as far as known.
        """
        if self.depth == "fast":
            return set()
        if self.sample is not None:
            return set(self.sample.draw(in_order(files, seed), sizes))
        if self.subset is not None:
            return set(self.subset.draw(in_order(files, seed)))
        return set(files)

    def told(self, read: int, files: int, seed: str) -> str:
        """Say what was drawn; nothing if everything was."""
        if not self.draws:
            return ""
        kind = f"subset {self.subset}" if self.subset else f"sample {self.sample}"
        return f"{kind}: {read:,} of {counted(files, 'file')}, drawn by {seed}"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A share, a number or an amount of the files."""

    text: str
    share: float = 0
    """0 to 1, of the number of files."""
    count: int = 0
    bytes: int = 0

    @classmethod
    def parse(cls, text: str) -> "Sample":
        """Read ``1%``, ``300`` files or ``50G`` (decimal units, as everywhere).

        Raises
        ------
        InvalidError
            If it is none of these, or nothing.
        """
        match = _SAMPLE.fullmatch(text.strip())
        value = float(match[1]) if match else 0
        unit = match[2].upper() if match else ""
        if match is None or value <= 0 or (unit == "%" and value > 100):  # noqa: PLR2004 - percent
            raise _no_sample(text)
        if unit == "%":
            return cls(text=text, share=value / 100)
        if unit == "":
            if "." in match[1]:
                raise _no_sample(text)
            return cls(text=text, count=int(value))
        return cls(text=text, bytes=math.ceil(value * _UNITS[unit.removesuffix("B")]))

    def draw(self, ordered: list[str], sizes: Mapping[str, int]) -> list[str]:
        """Take the first files; at least one, and of an amount no less than it.

        Raises
        ------
        InvalidError
            If an amount is asked for and the sizes are not known.
        """
        if not self.bytes:
            return ordered[: self.count or max(1, math.ceil(self.share * len(ordered)))]
        if any(path not in sizes for path in ordered):
            raise InvalidError(
                f"a sample of {amount(self.bytes)} needs the index of sizes: there is none",
                where="--sample",
                fix="give a number of files or a share, such as --sample 300 or --sample 1%",
            )
        taken, total = [], 0
        for path in ordered:
            if total >= self.bytes:
                break
            taken.append(path)
            total += sizes[path]
        return taken

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True)
class Subset:
    """The k-th of n parts that together are everything and share nothing."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Subset":
        """Read ``k/n`` with 1 ≤ k ≤ n.

        Raises
        ------
        InvalidError
            If it is not that.
        """
        match = _SUBSET.fullmatch(text.strip())
        if match is None or int(match[1]) > int(match[2]):
            raise InvalidError(
                f"{text!r} is no subset",
                where="--subset",
                fix="write k/n with k from 1 to n, such as 3/30; n runs cover every file",
            )
        return cls(number=int(match[1]), of=int(match[2]))

    def draw(self, ordered: list[str]) -> list[str]:
        """Take every n-th file, so that the parts differ by one file at most."""
        return ordered[self.number - 1 :: self.of]

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def choose(
    *,
    fast: bool = False,
    remote: bool = False,
    full: bool = False,
    sample: str | None = None,
    subset: str | None = None,
    globs: Iterable[str] = (),
    assets: Iterable[str] = (),
) -> Choice:
    """Combine what was asked for.

    Raises
    ------
    InvalidError
        If a wish is malformed, or two of them contradict each other.
    """
    depths = [
        name for name, wish in (("fast", fast), ("remote", remote), ("full", full)) if wish
    ]
    draws = [
        name for name, wish in (("sample", sample), ("subset", subset)) if wish is not None
    ]
    if len(depths) > 1:
        raise _contradiction(depths, "they say how deep to look")
    if len(draws) > 1:
        raise _contradiction(draws, "both say which files to look into")
    if fast and draws:
        raise _contradiction(
            ["fast", *draws], "a listing tells names and sizes of all files at once"
        )
    depth: Depth = "fast" if fast else "remote" if remote else "full"
    return Choice(
        depth=depth,
        globs=tuple(globs),
        assets=tuple(assets),
        sample=None if sample is None else Sample.parse(sample),
        subset=None if subset is None else Subset.parse(subset),
    )


def in_order(files: Iterable[str], seed: str) -> list[str]:
    """Order paths by chance, but by the same chance for everybody who has the seed."""
    begun = hashlib.sha256(f"{seed}\n".encode())

    def rank(path: str) -> bytes:
        value = begun.copy()
        value.update(path.encode("utf-8", "surrogateescape"))
        return value.digest()

    return sorted(files, key=rank)


def asset_globs(
    assets: Iterable[str], paths: Mapping[str, str], *, where: str
) -> tuple[str, ...]:
    """Write assets as globs over the manifest.

    Parameters
    ----------
    paths : mapping of str to str
        Where each asset of the version lies, such as ``data/grid.zarr``, by its key.

    Raises
    ------
    NotFoundError
        If the version has no such asset.
    """
    found: list[str] = []
    for key in assets:
        if key not in paths:
            raise NotFoundError(
                f"there is no asset {key!r}",
                where=where,
                fix=f"choose among: {', '.join(paths)}"
                if paths
                else "it lists no assets; choose files by --glob",
            )
        literal = paths[key].replace("[", "[[]")
        found += [literal, f"{literal}/*"]
    return tuple(found)


def _contradiction(names: list[str], reason: str) -> InvalidError:
    options = " and ".join(f"--{name}" for name in names)
    return InvalidError(
        f"{options} cannot be combined: {reason}", where="options", fix="leave out all but one"
    )


def _no_sample(text: str) -> InvalidError:
    return InvalidError(
        f"{text!r} is no sample",
        where="--sample",
        fix="write a share (1%), a number of files (300) or an amount (50G)",
    )
