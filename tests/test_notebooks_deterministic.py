"""`make notebooks` writes the same bytes twice, keeps widgets alive and refuses what no one should commit."""

import base64
import io
import json

import execute
import nbformat
import pytest
from nbformat import v4
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo

WIDGETS = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
SLIDER = """
import ipywidgets as w
slider = w.IntSlider(max=3, description="step")
stack = w.Stack([w.HTML(f"frame {k}") for k in range(4)], selected_index=0)
w.jslink((slider, "value"), (stack, "selected_index"))
w.VBox([slider, stack])
"""
FIGURE = """
%matplotlib inline
import matplotlib.pyplot as plt
plt.figure(figsize=(2, 1)); plt.plot([0, 1]);
"""
STREAM = "import sys\nfor k in range(3):\n    print(k)\n    sys.stdout.flush()"


def notebook(path, *sources):
    cells = [v4.new_markdown_cell("# A page"), *(v4.new_code_cell(source) for source in sources)]
    nbformat.write(v4.new_notebook(cells=cells), path)
    return path


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """A notebook with a widget, a figure and a stream after one run, and its bytes after each of two."""
    path = notebook(tmp_path_factory.mktemp("book") / "page.ipynb", SLIDER, FIGURE, STREAM, STREAM)
    assert execute.main([str(path)]) == 0
    first = path.read_bytes()
    assert execute.main([str(path)]) == 0
    return first, path.read_bytes()


def test_a_second_run_writes_the_same_bytes(twice):
    first, second = twice
    assert first == second


def test_widget_state_is_kept_and_ids_count_up(twice):
    page = json.loads(twice[0])
    state = page["metadata"]["widgets"][WIDGETS]["state"]
    assert sorted(state) == [f"{k:032x}" for k in range(len(state))]
    (output,) = page["cells"][1]["outputs"]
    box = state[output["data"][VIEW]["model_id"]]
    assert box["model_name"] == "VBoxModel"
    children = [state[child.removeprefix("IPY_MODEL_")]["model_name"] for child in box["state"]["children"]]
    assert children == ["IntSliderModel", "StackModel"]
    links = [model["state"] for model in state.values() if model["model_name"] == "LinkModel"]
    assert [state[link["source"][0].removeprefix("IPY_MODEL_")]["model_name"] for link in links] == ["IntSliderModel"]


def test_cell_ids_follow_the_text_and_are_unique(twice):
    ids = [cell["id"] for cell in json.loads(twice[0])["cells"]]
    assert len(set(ids)) == len(ids)
    assert ids[4] == f"{ids[3]}-1"  # the same source twice


def test_streams_are_in_one_piece_and_timings_are_gone(twice):
    cells = json.loads(twice[0])["cells"]
    assert [output["text"] for output in cells[3]["outputs"]] == [["0\n", "1\n", "2\n"]]
    assert all(cell["metadata"] == {} for cell in cells)
    assert "version" not in json.loads(twice[0])["metadata"]["language_info"]


def test_figures_keep_their_pixels_and_lose_their_versions(twice):
    png = base64.b64decode(json.loads(twice[0])["cells"][2]["outputs"][0]["data"]["image/png"])
    assert png.startswith(b"\x89PNG\r\n\x1a\n") and b"IDAT" in png and b"IEND" in png
    assert b"Software" not in png and b"atplotlib" not in png


def slimmed(picture):
    """A picture before and after: saved with a text chunk, then as the notebooks keep it."""
    program = PngInfo()
    program.add_text("Software", "version of today")
    before = io.BytesIO()
    picture.save(before, "PNG", pnginfo=program)
    output = v4.new_output("display_data", data={"image/png": base64.b64encode(before.getvalue()).decode()})
    execute.slim_png(output)
    after = base64.b64decode(output.data["image/png"])
    assert b"Software" in before.getvalue() and b"Software" not in after
    return before.getvalue(), after


def test_a_picture_of_few_colours_keeps_its_pixels_and_takes_less():
    drawing = Image.new("RGB", (200, 100), "white")
    for k in range(100):
        drawing.putpixel((k, k), (2 * k, 0, 255))
    before, after = slimmed(drawing)
    kept = Image.open(io.BytesIO(after))
    assert kept.mode == "P" and len(after) < len(before)
    assert kept.convert("RGB").tobytes() == drawing.tobytes()


def test_a_picture_of_many_colours_stays_close():
    across = Image.linear_gradient("L")
    drawing = Image.merge("RGB", (across, across.rotate(90), across))
    _, after = slimmed(drawing)
    off = ImageChops.difference(Image.open(io.BytesIO(after)).convert("RGB"), drawing)
    assert max(high for _, high in off.getextrema()) <= 24


def test_a_transparent_picture_stays_as_it_is():
    glass = Image.new("RGBA", (8, 8), (10, 20, 30, 128))
    _, after = slimmed(glass)
    assert Image.open(io.BytesIO(after)).convert("RGBA").tobytes() == glass.tobytes()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import sys; print('careless', file=sys.stderr)", "cell 2 writes to stderr: careless"),
        ("object()", "cell 2 shows an object's address"),
    ],
)
def test_an_unfit_notebook_fails_by_name_and_stays_as_it_was(tmp_path, capsys, source, message):
    path = notebook(tmp_path / "unfit.ipynb", source)
    before = path.read_bytes()
    assert execute.main([str(path)]) == 1
    report = capsys.readouterr().out
    assert "FAILED" in report and "unfit.ipynb" in report and message in report
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_checkpoints_are_not_executed(tmp_path):
    (tmp_path / ".ipynb_checkpoints").mkdir()
    notebook(tmp_path / ".ipynb_checkpoints" / "old.ipynb", "1 / 0")
    page = notebook(tmp_path / "page.ipynb", "1")
    assert execute.find([tmp_path]) == [page]
