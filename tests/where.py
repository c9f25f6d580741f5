"""The table of CONTRIBUTING.md: statement of a paper, page, module, stored runs. Run this file to print it."""

import re
from pathlib import Path

from advnb.book.ledger import pages

ROOT = Path(__file__).resolve().parents[1]


def home(page):
    """The module of a page, from the root of the repository."""
    folder = f"advnb/papers/{page}/"
    return folder if (ROOT / folder).is_dir() else f"advnb/papers/{page}.py"


def where_is_what():
    rows = {}
    for page in pages().values():
        for claim in page:
            statement = re.sub(r" \([^()]*\)$", "", claim.statement)
            rows.setdefault((statement, page.name), []).extend(claim.evidence)
    lines = ["| Chapter | Statement | Page | Module | Stored runs |", "| --- | --- | --- | --- | --- |"]
    for (statement, name), runs in rows.items():
        stored = ", ".join(f"`{run}`" for run in dict.fromkeys(runs)) or "computed"
        chapter = name.partition("/")[0]
        lines.append(f"| {chapter} | {statement} | [{name}](book/{name}.ipynb) | `{home(name)}` | {stored} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(where_is_what())
