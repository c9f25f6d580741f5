"""See to it that testing changes no file: remember the tree before the tests, compare it after them.

Usage: python tests/tree.py remember | compare

What git tracks or would track counts, by its content, so that changes which were there before do no harm.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEMORY = Path("_build") / "tree-before-the-tests.json"


def files(root: Path = ROOT) -> list[Path] | None:
    """What git tracks or would track and is there; None outside a checkout."""
    if shutil.which("git") is None or not (root / ".git").exists():
        return None
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    return [root / name for name in names if name and (root / name).is_file()]


def contents(root: Path) -> dict[str, str] | None:
    """The hash of each file by its name; None outside a checkout."""
    found = files(root)
    if found is None:
        return None
    return {f.relative_to(root).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in found}


def remember(root: Path = ROOT) -> int:
    """Store what the files hold."""
    memory = root / MEMORY
    memory.parent.mkdir(exist_ok=True)
    memory.write_text(json.dumps(contents(root)))
    return 0


def compare(root: Path = ROOT) -> int:
    """Name the files that are not as they were remembered; the exit status is 1 if there are any."""
    before, after = json.loads((root / MEMORY).read_text()), contents(root)
    if before is None or after is None:
        print("This is no git checkout, so it is not known whether the tests have changed any file.")
        return 0
    kinds = {
        "new": after.keys() - before.keys(),
        "gone": before.keys() - after.keys(),
        "changed": {name for name in before.keys() & after.keys() if before[name] != after[name]},
    }
    lines = [f"  {kind:8} {name}" for kind, names in kinds.items() for name in sorted(names)]
    if lines:
        print("The tree is not as it was before the tests:", *lines, sep="\n", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit({"remember": remember, "compare": compare}[sys.argv[1]]())
