"""A results file whose disk, folder, bytes, lock or writer fails."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from breaking import failing, room, unprivileged

from advnb.__main__ import main
from advnb.experiments import store
from advnb.experiments.store import NotWritten, ResultsError, ResultsFile, Writer, key

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs limits, permissions and signals of POSIX")

AREA = "results file"


def trial(seed):
    named = {"experiment": "toy.walk", "scale": "live", "params": {"steps": 1, "scale": 0.1}, "seed": seed}
    origin = {"dtype": "float64", "device_name": "a CPU", "seconds": 0.25, "date": "2026-11-22T00:00:00+00:00"}
    return {**named, "values": {"end": seed / 3, "path": [seed / 7, 1e-300]}, "provenance": origin}


@pytest.fixture
def filled(tmp_path):
    file = ResultsFile(tmp_path, "toy.walk", "live")
    with Writer(file) as writer:
        for seed in range(3):
            writer.append(trial(seed))
    return file


def missing(file, seeds):
    """How many of the trials are not there exactly once, as they were."""
    with Writer(file):  # which mends what is to be mended
        pass
    records = file.read() if file.path.exists() else []
    counts = Counter(map(key, records))
    return sum(counts[key(trial(seed))] != 1 or trial(seed) not in records for seed in seeds)


def test_a_disk_is_full_after_any_number_of_bytes(filled, row):
    whole = filled.path.read_bytes()
    line = len(store._line(trial(3)))
    lost = 0
    for written in range(line):
        with room(len(whole) + written), pytest.raises(NotWritten) as told, Writer(filled) as writer:
            writer.append(trial(3))
        lost += filled.path.read_bytes() != whole
    assert "make room on the disk, then go on with: python -m advnb run toy.walk --scale live" in str(told.value)
    with Writer(filled) as writer:
        assert writer.append(trial(3))
    lost += missing(filled, range(4))
    outcome = "all lines before it stay, nothing of the new one; it is stored once there is room"
    row(AREA, "disk full after n bytes of a line, every n", line, outcome, told.value, lost, counted=True)


def test_a_disk_that_is_full_when_a_cut_line_is_completed_leaves_a_sound_file(filled):
    whole = filled.path.read_bytes()
    filled.path.write_bytes(whole[:-1])  # all but the newline
    with room(len(whole) - 1), pytest.raises(NotWritten), Writer(filled):
        pass
    file = ResultsFile(filled.path.parent, "toy.walk", "live")
    writer = Writer(file)
    with room(len(whole) - 1), pytest.raises(NotWritten):
        writer.append(trial(3))
    assert writer.append(trial(3))  # the same writer, once there is room
    assert missing(file, range(4)) == 0


def test_a_disk_that_fails_when_the_file_is_forced_onto_it(filled, row, monkeypatch):
    monkeypatch.setattr(store, "SYNC_SECONDS", -1)
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(NotWritten, match="Input/output error") as told, Writer(filled) as writer:
        writer.append(trial(3))
    monkeypatch.undo()
    with Writer(filled) as writer:
        writer.append(trial(3))
    row(
        AREA,
        "fsync fails",
        1,
        "the run ends; no trial is doubled when it goes on",
        told.value,
        missing(filled, range(4)),
    )


def test_a_command_on_a_full_disk_says_what_to_do_and_goes_on(tmp_path, capsys, monkeypatch, row):
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    run = ["run", "toy.logged", "--scale", "live", "--seeds", "0:8", "--quiet", "--results", str(tmp_path / "r")]
    with room(300_000):
        assert main(run, "toy.sums") == 2
    said = capsys.readouterr().err
    assert "make room" in said and "Traceback" not in said
    file = ResultsFile(tmp_path / "r", "toy.logged", "live")
    before = file.read()
    assert main(run, "toy.sums") == 0
    after = file.read()
    lost = 8 - len({key(record) for record in after}) + len(after) - 8 + (after[: len(before)] != before)
    assert 0 < len(before) < 8
    row(AREA, "disk full in the midst of a run", 1, "exit code 2; the same command stores the rest", said, lost)


@pytest.mark.parametrize("fault", ["the folder", "the file", "a file in place of the folder", "the file system"])
def test_what_cannot_be_written_is_told_before_a_trial_runs(tmp_path, capsys, monkeypatch, fault, row):
    folder = tmp_path / "r"
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    run = ["run", "toy.logged", "--scale", "live", "--seeds", "0:2", "--quiet", "--results", str(folder)]
    if fault == "a file in place of the folder":
        folder.write_text("a file")
    else:
        assert main(run, "toy.sums") == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}
    (tmp_path / "log").write_text("")
    if fault == "the folder":
        (folder / "toy.logged.live.jsonl").unlink()
        [path.unlink() for path in folder.iterdir()]
        before = {}
        folder.chmod(0o555)
    elif fault == "the file":
        (folder / "toy.logged.live.jsonl").chmod(0o444)
    elif fault == "the file system":
        monkeypatch.setattr(store.FileLock, "acquire", failing(errno.EROFS))
    with unprivileged(folder if folder.is_dir() else tmp_path):
        assert main([*run[:4], "--seeds", "0:3", *run[6:]], "toy.sums") == 2
    said = capsys.readouterr().err
    assert "cannot be written" in said and "make it writable, or name another folder (--results" in said
    assert (tmp_path / "log").read_text() == "", "a trial was run in vain"
    folder.chmod(0o755)
    after = {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}
    lost = sum(after.get(name) != content for name, content in before.items())
    row(AREA, f"read-only: {fault}", 1, "refused before a trial runs; exit code 2", said, lost)


def test_a_file_in_a_read_only_folder_can_be_read(filled):
    filled.path.parent.chmod(0o555)
    try:
        with unprivileged(filled.path.parent):
            assert len(filled.read()) == 3
    finally:
        filled.path.parent.chmod(0o755)


def test_a_file_cut_at_any_byte(filled, row, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # thousands of times
    whole = filled.path.read_bytes()
    ends = [k + 1 for k, byte in enumerate(whole) if byte == ord("\n")]
    lost = 0
    for cut in range(len(whole)):
        filled.path.write_bytes(whole[:cut])
        stored = sum(end <= cut + 1 for end in ends)  # whole but for its newline, a line is stored
        if cut in (0, *ends) or cut + 1 in ends:
            assert len(filled.read()) == stored
        else:
            with pytest.raises(ResultsError, match=rf":{stored + 1}: the last line is cut short") as told:
                filled.read()
            assert filled.path.read_bytes() == whole[:cut]
        lost += missing(filled, range(stored))
        with Writer(filled) as writer:
            assert [writer.append(trial(seed)) for seed in range(3)] == [seed >= stored for seed in range(3)]
        lost += filled.path.read_bytes() != whole
    outcome = "all whole lines are read; a reader refuses the rest, and a run stores its trial again"
    row(AREA, "file cut at every byte", len(whole), outcome, told.value, lost, counted=True)


def test_a_file_with_any_bit_flipped(filled, row):
    whole = filled.path.read_bytes()
    lost = 0
    for place in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            with pytest.raises(ResultsError):
                filled.parse(bytes(flipped))
        if place % 16 == 0 or place == len(whole) - 1:
            filled.path.write_bytes(flipped)
            with pytest.raises(ResultsError), Writer(filled):
                pass
            lost += filled.path.read_bytes() != flipped
    filled.path.write_bytes(whole.replace(b'"end": 0.3333', b'"end": 0.7333'))
    with pytest.raises(ResultsError, match=r"jsonl:2: not what was stored \(by its CRC-32\); get the file") as told:
        filled.read()
    outcome = "refused, with the line; the file is left as it is"
    row(AREA, "any bit flipped", 8 * len(whole), outcome, told.value, lost, counted=True)


def test_lines_from_before_there_was_a_checksum_are_read(filled):
    with filled.path.open("a") as handle:
        handle.write(json.dumps(trial(3)) + "\n")
    assert missing(filled, range(4)) == 0


class Interrupts:
    """Raises KeyboardInterrupt in the n-th line that is executed of the store."""

    def __init__(self, n):
        self.left = n

    def __call__(self, frame, event, _):
        if frame.f_code.co_filename != store.__file__:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)

    def __exit__(self, *_):
        sys.settrace(self.before)


def test_an_interrupt_at_any_line_of_the_store(tmp_path, row, monkeypatch, request):
    if "PYTEST_XDIST_WORKER" in os.environ:  # tracing has hung in a process that has run a thousand other tests
        alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", request.node.nodeid]
        done = subprocess.run(command, cwd=request.config.rootpath, env=alone, capture_output=True, timeout=240)
        assert done.returncode == 0, done.stdout.decode()
        return
    monkeypatch.setattr(store, "SYNC_SECONDS", -1)
    monkeypatch.setattr(store, "LOCK_SECONDS", 2.0)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    lines, lost, done = 0, 0, False
    while not done:
        lines += 1
        file = ResultsFile(tmp_path / str(lines), "toy.walk", "live")
        with Writer(file) as writer:
            writer.append(trial(0))
        file.path.write_bytes(file.path.read_bytes() + b'{"experiment": "toy.walk"')  # as a killed run leaves it
        again = Writer(ResultsFile(file.path.parent, "toy.walk", "live"))
        try:
            with Interrupts(lines):
                with again as writer:
                    writer.append(trial(1))
                    writer.append(trial(2))
                done = True
        except KeyboardInterrupt as interrupt:
            kept = interrupt  # as a notebook keeps the last error, and all that it refers to
        other = ResultsFile(file.path.parent, "toy.walk", "live")
        with Writer(other) as writer:
            before = len(writer.stored)  # a lock left behind would let this wait, and then raise
            stored = [writer.append(trial(seed)) for seed in range(3)]
        lost += stored != [seed >= before for seed in range(3)] or missing(other, range(3))
    assert kept.__traceback__ and lines > 100
    outcome = "no line is lost or doubled, no lock is left behind"
    row(AREA, "Ctrl-C at every line of the store's code", lines - 1, outcome, "", lost)


def test_a_lock_that_nobody_lets_go(filled, row, monkeypatch):
    before = filled.path.read_bytes()
    with filled.lock:
        monkeypatch.setattr(store, "LOCK_SECONDS", 0.2)
        late = ResultsFile(filled.path.parent, "toy.walk", "live")
        assert len(late.read()) == 3
        with (
            pytest.raises(NotWritten, match=r"held its lock for 0.2 s: end that process .* go on with") as told,
            Writer(late),
        ):
            pass
    lost = filled.path.read_bytes() != before or missing(filled, range(3))
    row(
        AREA,
        "another process stops while it holds the lock",
        1,
        "the run gives up after ten minutes",
        told.value,
        int(lost),
    )


@pytest.mark.parametrize("hours", [-24 * 365, 24 * 365])
def test_clocks_that_differ_by_a_year(filled, row, monkeypatch, hours):
    """Neither the time in a line nor that of a file decides anything."""
    shift = 3600 * hours
    for path in filled.path.parent.iterdir():
        os.utime(path, (time.time() + shift,) * 2)
    late = trial(1)
    late["provenance"] = {**late["provenance"], "date": "1970-01-01T00:00:00+00:00"}
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda now=time.time: now() + shift)
        with Writer(ResultsFile(filled.path.parent, "toy.walk", "live")) as writer, Writer(filled) as here:
            assert not writer.append(late) and writer.append(trial(3))
            assert not here.append(trial(3)) and here.append(trial(4))
    outcome = "each trial is stored once, by whoever comes first"
    kind = f"another machine's clock is a year {'behind' if hours < 0 else 'ahead'}"
    row(AREA, kind, 1, outcome, "", missing(filled, range(5)))


def test_an_interrupt_by_a_signal_is_told(tmp_path, capsys, monkeypatch):
    """The command line's word on it; `test_kills.py` sends real ones at random."""
    monkeypatch.setattr("advnb.__main__.run", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    assert main(["run", "toy.walk", "--scale", "live", "--results", str(tmp_path)], "toy.sums") == 130
    assert capsys.readouterr().err == "advnb: interrupted: what has finished is stored; the same command goes on\n"
