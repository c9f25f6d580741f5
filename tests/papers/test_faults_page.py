"""The page of what was broken on purpose: its tables are those that the tests write, and are drawn as they are."""

import json
from pathlib import Path

import mutants
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from advnb.papers.faults import HEADS, check, draw_tried, rows, shown

LONG = " ".join(9 * ["cut short"])
TESTS = Path(__file__).parents[1] / "faults"


@pytest.fixture
def faults():
    return pd.DataFrame(
        [
            {"area": "store", "kind": "cut", "tried": 100, "outcome": "refused", "message": LONG, "lost": 0},
            {"area": "store", "kind": "full", "tried": 7, "outcome": "refused", "message": "make room", "lost": 1},
            {"area": "data", "kind": "stall", "tried": 1, "outcome": "given up", "message": "", "lost": 0},
        ]
    )


def test_a_table_is_read_as_it_was_written(faults, tmp_path):
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "these.json").write_text(faults.to_json(orient="records"))
    pd.testing.assert_frame_equal(rows("these", tmp_path), faults)
    with pytest.raises(FileNotFoundError):
        rows("others", tmp_path)


def test_a_table_shows_what_was_asked_for(faults):
    assert LONG in shown(faults, ["store"], "What.")._repr_html_()  # and not half of it
    page = shown(faults, ["data"], "What.")._repr_html_()
    assert "stall" in page and "full" not in page and all(head in page for head in HEADS.values())
    with pytest.raises(ValueError, match="area must be one of 'data', 'store'; got 'disk'"):
        shown(faults, ["disk"], "What.")


def test_every_fault_is_a_bar_in_the_colour_of_its_area(faults):
    fig, ax = plt.subplots()
    draw_tried(ax, faults)
    assert [bar.get_width() for bar in ax.patches] == [100, 7, 1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cut", "full", "stall"]
    assert len({bar.get_facecolor() for bar in ax.patches}) == 2 and ax.get_xscale() == "log"
    plt.close(fig)


def test_what_is_lost_is_said(faults):
    assert check(faults) == "3 faults in 2 areas; stored results lost or doubled: 1"


def test_every_row_of_the_book_is_written_by_a_test():
    source = "".join(path.read_text() for path in TESTS.glob("test_*.py"))
    for row in rows("faults").to_dict("records"):
        assert row["outcome"].split(";")[0] in source, row
        assert row["lost"] == 0 and row["tried"] >= 1


def test_the_book_speaks_of_two_hundred_kills_only_if_there_were():
    table = rows("faults")
    assert table.loc[table["kind"].str.startswith("killed (SIGKILL)"), "tried"].sum() == 200
    assert json.loads(table.to_json(orient="records"))


def test_the_book_says_that_every_mutant_was_tried_and_each_that_lives_is_explained():
    table, names = rows("mutation"), list(mutants.explained())
    assert (table["tried"] == table["mutants"]).all() and (table["before"] <= table["after"]).all()
    for row in table.to_dict("records"):
        module = row["area"].removesuffix(".py").replace("/", ".") + ".x"
        assert sum(name.startswith(module) for name in names) == row["survived"] == row["explained"], row
