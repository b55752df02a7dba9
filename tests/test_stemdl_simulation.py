"""stemdl-mini: structures, zone axes and patterns; the same seed gives the same bytes."""

import csv
import tarfile
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from scidata.building import build
from scidata.check import check
from scidata.datasets.stemdl import crystals, homologues, mini, simulate, symmetry
from scidata.datasets.stemdl.crystals import Crystal
from scidata.datasets.stemdl.zones import zones
from scidata.errors import InvalidError, NotFoundError
from scidata.record import load_record
from tests.samples import files_of

SALT = """data_salt
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na 0 0 0 1
Cl1 Cl 0.5 0.5 0.5 1
"""
TINY = mini.Size(
    groups=2, materials=3, energies=(100, 180), optics=simulate.Optics(pixels=16, box=20.0)
)


@pytest.fixture(scope="module")
def real() -> dict[str, Crystal]:
    """All prototypes, by name."""
    return {crystal.name: crystal for crystal in crystals.prototypes()}


@pytest.fixture
def salt(real: dict[str, Crystal]) -> Crystal:
    return real["aflow-AB_cF8_225_a_b"]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mini.SIZES, "tiny", TINY)


def group_of(crystal: Crystal) -> int:
    found = symmetry.dataset(crystal.cell, crystal.precision)
    assert found is not None
    return int(found.number)


def test_enough_prototypes_ship_for_thirty_space_groups(real: dict[str, Crystal]) -> None:
    assert len(real) > 200
    materials = mini.choose(list(real.values()), mini.SIZES["mini"], 0)
    groups = {material.crystal.space_group for material in materials}
    assert (len(materials), len(groups)) == (240, 30)
    names = {name.split("_")[2] for name in real}  # the label holds the group, too
    assert {str(crystal.space_group) for crystal in real.values()} <= names


def test_spglib_confirms_the_space_group_of_every_material(real: dict[str, Crystal]) -> None:
    for material in mini.choose(list(real.values()), mini.SIZES["small"], 0):
        assert group_of(material.crystal) == material.crystal.space_group


def test_a_structure_with_another_symmetry_or_overlapping_atoms_is_refused(
    salt: Crystal,
) -> None:
    moved = salt.places.copy()
    moved[0] += 0.01
    with pytest.raises(InvalidError, match="its space group should be 225"):
        crystals.confirm(replace(salt, places=moved))
    with pytest.raises(InvalidError, match="angstrom apart"):
        crystals.confirm(replace(salt, lattice=salt.lattice / 4))


def test_homologues_have_other_elements_of_the_same_columns(salt: Crystal) -> None:
    first, *others = islice(homologues.homologues(salt, 0), 6)
    assert first is salt
    assert len({other.formula for other in others} | {salt.formula}) == 6
    for other in others:
        assert other.space_group == 225
        ratio = other.lengths[0] / salt.lengths[0]
        assert 0.85 <= ratio <= 1.15
    again = [c.formula for c in islice(homologues.homologues(salt, 0), 6)][1:]
    assert again == [other.formula for other in others]
    assert again != [c.formula for c in islice(homologues.homologues(salt, 1), 6)][1:]


def test_zone_axes_are_the_shortest_directions_that_symmetry_tells_apart(
    salt: Crystal,
) -> None:
    found = zones(salt)
    kinds = [tuple(sorted(map(abs, zone.along))) for zone in found]
    assert kinds == [(0, 1, 1), (0, 0, 1), (1, 1, 2)]
    for zone in found:
        assert np.allclose(zone.axes @ zone.axes.T, np.eye(3))
        assert np.linalg.det(zone.axes) > 0
        assert np.dot(zone.along, zone.across) == 0
    a = salt.lengths[0]
    assert [zone.spacing for zone in found] == pytest.approx([a / 3**0.5, a / 2, a / 3**0.5])


def test_the_wavelength_and_the_half_angle_are_the_published_ones(salt: Crystal) -> None:
    assert simulate.wavelength(100) == pytest.approx(0.0370, abs=1e-4)
    assert simulate.wavelength(190) == pytest.approx(0.0258, abs=1e-4)
    zone = replace(zones(salt)[0], spacing=3.343)
    assert simulate.semi_angle(zone) == pytest.approx(0.00277, abs=1e-5)


def test_a_pattern_has_the_crystals_discs_at_braggs_positions_and_its_symmetry(
    salt: Crystal,
) -> None:
    zone = zones(salt)[1]  # [010], so four-fold
    optics = simulate.Optics(pixels=64, box=40.0)
    (pattern,) = simulate.patterns(salt, zone, [100], optics)
    assert pattern.shape == (64, 64)
    assert 0.5 < pattern.mean() <= 1
    step = optics.box / zone.spacing  # pixels from one disc to the next
    centre = 32
    first = round(centre + step)
    between = round(centre + step / 2)
    assert pattern[centre, centre] > 10 * pattern[centre, between]
    assert pattern[first, centre] > 10 * pattern[between, centre]
    inner = pattern[1:, 1:]  # without the frequency that has no opposite
    assert np.corrcoef(np.log(inner.ravel()), np.log(np.rot90(inner).ravel()))[0, 1] > 0.99


def test_the_box_is_filled_with_the_crystals_density(real: dict[str, Crystal]) -> None:
    for name in ("aflow-AB_cF8_225_a_b", "aflow-A_hP2_194_c"):
        crystal = real[name]
        density = len(crystal.numbers) / abs(np.linalg.det(crystal.lattice))
        for zone in zones(crystal):
            places, numbers = simulate.block(crystal, zone, 40.0)
            assert len(numbers) == pytest.approx(
                density * 40 * 40 * 100, rel=0.15
            )  # whole planes
            assert places.min() >= 0
            assert places[:, 2].max() < 100


@pytest.mark.usefixtures("tiny")
def test_a_build_is_the_same_bytes_with_threads_and_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"size": "tiny"}
    build("stemdl-mini", None, tmp_path / "alone", options=options)
    build("stemdl-mini", None, tmp_path / "threads", options=options, scheduler="threads")
    assert files_of(tmp_path / "threads") == files_of(tmp_path / "alone")
    kept, made = mini.Material.produce, list[str]()

    def produce(material: mini.Material) -> Any:
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(material.name)
        return kept(material)

    monkeypatch.setattr(mini.Material, "produce", produce)
    with pytest.raises(KeyboardInterrupt):
        build("stemdl-mini", None, tmp_path / "killed", options=options)
    monkeypatch.setattr(mini.Material, "produce", kept)
    build("stemdl-mini", None, tmp_path / "killed", options=options)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "alone")

    assert check(tmp_path / "alone").errors == ()
    record = load_record(tmp_path / "alone/record.yaml")
    assert [split.name for split in record.splits] == ["material", "prototype", "random"]
    patterns = xr.open_zarr(tmp_path / "alone/data/patterns.zarr", consolidated=True)
    assert dict(patterns.sizes)["sample"] == 12
    assert (patterns["cbed_stack"] * 16 % 1 == 0).all()
    assert float(patterns["cbed_stack"].max()) > 150
    train, test = (
        (tmp_path / f"alone/data/splits/material/{part}.txt").read_text().split()
        for part in ("train", "test")
    )
    assert not {i.rpartition("-")[0] for i in train} & {i.rpartition("-")[0] for i in test}


@pytest.mark.usefixtures("tiny")
def test_structures_can_come_from_cif_files_and_bad_ones_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(mini.SIZES, "tiny", replace(TINY, groups=1))
    folder = tmp_path / "cifs"
    folder.mkdir()
    (folder / "salt.cif").write_text(SALT)
    (folder / "bad.cif").write_text("data_x\nnothing")
    (folder / "mixed.cif").write_text(SALT.replace("0.5 0.5 0.5 1", "0.5 0.5 0.5 0.7"))
    with pytest.raises(InvalidError) as caught:
        build("stemdl-mini", folder, tmp_path / "out", options={"size": "tiny"})
    assert {problem.path for problem in caught.value.problems} == {"bad.cif", "mixed.cif"}
    built = build(
        "stemdl-mini", folder, tmp_path / "out", options={"size": "tiny", "damaged": "skip"}
    )
    assert built.counts["skipped"] == 2
    patterns = xr.open_zarr(tmp_path / "out/data/patterns.zarr", consolidated=True)
    assert set(patterns["prototype"].values) == {"salt.cif"}
    assert set(patterns["space_group"].values) == {225}
    with pytest.raises(NotFoundError):
        build("stemdl-mini", tmp_path / "none", tmp_path / "no")


def test_the_real_structures_beside_the_checkout_have_the_groups_of_their_index(
    tmp_path: Path, shared_data: Path
) -> None:
    data = shared_data / "stemdl"
    with tarfile.open(data / "openchemistry-crystals-ordered.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    with (data / "openchemistry-crystals-index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::12]
    codes: list[str] = []
    right = 0
    for row in rows:
        path = next(tmp_path.rglob(Path(row["file"]).name))
        try:
            crystal = crystals.read_cif(path, path.name)
        except InvalidError as error:
            codes.append(error.problems[0].code)
            continue
        right += crystal.space_group == int(row["space_group_number_spglib_1e-2"])
    # Large zeolites, and settings of space groups that ase does not know.
    assert set(codes) <= {"crystal-size", "cif"}
    assert right >= 20
    assert right + len(codes) == len(rows)
