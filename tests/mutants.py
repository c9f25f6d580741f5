"""Write what mutmut found to book/results/trust/mutation.json: `python tests/mutants.py before|after [FOLDER]`.

FOLDER holds mutmut's results, ``mutants`` by default. A score is the share of the mutants tried that were noticed: a
test failed, or the tests did not end in time. A mutant of what no test calls is one that lives.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "book" / "results" / "trust" / "mutation.json"
FILES = ("balls", "criterion", "experiments/store", "flip", "attacks")
NOTICED = {1, 3, -24, 24, 36, 152, 255}
"""mutmut's codes of a test that failed, of an error in pytest, and of tests that did not end."""

ALIVE = {0, 5, 33}
"""Its codes of tests that passed, and of none."""


def explained() -> dict[str, str]:
    """Return why each explained survivor is none of the tests' concern, by its name."""
    entries = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text(encoding="utf-8"))
    return {name: entry["why"] for entry in entries["explained"] for name in entry["mutants"]}


def counts(folder: Path, file: str) -> dict[str, int]:
    """Return how many mutants of a file there are, were tried, killed, and survived with an explanation."""
    codes = json.loads((folder / "advnb" / f"{file}.py.meta").read_text())["exit_code_by_key"]
    survivors, reasons = [name for name, code in codes.items() if code in ALIVE], explained()
    return {
        "mutants": len(codes),
        "killed": sum(code in NOTICED for code in codes.values()),
        "survived": len(survivors),
        "explained": sum(name in reasons for name in survivors),
    }


def main(which: str, folder: str = "mutants") -> None:
    """Bring one column of the table up to date."""
    rows = {row["area"]: row for row in json.loads(TABLE.read_text())} if TABLE.exists() else {}
    for file in FILES:
        if not (Path(folder) / "advnb" / f"{file}.py.meta").exists():
            continue
        found, area = counts(Path(folder), file), f"advnb/{file}.py"
        tried = found["killed"] + found["survived"]
        if not tried:
            continue
        row = rows.setdefault(area, {"area": area, "mutants": 0, "tried": 0, "before": None, "after": None})
        row |= {"mutants": found["mutants"], "tried": tried, which: round(found["killed"] / tried, 4)}
        if which == "after":
            row |= {"survived": found["survived"], "explained": found["explained"]}
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text(json.dumps(list(rows.values()), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
