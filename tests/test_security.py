"""What is read is data, never code: no pickle, downloads by https and checksum, archives that stay in their folder."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import offline
import pytest
import torch

from advnb.data import sources
from advnb.experiments.store import ResultsError, ResultsFile
from advnb.training import checkpoints

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted([*(ROOT / "advnb").rglob("*.py"), *(ROOT / "book" / "_ext").rglob("*.py")])
NOTEBOOKS = sorted((ROOT / "book").rglob("*.ipynb"))
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "jsonpickle"}
UNSAFE_CALLS = {
    "read_pickle", "to_pickle", "eval", "exec", "extractall", "unpack_archive", "ZipFile", "urlopen", "urlretrieve",
    "popen", "system",
}  # fmt: skip
UNSAFE_LOADS = {("np", "load"), ("numpy", "load"), ("joblib", "load"), ("yaml", "load"), ("yaml", "unsafe_load")}


def faults(source: str) -> list[str]:
    """What in a source would let data run as code, or take it from anywhere: the lines, each with the reason."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [f"{node.lineno}: imports {name}" for name in names if name.split(".")[0] in UNSAFE_MODULES]
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = getattr(getattr(function, "value", None), "id", "")
        options = {option.arg: getattr(option.value, "value", None) for option in node.keywords}
        if (owner, name) == ("torch", "load") and options.get("weights_only") is not True:
            found.append(f"{node.lineno}: torch.load without weights_only=True")
        method = isinstance(function, ast.Attribute) and name in ("eval", "exec")  # model.eval() is something else
        if (name in UNSAFE_CALLS and not method) or (owner, name) in UNSAFE_LOADS:
            found.append(f"{node.lineno}: calls {name}")
        if name == "extract" and options.get("filter") != "data":
            found.append(f"{node.lineno}: extracts without filter='data'")
        if options.get("allow_pickle") or options.get("shell"):
            found.append(f"{node.lineno}: allow_pickle or shell")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_nothing_that_is_read_can_run(file):
    assert faults(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_nothing_that_a_notebook_reads_can_run(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    lines = ["\n".join(line for line in source.splitlines() if not line.startswith("%")) for source in sources]
    assert [fault for source in lines for fault in faults(source)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from dill import loads", "import os, shelve", "torch.load(path)", "torch.load(path, 'cpu')",
        "torch.load(path, weights_only=False)", "np.load(path)", "joblib.load(path)", "pd.read_pickle(path)",
        "np.savez(path, allow_pickle=True)", "eval(text)", "archive.extractall()", "archive.extract(member)",
        "subprocess.run(text, shell=True)", "urlopen(address)", "os.system(text)", "shutil.unpack_archive(path)",
        "zipfile.ZipFile(path)", "yaml.load(text)", "yaml.unsafe_load(text)", "exec(text)",
    ],
)  # fmt: skip
def test_what_would_run_is_found(source):
    assert len(faults(source)) == 1


@pytest.mark.parametrize("source", ["model.eval()", "torch.load(path, weights_only=True)", "load('digits')"])
def test_what_is_safe_is_not_found(source):
    assert faults(source) == []


def test_downloads_go_by_https_and_have_a_sha256():
    assert all(mirror.startswith("https://") for mirror in (*sources.MNIST_MIRRORS, *sources.CIFAR10_MIRRORS))
    published = [*sources.MNIST["train"], *sources.MNIST["test"], sources.CIFAR10]
    digests = [digest for file in published for digest in (file.sha256, file.fetched_sha256)]
    digests += [package.sha256 for package in (offline.MATHJAX, offline.WIDGETS)]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests) and offline.CDN.startswith("https://")


@pytest.mark.parametrize("place", ["package/dist/../../out.woff", "package/dist/../../../out.woff2"])
def test_an_archive_that_points_out_of_its_folder_is_refused(tmp_path, place):
    archive, target = tmp_path / "a.tgz", tmp_path / "in" / "vendor"
    target.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo(place)
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    package = offline.Package("one", "1", digest, "dist/embed.js", r"dist/.*\.woff2?")
    with pytest.raises(tarfile.OutsideDestinationError):
        offline.unpack(archive, package, target)
    assert list(tmp_path.rglob("out.*")) == []


@pytest.mark.parametrize("place", ["/dist/out.woff", "package/{elsewhere}/dist/out.woff", "dist\\..\\..\\out.woff"])
def test_an_absolute_place_stays_in_the_folder_or_is_not_unpacked(tmp_path, place):
    archive, target = tmp_path / "a.tgz", tmp_path / "in" / "vendor"
    target.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(place.format(elsewhere=tmp_path / "elsewhere")))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    offline.unpack(archive, offline.Package("one", "1", digest, "dist/embed.js", r".*dist.*\.woff2?"), target)
    assert all(file.is_relative_to(target) for file in tmp_path.rglob("*out.woff"))


@pytest.mark.parametrize(
    ("kind", "leads_to"),
    [
        (tarfile.SYMTYPE, "../../../../etc/hostname"), (tarfile.SYMTYPE, "/etc/hostname"),
        (tarfile.LNKTYPE, "../../../etc/hostname"), (tarfile.LNKTYPE, "/etc/hostname"), (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""), (tarfile.FIFOTYPE, ""),
    ],
)  # fmt: skip
def test_links_devices_and_pipes_in_an_archive_are_not_unpacked(tmp_path, kind, leads_to):
    archive, target = tmp_path / "a.tgz", tmp_path / "vendor"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("package/dist/passwd.woff")
        member.type, member.linkname = kind, leads_to
        tar.addfile(member)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    offline.unpack(archive, offline.Package("one", "1", digest, "dist/embed.js", r"dist/.*\.woff2?"), target)
    assert list(tmp_path.rglob("*.woff")) == []


class Planted:
    """What a pickle would run as it is read: it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    torch.save({"format": checkpoints.FORMAT, "model": Planted(tmp_path / "ran")}, tmp_path / "checkpoint.pt")
    with pytest.raises(checkpoints.CheckpointError, match="cannot be read"):
        checkpoints.load(tmp_path / "checkpoint.pt", {"model"})
    torch.load(tmp_path / "checkpoint.pt", weights_only=False)  # it is the fault that it is taken for
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("line", ["__import__('os').getcwd()", "!!python/object:os.getcwd", "\x80\x04K\x01."])
def test_a_line_of_results_is_json_and_nothing_else(tmp_path, line):
    (tmp_path / "toy.walk.live.jsonl").write_text(line + "\n" + line + "\n", encoding="latin-1")
    with pytest.raises(ResultsError):
        ResultsFile(tmp_path, "toy.walk", "live").read()
