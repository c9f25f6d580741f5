"""Files that were damaged, or are of somebody else: read as they were, or refused by name and left as they are."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from advnb.book import ledger
from advnb.data import sources
from advnb.data.sources import parse_idx
from advnb.experiments.store import ResultsError, ResultsFile, Writer
from advnb.training import CheckpointError, Unsecured, fit
from fuzz.outcomes import ROOT, attempt, budget

PROVENANCE = {"seconds": 0.1, "device_name": "a CPU"}
EXAMPLES = 60

ODD = ["NaN", "1e999", "-1", "true", "null", '""', "[]", "{}", "1" * 400, "[" * 3000, '"\\ud800"', "9" * 5000]
"""Values that JSON, or Python's reading of it, allows or nearly allows."""


def lines() -> list[bytes]:
    return [
        json.dumps(
            {"experiment": "toy.walk", "scale": "live", "params": {"d": 2}, "seed": seed, "values": {"x": seed / 3},
             "provenance": PROVENANCE}
        ).encode()
        for seed in range(4)
    ]  # fmt: skip


def flip(content: bytes, r: random.Random) -> bytes:
    i = r.randrange(len(content))
    return content[:i] + bytes([content[i] ^ (1 << r.randrange(8))]) + content[i + 1 :]


def cut(content: bytes, r: random.Random) -> bytes:
    a, b = sorted(r.randrange(len(content) + 1) for _ in range(2))
    return content[:a] + content[b:]


def double(content: bytes, r: random.Random) -> bytes:
    a, b = sorted(r.randrange(len(content) + 1) for _ in range(2))
    return content[:b] + content[a:]


def swap(content: bytes, r: random.Random) -> bytes:
    a, b, c = sorted(r.randrange(len(content) + 1) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def noise(content: bytes, r: random.Random) -> bytes:
    i = r.randrange(len(content) + 1)
    return (
        content[:i] + r.choice([b"\xff\xfe", b"\x00", b"\xc3", b"\xed\xa0\x80", b"\n\n", r.randbytes(9)]) + content[i:]
    )


def shuffle(content: bytes, r: random.Random) -> bytes:
    rows = content.split(b"\n")
    rows.insert(r.randrange(len(rows)), rows.pop(r.randrange(len(rows))))
    return b"\n".join(rows)


def odd_value(content: bytes, r: random.Random) -> bytes:
    """One line in which one value, or one key, has become something else."""
    rows = content.split(b"\n")
    record = json.loads(rows[r.randrange(4)])
    name = r.choice(sorted(record))
    del record[name]
    head = json.dumps(record)[:-1]
    rows.insert(r.randrange(4), f'{head}, "{name}": {r.choice(ODD)}}}'.encode())
    return b"\n".join(rows)


DAMAGE = {
    "a bit flipped": flip, "a piece cut out": cut, "a piece doubled": double, "two pieces swapped": swap,
    "bytes put in that are no text": noise,
}  # fmt: skip
LINES = {"lines in another order": shuffle, "a value of another type, huge or nested deeply": odd_value}


def damages(choices: dict[str, Callable], examples: int, check: Callable, content: bytes, area: str, tally) -> None:
    """Call ``check`` with damaged contents, so many of each kind."""

    def one_kind(kind: str, change: Callable) -> None:
        @budget(examples)
        @given(st.integers(0, 2**63))
        def fuzz(seed):
            r, damaged = random.Random(seed), content
            for _ in range(r.choice([1, 1, 1, 3])):
                damaged = change(damaged, r) if damaged and (change is not odd_value or damaged is content) else damaged
            error, done = check(damaged)
            tally.add(area, kind, error, done)

        fuzz()

    for kind, change in choices.items():
        one_kind(kind, change)


def test_a_damaged_results_file(tmp_path: Path, tally):
    content = b"\n".join(lines()) + b"\n"
    whole = [json.loads(line) for line in lines()]

    def check(damaged: bytes) -> tuple[BaseException | None, str]:
        file = ResultsFile(tmp_path, "toy.walk", "live")
        file.path.write_bytes(damaged)
        records, error = attempt(file.read, [file.path.name], (ResultsError,))
        assert file.path.read_bytes() == damaged  # a reader changes nothing
        if error is None:
            assert all(file._problem(record) is None for record in records)
            assert len(records) == len([row for row in damaged.split(b"\n") if row])
        new = {**whole[0], "seed": 77}

        def write() -> None:
            with Writer(file) as writer:
                writer.append(new)

        _, refused = attempt(write, [file.path.name], (ResultsError,))
        if refused is not None:
            assert file.path.read_bytes() == damaged
            return refused, ""
        # Mended: what the writer kept is the beginning of the file in whole lines, and then the new trial.
        kept = file.read()
        assert kept[-1] == new
        assert [json.dumps(a) for a in kept[:-1]] == [
            json.dumps(json.loads(row)) for row in damaged.split(b"\n")[: len(kept) - 1]
        ]
        assert len(kept) >= len(damaged.split(b"\n"))
        return None, "read, or mended and the trial stored"

    damages({**DAMAGE, **LINES}, EXAMPLES, check, content, "results file", tally)


def test_a_damaged_checkpoint(tmp_path: Path, tally):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand((6, 3), generator=generator), torch.arange(6) % 2
    path = tmp_path / "run.pt"

    def run(epochs: int) -> tuple[nn.Module, list]:
        model = nn.Linear(3, 2)
        with torch.no_grad():
            model.weight.fill_(0.25)
            model.bias.zero_()
        history = fit(model, (x, y), Unsecured(), epochs=epochs, checkpoint=path, progress=False)
        return model, history["loss"].tolist()

    plain, losses = run(1)
    content = path.read_bytes()

    def check(damaged: bytes) -> tuple[BaseException | None, str]:
        path.write_bytes(damaged)
        found, error = attempt(lambda: run(1), [path.name], (CheckpointError,))
        if error is not None:
            assert path.read_bytes() == damaged
            return error, ""
        model, history = found
        assert history == losses and torch.equal(model.weight, plain.weight) and torch.equal(model.bias, plain.bias)
        return None, "the whole run came back"

    damages(DAMAGE, EXAMPLES // 3, check, content, "checkpoint", tally)


def test_a_damaged_file_of_images(tally):
    content = b"\x00\x00\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (3, 2, 2)) + bytes(range(12))

    def check(damaged: bytes) -> tuple[BaseException | None, str]:
        images, error = attempt(lambda: parse_idx(damaged), ["IDX"])
        if error is None:
            assert images.tobytes() == damaged[4 + 4 * images.ndim :]
        return error, "read as what its bytes say"

    damages(DAMAGE, EXAMPLES, check, content, "file of images (IDX)", tally)
    for head in (b"", b"\x00", b"\x00\x00\x08\xff", b"\x00\x00\x08\x03" + b"\xff" * 12, b"\x00\x00\x08\x00"):
        check(head)


def test_a_damaged_download(tmp_path: Path, monkeypatch, tally):
    """What is read is the published bytes, whatever else changed in the gzip file around them."""
    inside = bytes(range(256)) * 3
    packed = gzip.compress(inside, mtime=0)
    file = sources.Published("images", len(inside), sha256(inside).hexdigest(), sha256(packed).hexdigest())
    monkeypatch.setenv(sources.ENVIRONMENT, str(tmp_path))
    path = tmp_path / "images.gz"

    def check(damaged: bytes) -> tuple[BaseException | None, str]:
        path.write_bytes(damaged)
        found, error = attempt(lambda: sources._contents(file, (), False), [path.name], (sources.DataError,))
        assert path.read_bytes() == damaged and (error is not None or found == inside)
        return error, "the published bytes"

    damages(DAMAGE, EXAMPLES, check, packed, "downloaded file (gzip)", tally)


def test_damaged_records_of_cifar10(tmp_path: Path, monkeypatch, tally):
    """The records come back as they were published, in one order, or the half is refused."""
    r = random.Random(0)
    records = [bytes([k]) + r.randbytes(sources.RECORD - 1) for k in range(3)]
    digests = sorted(sha256(record).digest() for record in records)
    monkeypatch.setattr(sources, "RECORDS", len(records))
    monkeypatch.setattr(sources, "FINGERPRINT", {"test": sha256(b"".join(digests)).hexdigest()})
    monkeypatch.setenv(sources.ENVIRONMENT, str(tmp_path))
    path = tmp_path / sources.CIFAR10_FOLDER / "test_batch.bin"
    path.parent.mkdir()

    def turned(content: bytes, r: random.Random) -> bytes:
        k = sources.RECORD * r.randrange(3)
        return content[k:] + content[:k]

    def check(damaged: bytes) -> tuple[BaseException | None, str]:
        path.write_bytes(damaged)
        found, error = attempt(lambda: sources.read_cifar10("test"), [path.parent.name], (sources.DataError,))
        assert path.read_bytes() == damaged
        if error is None:
            images, labels = found
            rows = {bytes([y]) + x.tobytes() for x, y in zip(images, labels, strict=True)}
            assert rows == set(records)
        return error, "the published records"

    choices = {**DAMAGE, "records in another order": turned}
    damages(choices, EXAMPLES // 2, check, b"".join(records), "images of CIFAR-10", tally)


def test_a_damaged_file_of_the_ledger(tmp_path: Path, tally):
    """A row of the ledger is read as it stands or the file is named."""
    original = min((ROOT / "book" / "results" / "claims").glob("*.json"), key=lambda file: file.stat().st_size)
    path = tmp_path / "claims" / original.name
    path.parent.mkdir()

    def check(damaged: bytes) -> tuple[BaseException | None, str]:
        path.write_bytes(damaged)
        rows, error = attempt(lambda: ledger._stored(path), [path.name], (ResultsError,))
        assert path.read_bytes() == damaged and (error is not None or rows == json.loads(damaged))
        return error, "read as what its bytes say"

    damages(DAMAGE, EXAMPLES, check, original.read_bytes(), "file of the ledger", tally)


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 100_000, b'{"seed": ' + b"9" * 5000 + b"}"]
)
def test_a_line_nested_deeper_than_python_goes_is_named(tmp_path: Path, content: bytes):
    """json.loads raised RecursionError."""
    file = ResultsFile(tmp_path, "toy.walk", "live")
    file.path.write_bytes(content + b"\n")
    with pytest.raises(ResultsError, match=r"toy.walk.live.jsonl:1"):
        file.read()


def test_a_file_of_images_that_ends_among_its_axes_is_named():
    """The message was numpy's, of a buffer."""
    with pytest.raises(ValueError, match="an IDX file of 3 axes must begin with 16 bytes; got 10"):
        parse_idx(b"\x00\x00\x08\x03" + bytes(6))


def test_a_seed_that_is_a_truth_value_is_named(tmp_path: Path):
    file = ResultsFile(tmp_path, "toy.walk", "live")
    file.path.write_bytes(lines()[0].replace(b'"seed": 0', b'"seed": true') + b"\n")
    with pytest.raises(ResultsError, match="seed must be a whole number; got True"):
        file.read()
