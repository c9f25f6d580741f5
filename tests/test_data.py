"""Data sets: loading, damaged and missing files, and the methods. No test here needs a network."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from advnb import data
from advnb.data import Dataset, Split, load, sources, unit_norm

SHARED = Path(__file__).parents[2] / "shared" / "data" / "unpack.py"
CLOSED = "http://127.0.0.1:1/"  # a local port on which nothing listens


# A miniature MNIST and CIFAR-10 with checksums of their own


def idx(array: np.ndarray) -> bytes:
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ADVNB_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def mnist(monkeypatch) -> dict[str, bytes]:
    """File name -> good gzipped contents of a tiny MNIST; checksums are installed, no file is written."""
    rng = np.random.default_rng(0)
    files, table = {}, {}
    for half, prefix, n in (("train", "train", 20), ("test", "t10k", 10)):
        images = idx(rng.integers(0, 256, (n, 28, 28)))
        labels = idx(np.arange(n) % 10)
        names = (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
        packed = [gzip.compress(content, mtime=0) for content in (images, labels)]
        files |= {f"{name}.gz": content for name, content in zip(names, packed, strict=True)}
        table[half] = tuple(
            sources.Published(name, len(content), sha256(content), sha256(gz))
            for name, gz, content in zip(names, packed, (images, labels), strict=True)
        )
    monkeypatch.setattr(sources, "MNIST", table)
    monkeypatch.setattr(sources, "MNIST_MIRRORS", (CLOSED, CLOSED + "other/"))
    return files


@pytest.fixture
def cifar(monkeypatch) -> dict[str, bytes]:
    """File name -> good contents of a tiny unpacked CIFAR-10, plus "archive"; checksums are installed."""
    rng = np.random.default_rng(1)
    n = 4
    files, fingerprint = {}, {}
    for half in sources.HALVES:
        digests = []
        for name in sources.CIFAR10_FILES[half]:
            records = rng.integers(0, 256, (n, sources.RECORD), dtype=np.uint8)
            records[:, 0] = rng.integers(0, 10, n)
            files[name] = records.tobytes()
            digests += [hashlib.sha256(record).digest() for record in records]
        fingerprint[half] = sha256(b"".join(sorted(digests)))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{sources.CIFAR10_FOLDER}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    packed = buffer.getvalue()
    tiny = sources.Published(sources.CIFAR10.name, len(packed), sha256(packed), sha256(packed))
    monkeypatch.setattr(sources, "CIFAR10", tiny)
    monkeypatch.setattr(sources, "CIFAR10_MIRRORS", (CLOSED,))
    monkeypatch.setattr(sources, "RECORDS", n)
    monkeypatch.setattr(sources, "FINGERPRINT", fingerprint)
    return files | {"archive": packed}


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpacked(folder: Path, files: dict[str, bytes]) -> Path:
    where = folder / sources.CIFAR10_FOLDER
    write(where, {name: content for name, content in files.items() if name != "archive"})
    return where


@pytest.fixture
def server():
    """A local HTTP server; set ``server.files`` (path -> body) and ``server.cut`` to break off half-way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.server.files.get(self.path.lstrip("/"))
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.server.cut else body)

        def log_message(self, *args) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.files, http.cut = {}, False
        http.url = f"http://127.0.0.1:{http.server_port}/"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield http
        http.shutdown()
        thread.join()


# Loading


def test_digits_need_no_network_and_are_the_same_every_time(digits):
    assert digits.train.x.shape == (1297, 1, 8, 8) and digits.test.x.shape == (500, 1, 8, 8)
    assert digits.train.x.dtype == torch.float32 and digits.train.y.dtype == torch.int64
    assert digits.train.x.min() == 0 and digits.train.x.max() == 1
    assert digits.name == "digits" and digits.classes == tuple("0123456789")
    again = load("digits")
    assert torch.equal(again.test.x, digits.test.x) and torch.equal(again.test.y, digits.test.y)


def test_digits_split_is_stratified_and_a_partition(digits):
    counts = torch.bincount(digits.test.y)
    whole = torch.bincount(digits.train.y) + counts
    assert (counts - 500 * whole / 1797).abs().max() <= 1
    from sklearn.datasets import load_digits

    rows = torch.cat([digits.train.x, digits.test.x]).flatten(1)
    original = torch.from_numpy(load_digits().data / 16).float()
    key = lambda x: sorted(map(tuple, x.tolist()))  # noqa: E731
    assert key(rows) == key(original)


def test_digits_split_is_the_one_that_stored_results_were_made_with(digits):
    assert sha256(digits.test.y.numpy().astype("<i8").tobytes())[:16] == "bd2e9b7c2aa9b6b5"


def test_wrong_name_lists_the_names():
    with pytest.raises(ValueError, match=r"name must be one of 'cifar10', 'digits', 'mnist'; got 'minst'"):
        load("minst")


def test_mnist_from_files_as_published(folder, mnist):
    write(folder, mnist)
    loaded = load("mnist")
    assert loaded.train.x.shape == (20, 1, 28, 28) and loaded.test.x.shape == (10, 1, 28, 28)
    raw = np.frombuffer(gzip.decompress(mnist["train-images-idx3-ubyte.gz"])[16:], np.uint8)
    assert torch.equal(loaded.train.x.flatten(), torch.tensor(raw).float() / 255)
    assert loaded.train.y.tolist() == [i % 10 for i in range(20)] and loaded.train.y.dtype == torch.int64


def test_mnist_packed_otherwise_or_not_at_all_is_the_same(folder, mnist):
    write(folder, mnist)
    expected = load("mnist")
    for name in list(mnist):
        (folder / name).unlink()
    for i, (name, packed) in enumerate(mnist.items()):
        content = gzip.decompress(packed)
        if i % 2:
            (folder / name).write_bytes(gzip.compress(content, 1, mtime=1))
        else:
            (folder / name.removesuffix(".gz")).write_bytes(content)
    assert torch.equal(load("mnist").test.x, expected.test.x)


def test_cifar_folder_and_archive_give_the_same_tensors_in_any_order(folder, cifar):
    write(folder, {sources.CIFAR10.name: cifar["archive"]})
    archived = load("cifar10")
    assert archived.train.x.shape == (20, 3, 32, 32) and archived.test.x.shape == (4, 3, 32, 32)
    assert archived.classes[6] == "frog"
    shuffled = dict(cifar)
    shuffled["data_batch_1.bin"], shuffled["data_batch_4.bin"] = (cifar["data_batch_4.bin"], cifar["data_batch_1.bin"])
    records = np.frombuffer(cifar["test_batch.bin"], np.uint8).reshape(-1, sources.RECORD)
    shuffled["test_batch.bin"] = records[::-1].tobytes()
    unpacked(folder, shuffled)
    (folder / sources.CIFAR10.name).unlink()
    for half in ("train", "test"):
        assert torch.equal(getattr(load("cifar10"), half).x, getattr(archived, half).x)
        assert torch.equal(getattr(load("cifar10"), half).y, getattr(archived, half).y)


def test_cifar_planes_and_labels_belong_together(folder, cifar):
    unpacked(folder, cifar)
    test = load("cifar10").test
    for record in np.frombuffer(cifar["test_batch.bin"], np.uint8).reshape(-1, sources.RECORD):
        image = torch.tensor(record[1:].reshape(3, 32, 32)).float() / 255
        (match,) = (test.x == image).flatten(1).all(1).nonzero().flatten().tolist()
        assert test.y[match] == record[0]


# Damaged files: an error of their own, and the file left as it was


@pytest.mark.parametrize("keep", [0, 5, 0.5, -9, -1])
def test_truncated_gzip(folder, mnist, keep):
    name = "train-images-idx3-ubyte.gz"
    size = len(mnist[name])
    write(folder, mnist | {name: mnist[name][: int(keep * size) if isinstance(keep, float) else keep]})
    before = contents(folder)
    with pytest.raises(data.TruncatedFile, match=r"train-images-idx3-ubyte\.gz (ends in|holds 0 bytes).*left as it is"):
        load("mnist")
    assert contents(folder) == before


def test_truncated_uncompressed_file(folder, mnist):
    name = "t10k-labels-idx1-ubyte"
    write(folder, mnist)
    (folder / f"{name}.gz").unlink()
    (folder / name).write_bytes(gzip.decompress(mnist[f"{name}.gz"])[:-1])
    with pytest.raises(data.TruncatedFile, match=r"t10k-labels-idx1-ubyte holds 17 bytes of 18\. It was left as"):
        load("mnist")


@pytest.mark.parametrize("position", [3, 500, -5])
def test_one_flipped_byte_in_a_gzip(folder, mnist, position):
    name = "t10k-images-idx3-ubyte.gz"
    altered = bytearray(mnist[name])
    altered[position if position != 3 else 0] ^= 0x40
    write(folder, mnist | {name: bytes(altered)})
    before = contents(folder)
    with pytest.raises(data.AlteredFile, match=r"t10k-images-idx3-ubyte\.gz is not a valid gzip.*move .* away"):
        load("mnist")
    assert contents(folder) == before


def test_one_changed_label_in_a_valid_gzip(folder, mnist):
    name = "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(mnist[name]))
    content[-1] ^= 1
    write(folder, mnist | {name: gzip.compress(bytes(content))})
    with pytest.raises(data.AlteredFile, match=r"contents of .*train-labels-idx1-ubyte\.gz are not the published"):
        load("mnist")


def test_truncated_archive(folder, cifar):
    write(folder, {sources.CIFAR10.name: cifar["archive"][:-1]})
    before = contents(folder)
    with pytest.raises(data.TruncatedFile, match=r"cifar-10-binary\.tar\.gz holds \d+ bytes of \d+\. It was left"):
        load("cifar10")
    assert contents(folder) == before


def test_altered_archive(folder, cifar):
    altered = bytearray(cifar["archive"])
    altered[len(altered) // 2] ^= 1
    write(folder, {sources.CIFAR10.name: bytes(altered)})
    with pytest.raises(data.AlteredFile, match=r"contents of .*cifar-10-binary\.tar\.gz are not the published"):
        load("cifar10")


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda content: content[:-1], data.TruncatedFile, r"data_batch_3\.bin holds 12291 bytes of 12292"),
        (lambda content: content + b"x", data.AlteredFile, r"data_batch_3\.bin holds 12293 bytes, not 12292"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), data.AlteredFile, "train images or labels in"),
        (lambda content: bytes([(content[0] + 1) % 10]) + content[1:], data.AlteredFile, "fingerprint of all"),
        (None, data.MissingFile, r"cifar-10-batches-bin lacks data_batch_3\.bin\. Unpack cifar-10-binary"),
    ],
)
def test_damaged_cifar_folder(folder, cifar, change, error, match):
    where = unpacked(folder, cifar)
    file = where / "data_batch_3.bin"
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change(cifar["data_batch_3.bin"]))
    before = contents(folder)
    with pytest.raises(error, match=match):
        load("cifar10")
    assert contents(folder) == before


def test_idx_parser_refuses_other_files():
    with pytest.raises(ValueError, match="not an IDX file of unsigned bytes"):
        sources.parse_idx(b"\x89PNG....")
    with pytest.raises(ValueError, match=r"shape \(3,\) must hold 3 values; got 2"):
        sources.parse_idx(idx(np.arange(3))[:-1])


# Downloads


def test_no_network_says_what_to_put_where(folder, mnist):
    with pytest.raises(data.MissingFile) as caught:
        load("mnist", progress=False)
    message = str(caught.value)
    assert f"put it at {folder / 'train-images-idx3-ubyte.gz'}" in message
    assert "ADVNB_DATA" in message and message.count(CLOSED) >= 2
    assert contents(folder) == {}


def test_no_network_for_cifar(folder, cifar):
    with pytest.raises(data.MissingFile, match=r"cifar-10-binary\.tar\.gz is not in .* could not be downloaded"):
        load("cifar10", progress=False)
    assert contents(folder) == {}


def test_second_mirror_is_tried_and_files_are_kept(folder, mnist, server, monkeypatch):
    server.files = dict(mnist)
    monkeypatch.setattr(sources, "MNIST_MIRRORS", (CLOSED, server.url))
    loaded = load("mnist", progress=False)
    assert len(loaded.train) == 20 and contents(folder) == mnist
    server.files = {}
    assert torch.equal(load("mnist").train.x, loaded.train.x)  # from disk


def test_archive_is_downloaded_and_read(folder, cifar, server, monkeypatch):
    server.files = {sources.CIFAR10.name: cifar["archive"]}
    monkeypatch.setattr(sources, "CIFAR10_MIRRORS", (server.url,))
    assert len(load("cifar10", progress=False).train) == 20
    assert contents(folder) == {sources.CIFAR10.name: cifar["archive"]}


@pytest.mark.parametrize("fault", ["altered", "cut", "missing"])
def test_bad_transfer_leaves_nothing_and_touches_no_good_file(folder, mnist, server, monkeypatch, fault):
    good = {name: content for name, content in mnist.items() if name != "t10k-labels-idx1-ubyte.gz"}
    write(folder, good)
    body = mnist["t10k-labels-idx1-ubyte.gz"]
    if fault != "missing":
        server.files = {"t10k-labels-idx1-ubyte.gz": body[:-1] + b"!" if fault == "altered" else body}
    server.cut = fault == "cut"
    monkeypatch.setattr(sources, "MNIST_MIRRORS", (server.url,))
    reason = {"altered": "does not match the known hash", "cut": "IncompleteRead", "missing": "404"}[fault]
    with pytest.raises(data.MissingFile, match=reason):
        load("mnist", progress=False)
    assert contents(folder) == good


def test_presence_is_told_without_reading_or_fetching(folder, mnist, cifar):
    absent = {found.name: found for found in data.present()}
    assert [absent[name].state for name in ("digits", "mnist", "cifar10")] == ["embedded", "absent", "absent"]
    assert len(absent["mnist"].missing) == 4 and absent["mnist"].size == 0
    write(folder, {"train-images-idx3-ubyte.gz": b"12345"})
    write(folder, {sources.CIFAR10.name: b"123"})
    found = {found.name: found for found in data.present()}
    assert (found["mnist"].state, found["mnist"].size) == ("partial", 5)
    assert (found["cifar10"].state, found["cifar10"].size, found["cifar10"].path) == ("present", 3, folder)
    unpacked(folder, cifar)
    assert len({found.name: found for found in data.present()}["cifar10"].files) == 6


def test_without_the_variable_pooch_names_the_folder(monkeypatch):
    import pooch

    monkeypatch.delenv("ADVNB_DATA", raising=False)
    assert sources.folder() == Path(pooch.os_cache("advnb"))
    monkeypatch.setenv("ADVNB_DATA", "~/somewhere")
    assert sources.folder() == Path.home() / "somewhere"


# Methods: pure, and each against values worked out by hand


def tiny(side: int = 4, n: int = 6) -> Dataset:
    x = torch.arange(n * side * side, dtype=torch.float32).reshape(n, 1, side, side) / (n * side * side)
    y = torch.arange(n) % 3
    return Dataset(Split(x, y), Split(x.flip(0), y.flip(0)), "tiny", ("0", "1", "2"))


def test_area_resize_averages_blocks_exactly():
    small = tiny(4, 1).resize(2).train.x * 16
    assert small.tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]


def test_area_resize_at_other_ratios_is_the_adaptive_average():
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0] = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]) / 9
    one = Split(x, torch.zeros(1, dtype=torch.int64))
    small = Dataset(one, one, "one", ("0",)).resize(2).train.x * 9
    assert torch.allclose(small[0, 0], torch.tensor([[3.0, 4.0], [6.0, 7.0]]))  # 2x2 windows sharing the middle


def test_resize_to_a_larger_side_and_in_other_modes():
    assert torch.equal(tiny().resize(8).train.x[:, :, ::2, ::2], tiny().train.x)
    for mode in ("area", "bilinear", "antialiased"):
        flat = replace(tiny(), train=Split(torch.full((2, 3, 7, 7), 0.25), torch.zeros(2, dtype=torch.int64)))
        assert torch.allclose(flat.resize(5, mode=mode).train.x, torch.tensor(0.25))
    assert not torch.allclose(tiny().resize(2, mode="antialiased").train.x, tiny().resize(1).train.x)


def test_resize_errors():
    with pytest.raises(ValueError, match="side must be at least 1; got 0"):
        tiny().resize(0)
    with pytest.raises(ValueError, match="mode must be one of 'antialiased', 'area', 'bilinear'; got 'cubic'"):
        tiny().resize(2, mode="cubic")
    with pytest.raises(ValueError, match="resize before unit_norm"):
        tiny().unit_norm().resize(2)


def test_two_classes_are_minus_and_plus_one():
    pair = tiny().two_classes(2, 0)
    assert pair.train.y.tolist() == [1.0, -1.0, 1.0, -1.0] and pair.train.y.dtype == torch.float32
    assert pair.classes == ("2", "0")
    assert torch.equal(pair.train.x, tiny().train.x[[0, 2, 3, 5]])


def test_odd_even_keeps_all_examples(digits):
    parity = digits.odd_even()
    assert torch.equal(parity.test.y, digits.test.y % 2 * 2.0 - 1) and parity.classes == ("even", "odd")
    assert torch.equal(parity.test.x, digits.test.x)


def test_relabelling_errors():
    with pytest.raises(ValueError, match="the classes of tiny are 0 to 2; got 7"):
        tiny().two_classes(0, 7)
    with pytest.raises(ValueError, match="two different classes; got 1 twice"):
        tiny().two_classes(1, 1)
    with pytest.raises(ValueError, match="tiny has real targets already"):
        tiny().two_classes(0, 1).odd_even()
    with pytest.raises(ValueError, match="odd_even needs classes that are numbers; tiny has cat, dog, fox"):
        replace(tiny(), classes=("cat", "dog", "fox")).odd_even()


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 200), seed=st.integers(0, 2**32), stratified=st.booleans())
def test_subsets_are_seeded_nested_and_without_repeats(n, seed, stratified):
    y = torch.arange(200) % 4
    split = Split(torch.arange(200.0)[:, None], y)
    some = split.subset(n, seed=seed, stratified=stratified)
    assert len(some) == n == len(some.x.unique())
    assert torch.equal(y[some.x.flatten().long()], some.y)
    assert torch.equal(some.x, split.subset(n, seed=seed, stratified=stratified).x)
    assert torch.equal(some.x, split.subset(200, seed=seed, stratified=stratified).x[:n])
    if stratified:
        counts = torch.bincount(some.y, minlength=4)
        assert counts.max() - counts.min() <= 1


def test_subset_of_both_halves_and_of_real_targets(digits):
    some = digits.two_classes(0, 1).subset(10, test=4, seed=3)
    assert (len(some.train), len(some.test)) == (10, 4)
    assert some.train.y.sum() == 0 and some.test.y.sum() == 0
    assert len(digits.subset(10).test) == 500 and len(digits.subset(test=7).train) == 1297
    assert not torch.equal(digits.subset(50, seed=1).train.x, digits.subset(50, seed=2).train.x)


def test_subset_errors(digits):
    with pytest.raises(ValueError, match="n must be at most the 500 examples there are; got 501"):
        digits.subset(test=501)
    with pytest.raises(ValueError, match="n must be at least 1; got 0"):
        digits.subset(0)


def test_unit_norm_rows(digits):
    rows = digits.unit_norm().train.x
    assert rows.shape == (1297, 64)
    assert torch.allclose(torch.linalg.vector_norm(rows, dim=1), torch.ones(1297))
    assert torch.allclose(rows * digits.train.x.flatten(1).norm(dim=1, keepdim=True), digits.train.x.flatten(1))
    with pytest.raises(ValueError, match="unit_norm: 1 of 2 rows are all zero"):
        unit_norm(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))


def test_to_converts_images_and_real_targets_only():
    doubled = tiny().to("cpu", torch.float64)
    assert doubled.train.x.dtype == torch.float64 and doubled.train.y.dtype == torch.int64
    assert tiny().two_classes(0, 1).to(dtype=torch.float64).test.y.dtype == torch.float64
    assert tiny().to("meta").train.x.device.type == "meta"


def test_methods_leave_the_data_as_they_were():
    original, before = tiny(), tiny()
    original.train.x[0, 0, 0, 0] = before.train.x[0, 0, 0, 0] = 0.5
    original.resize(2)
    original.two_classes(0, 1)
    original.odd_even()
    original.subset(3, test=2)
    original.unit_norm()
    original.to(dtype=torch.float64)
    for half in ("train", "test"):
        assert torch.equal(getattr(original, half).x, getattr(before, half).x)
        assert torch.equal(getattr(original, half).y, getattr(before, half).y)


def test_split_refuses_labels_that_do_not_fit():
    with pytest.raises(ValueError, match=r"y must have shape \(3,\), one label an example; got \(2,\)"):
        Split(torch.zeros(3, 2), torch.zeros(2))


# The real files


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The folder of the real MNIST: the user's own, or unpacked from beside the repository."""
    with pytest.MonkeyPatch.context() as patch:
        state = {found.name: found.state for found in data.present()}
        if state["mnist"] != "present":
            if not SHARED.exists():
                pytest.skip(f"MNIST is not in {sources.folder()}: set ADVNB_DATA to a folder that holds it")
            target = tmp_path_factory.mktemp("published")
            subprocess.run([sys.executable, SHARED, target], check=True, stdout=subprocess.DEVNULL)
            patch.setenv("ADVNB_DATA", str(target))
        yield sources.folder()


@pytest.mark.mnist
def test_real_mnist(real):
    mnist = load("mnist")
    assert mnist.train.x.shape == (60_000, 1, 28, 28) and mnist.test.x.shape == (10_000, 1, 28, 28)
    assert mnist.train.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.train.x.mean().item() == pytest.approx(0.1307, abs=5e-5)
    pair = mnist.two_classes(0, 1)
    assert (len(pair.train), len(pair.test)) == (12_665, 2_115)  # the counts of Wang et al. (2022), section 5


@pytest.mark.mnist
@pytest.mark.slow
def test_real_cifar(real):
    if {found.name: found.state for found in data.present()}["cifar10"] != "present":
        pytest.skip(f"CIFAR-10 is not in {real}")
    cifar = load("cifar10")
    assert cifar.train.x.shape == (50_000, 3, 32, 32) and cifar.test.x.shape == (10_000, 3, 32, 32)
    assert torch.bincount(cifar.train.y).tolist() == [5000] * 10
    assert torch.bincount(cifar.test.y).tolist() == [1000] * 10
    channels = cifar.train.x.mean((0, 2, 3), dtype=torch.float64)
    assert torch.allclose(channels, torch.tensor([0.491400, 0.482158, 0.446531]).double(), atol=1e-6)
