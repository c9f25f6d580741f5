"""Reading stored runs: tables, means with intervals, labels."""

import re

import numpy as np
import pandas as pd
import pytest
from toy.sums import PICKY, WALK

from advnb.experiments import read as results
from advnb.experiments import run
from advnb.experiments.provenance import device_name
from advnb.experiments.read import label, load, results_folder, stored_scales, unroll
from advnb.experiments.store import NotStored, ResultsError


@pytest.fixture
def folder(tmp_path):
    for scale in ("live", "laptop"):
        run(WALK, scale, results=tmp_path, progress=False)
    return tmp_path


def test_the_largest_stored_scale_is_loaded(folder):
    table = load("toy.walk", results=folder)
    assert set(table.run_scale) == {"laptop"} and len(table) == 20
    assert len(load("toy.walk", "live", results=folder)) == 4
    assert stored_scales("toy.walk", folder) == ["live", "laptop"]


def test_the_table_is_tidy(folder):
    table = load("toy.walk", results=folder)
    assert table.columns.tolist()[:7] == ["steps", "scale", "seed", "end", "path", "far", "up"]
    assert all(name.startswith("run_") for name in table.columns[7:])
    assert table[["steps", "scale", "seed"]].values.tolist() == sorted(
        table[["steps", "scale", "seed"]].values.tolist()
    )
    assert isinstance(table.path[0], np.ndarray) and table.path[0].shape == (5,)


def test_the_table_does_not_depend_on_the_order_of_the_file(folder):
    before = load("toy.walk", results=folder)
    path = folder / "toy.walk.laptop.jsonl"
    path.write_bytes(b"".join(reversed(path.read_bytes().splitlines(keepends=True))))
    pd.testing.assert_frame_equal(before, load("toy.walk", results=folder))


def test_a_scale_that_is_not_stored_says_which_are_and_how_to_run_it(folder):
    message = "toy.walk is stored only at live and laptop scale .*: python -m advnb run toy.walk --scale full"
    with pytest.raises(NotStored, match=message):
        load("toy.walk", "full", results=folder)
    with pytest.raises(NotStored, match=r"toy.none is stored at no scale .*python -m advnb run toy.none --scale live"):
        load("toy.none", results=folder)
    with pytest.raises(ValueError, match="scale must be one of"):
        load("toy.walk", "huge", results=folder)


def test_a_file_of_failures_is_no_result(tmp_path):
    run(PICKY, "live", only={"n": [1, 3]}, results=tmp_path, progress=False)
    with pytest.raises(NotStored, match="2 trials raised, none succeeded"):
        load("toy.picky", results=tmp_path)
    (tmp_path / "toy.walk.full.jsonl").touch()
    with pytest.raises(NotStored, match="the file is empty"):
        load("toy.walk", results=tmp_path)


def test_a_damaged_file_is_named(folder):
    (folder / "toy.walk.full.jsonl").write_text("{}\n")
    with pytest.raises(ResultsError, match=r"toy\.walk\.full\.jsonl:1: not a stored trial"):
        load("toy.walk", results=folder)


def test_the_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("ADVNB_RESULTS", raising=False)
    assert results_folder().parts[-2:] == ("book", "results")
    monkeypatch.setattr(results, "PACKAGE", tmp_path / "site-packages" / "advnb")
    assert str(results_folder()) == "results"
    monkeypatch.setenv("ADVNB_RESULTS", str(tmp_path))
    assert results_folder() == tmp_path
    assert str(results_folder("elsewhere")) == "elsewhere"


def test_arrays_unroll_into_rows(folder):
    table = load("toy.walk", results=folder)
    rows = unroll(table, "path")
    assert len(rows) == table.steps.sum() and rows.path.dtype == float and rows.step.dtype == int
    first = rows[(rows.steps == 5) & (rows["scale"] == 0.1) & (rows.seed == 0)]
    assert first.step.tolist() == [0, 1, 2, 3, 4] and first.path.tolist() == table.path[0].tolist()


def test_a_label_says_where_numbers_are_from(folder):
    table = load("toy.walk", results=folder)
    expected = rf"laptop scale, 5 seeds, {re.escape(device_name('cpu'))}, 20\d\d-\d\d-\d\d( to 20\d\d-\d\d-\d\d)?"
    assert re.fullmatch(expected, label(table))
    rows = {
        "seed": [0, 0],
        "run_scale": "full",
        "run_device_name": ["A", "B"],
        "run_date": ["2026-11-20T1", "2026-11-21T2"],
    }
    assert label(pd.DataFrame(rows)) == "full scale, 1 seed, A and B, 2026-11-20 to 2026-11-21"


def test_the_label_of_a_live_run_stays_the_same_tomorrow():
    row = {"run_scale": "live", "seed": 0, "run_device_name": "A", "run_date": "2026-11-20T08:00:00Z"}
    tomorrow = row | {"run_date": "2026-11-21T08:00:00Z"}
    assert label(pd.DataFrame([row])) == label(pd.DataFrame([tomorrow])) == "live scale, 1 seed, A"
