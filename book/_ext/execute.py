"""Execute notebooks in place so that a second run on the same processor writes the same bytes.

    python book/_ext/execute.py [PATH ...]      # notebooks or folders; without any, all of `book`

Widget state is kept, so that sliders live on in the built book. What would differ from run to run or from machine
to machine is renumbered or left out: widget ids, cell ids, timings, versions, how output was cut into pieces. A
notebook that raises, writes to stderr or prints an object's address is left as it was, and the run fails.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from PIL import Image

BOOK = Path(__file__).resolve().parent.parent
WIDGETS = "application/vnd.jupyter.widget-state+json"
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {"file_extension": ".py", "mimetype": "text/x-python", "name": "python", "pygments_lexer": "ipython3"}
VOLATILE = ("execution", "ExecuteTime", "papermill", "collapsed", "scrolled", "trusted", "vscode")


class Unfit(Exception):
    """A notebook whose outputs cannot be committed; the message names the cell."""


def execute(path: Path, timeout: int = 1800) -> NotebookNode:
    """Run a notebook from its own folder and return it with fresh outputs, ready to be written."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    return normalise(notebook)


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Remove all that depends on the run, and refuse what should not be shown to readers."""
    widgets = notebook.metadata.get("widgets")
    notebook.metadata = NotebookNode(kernelspec=NotebookNode(KERNEL), language_info=NotebookNode(LANGUAGE))
    if widgets:
        notebook.metadata["widgets"] = widgets
    used: set[str] = set()
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"] = cell_id(cell.source, used)
        for key in VOLATILE:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = merge_streams(cell.outputs)
            for output in cell.outputs:
                check(output, f"cell {number}")
                slim_png(output)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook = renumber_widgets(notebook)
    nbformat.validate(notebook)
    return notebook


def cell_id(source: str, used: set[str]) -> str:
    """An id that depends on the cell's text only, so that it survives cells coming and going around it."""
    digest = hashlib.sha256(source.encode()).hexdigest()
    ids = (digest[:8] if k == 0 else f"{digest[:8]}-{k}" for k in range(len(used) + 1))
    name = next(name for name in ids if name not in used)
    used.add(name)
    return name


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of the same stream: where they were cut is a matter of timing."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output.output_type == "stream" == last.get("output_type") and output.name == last.get("name"):
            merged[-1]["text"] += output.text
        else:
            merged.append(output)
    return merged


def texts(output: NotebookNode) -> Iterator[str]:
    """What an output says in words, in each form that it has."""
    yield output.get("text", "")
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/") and isinstance(content, str):
            yield content


def check(output: NotebookNode, where: str) -> None:
    """Raise `Unfit` for stderr and for addresses, which no reader should see and no two runs share."""
    if output.output_type == "stream" and output.name == "stderr":
        raise Unfit(f"{where} writes to stderr: {output.text.strip()[:300]}")
    for text in texts(output):
        if found := ADDRESS.search(text):
            raise Unfit(f"{where} shows an object's address ({found.group()}): end the line with a semicolon")


def slim_png(output: NotebookNode) -> None:
    """Reduce an opaque PNG to 256 colours, a third of its bytes, and drop what is not picture.

    Its text and time chunks hold the versions of the programs that drew it.
    """
    encoded = output.get("data", {}).get("image/png")
    if not encoded:
        return
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    if picture.convert("RGBA").getextrema()[3] == (255, 255):
        picture = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    slim = io.BytesIO()
    picture.save(slim, "PNG", optimize=True)
    output.data["image/png"] = base64.b64encode(slim.getvalue()).decode()


def renumber_widgets(notebook: NotebookNode) -> NotebookNode:
    """Give widget models the ids 0, 1, 2, ... in the order of their creation, wherever they are mentioned."""
    state: dict[str, Any] = notebook.metadata.get("widgets", {}).get(WIDGETS, {}).get("state", {})
    for model in state.values():
        if "msg_id" in model.get("state", {}):  # an Output widget's link to a request that is over
            model["state"]["msg_id"] = ""
    numbers = {name: f"{number:032x}" for number, name in enumerate(state)}
    if not numbers:
        return notebook
    pattern = re.compile("|".join(map(re.escape, numbers)))
    text = pattern.sub(lambda match: numbers[match.group()], json.dumps(notebook))
    return nbformat.from_dict(json.loads(text))


def write(notebook: NotebookNode, path: Path) -> None:
    """Replace the file at once: an interrupted run never leaves half a notebook."""
    partial = path.with_suffix(".partial")
    partial.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")
    partial.replace(path)


def run(path: Path) -> str | None:
    """Execute one notebook and write it; return what is wrong with it, if anything."""
    try:
        write(execute(path), path)
    except CellTimeoutError as error:
        return f"a cell takes too long: {error}"
    except (CellExecutionError, DeadKernelError, Unfit) as error:
        return str(error)
    return None


def find(paths: list[Path]) -> list[Path]:
    """The notebooks that the paths name or hold, without editors' checkpoints; the ledger, which reads what the
    others store, comes last.
    """
    found = [f for p in paths for f in (sorted(p.rglob("*.ipynb")) if p.is_dir() else [p])]
    notebooks = [f.resolve() for f in found if ".ipynb_checkpoints" not in f.parts]
    return sorted(notebooks, key=lambda f: f == BOOK / "claims.ipynb")


def main(argv: list[str] | None = None) -> int:
    """Execute what the command line names; the exit status counts the notebooks that failed."""
    parser = argparse.ArgumentParser(description="Execute notebooks in place, the same bytes every time.")
    parser.add_argument("paths", nargs="*", type=Path, default=[BOOK], help="notebooks or folders (default: the book)")
    notebooks = find(parser.parse_args(argv).paths)
    # Sets are ordered alike in every run, and progress bars, which tell the time, stay out of the outputs.
    os.environ.update(PYTHONHASHSEED="0", TQDM_DISABLE="1", JUPYTER_PLATFORM_DIRS="1")
    failed = 0
    for path in notebooks:
        start = time.perf_counter()
        problem = run(path)
        failed += problem is not None
        verdict = "FAILED" if problem else f"{time.perf_counter() - start:6.1f} s"
        sys.stdout.write(f"{verdict}  {os.path.relpath(path)}\n" + (f"{problem}\n" if problem else ""))
        sys.stdout.flush()
    return min(failed, 100)


if __name__ == "__main__":
    sys.exit(main())
