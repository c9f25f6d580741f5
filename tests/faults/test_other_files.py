"""Checkpoints, the ledger and the published data: cut, changed, without room, without a place, without an answer."""

import errno
import gzip
import hashlib
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from breaking import failing, room, unprivileged
from toy.pages import PAGE
from toy.sums import DRIFTING, WALK

from advnb.__main__ import main
from advnb.book import ledger
from advnb.data import load, sources
from advnb.experiments import ResultsError, run
from advnb.training import CheckpointError, checkpoints

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs limits and permissions of POSIX")

STATE = {"history": [{"epoch": 1, "loss": 0.25}], "model": {"weight": torch.arange(6.0)}, "stopped": False}


def same(state):
    weights = torch.equal(state["model"]["weight"], STATE["model"]["weight"])
    return weights and {**state, "model": 0} == {**STATE, "model": 0, "format": checkpoints.FORMAT}


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "run.pt"
    checkpoints.save(path, STATE)
    return path


def test_a_disk_is_full_after_any_number_of_bytes_of_a_checkpoint(checkpoint, row):
    size, lost = checkpoint.stat().st_size, 0
    for written in range(0, size):
        with room(written), pytest.raises(CheckpointError) as told:
            checkpoints.save(checkpoint, {**STATE, "history": []})
        lost += not same(checkpoints.load(checkpoint, set())) or os.listdir(checkpoint.parent) != ["run.pt"]
    assert "The one before it is whole: make room or give another path, and the same call goes on" in str(told.value)
    outcome = "the checkpoint before it is whole, and nothing else is left behind"
    row("checkpoint", "disk full after n bytes, every n", size, outcome, told.value, lost)


@pytest.mark.parametrize("fault", ["the folder", "the file system"])
def test_a_checkpoint_that_has_no_place(checkpoint, monkeypatch, fault, row):
    if fault == "the folder":
        checkpoint.parent.chmod(0o555)
    else:
        monkeypatch.setattr(type(checkpoint), "open", failing(errno.EROFS))
    try:
        with unprivileged(checkpoint.parent), pytest.raises(CheckpointError, match="cannot be written") as told:
            checkpoints.save(checkpoint, {"history": []})
    finally:
        checkpoint.parent.chmod(0o755)
    monkeypatch.undo()
    lost = int(not same(checkpoints.load(checkpoint, set())))
    row("checkpoint", f"read-only: {fault}", 1, "the checkpoint before it is whole", told.value, lost)


def test_a_first_checkpoint_that_cannot_be_written(tmp_path):
    with room(100), pytest.raises(CheckpointError, match="There was none before it: make room or give another path"):
        checkpoints.save(tmp_path / "run.pt", STATE)
    assert os.listdir(tmp_path) == []


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("fault", ["cut at every byte", "a bit of every byte flipped"])
def test_a_damaged_checkpoint(checkpoint, fault, row):
    whole, lost = checkpoint.read_bytes(), 0
    for place in range(len(whole)):
        if fault == "cut at every byte":
            damaged = whole[:place]
        else:
            damaged = whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]
        checkpoint.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="It was left as it is; move it away or give another path") as told:
            checkpoints.load(checkpoint, set())
        lost += checkpoint.read_bytes() != damaged
    row("checkpoint", fault, len(whole), "refused, and left as it is", told.value, lost)


@pytest.fixture
def book(tmp_path, monkeypatch):
    run(WALK, "laptop", results=tmp_path, progress=False)
    run(DRIFTING, "live", results=tmp_path, progress=False)
    monkeypatch.setenv("ADVNB_RESULTS", str(tmp_path))
    ledger.write(PAGE)
    return tmp_path / "claims" / "toy.walks.json"


def test_a_ledger_cut_at_any_byte_or_changed(book, row):
    whole, unseen = book.read_bytes(), 0
    for cut in range(len(whole) - 1):  # without its last newline it says the same
        book.write_bytes(whole[:cut])
        with pytest.raises(ResultsError, match=r"move it away, and it is written anew by: .* claims --write") as told:
            ledger.ledger()
        assert book.read_bytes() == whole[:cut]
    row("ledger", "cut at every byte", len(whole) - 1, "refused, and left as it is", told.value)
    book.unlink()
    assert ledger.write(PAGE) and book.read_bytes() == whole  # as the message says
    places = range(0, len(whole), 7)
    for place in places:
        book.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 7]) + whole[place + 1 :])
        try:
            seen = bool(ledger.differences(PAGE))
        except ResultsError:
            continue
        digits = re.compile(rb"[0-9.]+")
        unseen += not seen and digits.sub(b"", book.read_bytes()) != digits.sub(b"", whole)
    outcome = "refused, or named as a difference; beyond the fifth digit of a number it is let pass"
    row("ledger", "a bit of every seventh byte flipped", len(places), outcome, "", unseen)


def test_a_disk_is_full_when_the_ledger_is_written(book, row, capsys):
    whole = book.read_bytes()
    book.write_bytes(whole.replace(b"reproduced", b"vacuous here", 1))
    before, tried = book.read_bytes(), range(0, len(whole), 101)
    for written in tried:
        with room(written):
            assert main(["claims", "--write"], "toy") == 2
        said = capsys.readouterr().err
        assert book.read_bytes() == before and [path.name for path in book.parent.iterdir()] == [book.name]
    assert "cannot be written: File too large. It is as it was: make room, or make the folder writable" in said
    outcome = "exit code 2; the ledger is as it was, and nothing else is left behind"
    row("ledger", "disk full after n bytes, every 101st n", len(tried), outcome, said)


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(length.to_bytes(4, "big") for length in array.shape)
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A data set of a few bytes in the place of MNIST, whose files are good and lie in a folder."""
    files, table = {}, {}
    for half, prefix in (("train", "train"), ("test", "t10k")):
        contents = idx(np.arange(24).reshape(2, 3, 4)), idx(np.array([3, 5]))
        names = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
        packed = [gzip.compress(content, mtime=0) for content in contents]
        files |= {f"{name}.gz": content for name, content in zip(names, packed, strict=True)}
        digests = [[hashlib.sha256(one).hexdigest() for one in both] for both in zip(contents, packed, strict=True)]
        table[half] = tuple(
            sources.Published(name, len(content), *digest)
            for name, content, digest in zip(names, contents, digests, strict=True)
        )
    monkeypatch.setattr(sources, "MNIST", table)
    monkeypatch.setenv("ADVNB_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    for name, content in files.items():
        (tmp_path / "data" / name).write_bytes(content)
    return tmp_path / "data", files


@pytest.mark.parametrize("fault", ["cut at every byte", "any bit flipped"])
def test_a_damaged_archive(published, fault, row):
    folder, files = published
    good, path = load("mnist", progress=False), folder / "train-images-idx3-ubyte.gz"
    whole, wrong = files[path.name], 0
    if fault == "cut at every byte":
        damages = [whole[:cut] for cut in range(len(whole))]
    else:
        places = [(place, 1 << bit) for place in range(len(whole)) for bit in range(8)]
        damages = [whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :] for place, bit in places]
    for damaged in damages:
        path.write_bytes(damaged)
        try:
            wrong += not torch.equal(load("mnist", progress=False).train.x, good.train.x)
        except sources.DataError as error:
            told = error
            assert "It was left as it is: move train-images-idx3-ubyte.gz away and load the data set" in str(told)
        assert path.read_bytes() == damaged
    outcome = "refused, and left as it is"
    outcome += "" if fault == "cut at every byte" else "; read where only gzip's own header has changed"
    row("data", f"archive: {fault}", len(damages), outcome, told, wrong, counted=True)


@pytest.fixture
def server(published, monkeypatch):
    """Gives the files of the data set; it stops sending after `server.silent` bytes of one, and waits."""
    _, files = published
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = files[self.path.lstrip("/")]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: self.server.silent])
            self.wfile.flush()
            if self.server.silent is not None:
                over.wait(60)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.silent = None
        monkeypatch.setattr(sources, "MNIST_MIRRORS", (f"http://127.0.0.1:{http.server_port}/",))
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield http
        over.set()
        http.shutdown()
        thread.join(60)


def test_a_network_that_stalls(published, server, row, monkeypatch):
    folder, files = published
    monkeypatch.setattr(sources, "SILENT_SECONDS", 0.2)
    missing = "train-labels-idx1-ubyte.gz"
    (folder / missing).unlink()
    others = sorted(os.listdir(folder))
    for server.silent in (0, 1, len(files[missing]) - 1):
        with pytest.raises(sources.MissingFile, match="Read timed out") as told:
            load("mnist", progress=False)
        assert sorted(os.listdir(folder)) == others
    server.silent = None
    assert len(load("mnist", progress=False).train) == 2  # the same call goes on once the network does
    said = str(told.value).split("\n  http")[0] + " [...] Read timed out. [...] " + str(told.value).split("\n")[-1]
    assert "fetch it elsewhere from one of these addresses and put it at" in said and "ADVNB_DATA" in said
    outcome = "given up after 30 silent seconds; no part of the file is left behind"
    row("data", "the network stalls in mid-download", 3, outcome, said, counted=True)


@pytest.mark.parametrize("fault", ["disk full after n bytes, every n", "read-only: the folder"])
def test_a_download_that_has_no_place(published, server, row, fault, monkeypatch):
    folder, files = published
    missing = "train-labels-idx1-ubyte.gz"
    (folder / missing).unlink()
    others, tried = sorted(os.listdir(folder)), 1
    if fault.startswith("disk"):
        tried = len(files[missing])
        for written in range(tried):
            with room(written), pytest.raises(sources.MissingFile, match="File too large") as told:
                load("mnist", progress=False)
            assert sorted(os.listdir(folder)) == others
    else:
        folder.chmod(0o555)
        with unprivileged(folder), pytest.raises(sources.MissingFile, match="Permission denied") as told:
            load("mnist", progress=False)
        folder.chmod(0o755)
    said = str(told.value)
    assert "put it in a folder of your choice and set the environment variable ADVNB_DATA" in " ".join(said.split())
    assert len(load("mnist", progress=False).train) == 2
    row("data", f"download: {fault}", tried, "no part of the file is left behind; the others stay", "", counted=True)
