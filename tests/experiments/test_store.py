"""Results files: what is written comes back, and what no run has written is refused and left alone."""

import json
import math
import os
import re

import pytest
from filelock import Timeout

from advnb.experiments import store
from advnb.experiments.store import (
    NotWritten,
    ResultsError,
    ResultsFile,
    Writer,
    canonical,
    key,
    plain,
    plain_values,
    settled,
)

PROVENANCE = {"seconds": 0.1, "device_name": "a CPU"}


def stored(number, values=None, **changes):
    values = {"x": number / 3} if values is None else values
    return {
        "experiment": "toy.walk",
        "scale": "live",
        "params": {"d": 2},
        "seed": number,
        "values": values,
        "provenance": PROVENANCE,
        **changes,
    }


@pytest.fixture
def file(tmp_path):
    return ResultsFile(tmp_path, "toy.walk", "live")


@pytest.fixture
def filled(file):
    with Writer(file) as writer:
        for seed in range(3):
            assert writer.append(stored(seed))
    return file


def refuses(file, message):
    """Readers and writers raise, and leave the file as it was."""
    before = file.path.read_bytes()
    with pytest.raises(ResultsError, match=message):
        file.read()
    with pytest.raises(ResultsError, match=message), Writer(file):
        pass
    assert file.path.read_bytes() == before


@pytest.mark.parametrize("name", [1, "two words", "seed", "run_time"])
def test_a_returned_field_needs_a_name_of_its_own(name):
    said = f"a returned field must be named by an identifier, not 'seed' or 'run_...'; got {name!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        plain_values({name: 0.5}, {})
    assert plain_values({"a_run": 0.5, "seeds": (1, 2)}, {"d": 2}) == {"a_run": 0.5, "seeds": [1, 2]}


def test_a_trial_returns_as_many_numbers_as_are_allowed_and_not_one_more():
    most = 10_000
    assert plain_values({"x": [0.5] * (most - 1), "y": 1}, {}) == {"x": [0.5] * (most - 1), "y": 1}
    with pytest.raises(ValueError, match=f"at most {most} numbers; got {most + 1}"):
        plain_values({"x": [0.5] * most, "y": 1}, {})


def test_what_cannot_be_stored_is_named_however_deep_it_lies():
    for value in (object(), [1, object()], (1.0, [2, [object()]])):
        with pytest.raises(
            TypeError, match=r"^this must be a number, a text, None or a small array of them; got object$"
        ):
            plain("this", value)


def test_a_trial_has_one_text():
    """Keys sorted, no spaces: what tells two trials apart, in whatever order their parameters are given."""
    assert canonical({"b": [1, 2.5, None], "a": "ä"}) == '{"a":"ä","b":[1,2.5,null]}'
    assert key(stored(3)) == '[{"d":2},3]'


def test_records_come_back(filled):
    assert filled.read() == [stored(seed) for seed in range(3)]
    assert filled.path.name == "toy.walk.live.jsonl"


@pytest.mark.parametrize("number", [1 / 3, 5e-324, -0.0, 1.7976931348623157e308, math.inf, -math.inf, 2**70])
def test_numbers_come_back_exactly(file, number):
    with Writer(file) as writer:
        writer.append(stored(0, {"x": number}))
    back = file.read()[0]["values"]["x"]
    assert type(back) is type(number) and repr(back) == repr(number)


def test_a_parameter_may_be_called_crc32(file):
    record = stored(0, params={"d": 2, "crc32": 5})
    with Writer(file) as writer:
        writer.append(record)
    assert file.read() == [record]


def test_nan_comes_back(file):
    with Writer(file) as writer:
        writer.append(stored(0, {"x": [math.nan]}))
    assert math.isnan(file.read()[0]["values"]["x"][0])


def test_a_line_cut_at_any_byte_is_mended_by_a_writer_and_refused_by_a_reader(filled):
    whole = filled.path.read_bytes()
    kept = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(kept + 1, len(whole) - 1):
        filled.path.write_bytes(whole[:cut])
        with pytest.raises(ResultsError, match=r"toy\.walk\.live\.jsonl:3: the last line is cut short"):
            filled.read()
        assert filled.path.read_bytes() == whole[:cut]
        with Writer(filled) as writer:
            assert filled.path.read_bytes() == whole[:kept]
            assert len(writer.stored) == 2
            if cut % 50 == 0:
                assert writer.append(stored(2))
                assert filled.path.read_bytes() == whole


def test_a_missing_last_newline_costs_nothing(filled):
    whole = filled.path.read_bytes()
    filled.path.write_bytes(whole[:-1])
    assert len(filled.read()) == 3
    with Writer(filled) as writer:
        assert not writer.append(stored(2))
    assert filled.path.read_bytes() == whole


def test_a_line_cut_by_another_process_is_mended_before_appending(filled):
    whole = filled.path.read_bytes()
    with Writer(filled) as writer:
        with filled.path.open("ab") as other:
            other.write(whole[:70])
        writer.append(stored(3))
    assert [record["seed"] for record in filled.read()] == [0, 1, 2, 3]


@pytest.mark.parametrize("line", [1, 2, 3])
def test_a_damaged_line_is_named(filled, line):
    lines = filled.path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b'"params"', b'"par\xff')
    filled.path.write_bytes(b"".join(lines))
    refuses(filled, rf"toy\.walk\.live\.jsonl:{line}: not a line of JSON")


def test_damage_before_a_cut_line_is_named_and_nothing_is_mended(filled):
    whole = filled.path.read_bytes()
    filled.path.write_bytes(whole.replace(b'"seed": 0', b'"seed": ?')[:-20])
    refuses(filled, r"jsonl:1: not a line of JSON")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "not a line of JSON"),
        ("<<<<<<< HEAD", "not a line of JSON .*<<<<<<< HEAD"),
        ("[1, 2]", "not a stored trial: it must hold experiment, params, provenance, scale, seed"),
        ('{"a": 1}', "not a stored trial"),
        (json.dumps(stored(1, experiment="toy.other")), "a trial of toy.other at live scale, in a file of toy.walk"),
        (json.dumps(stored(1, scale="full")), "a trial of toy.walk at full scale, in a file of .* at live"),
        (json.dumps(stored(1, error={"type": "E"})), "either values or error"),
        (json.dumps({k: v for k, v in stored(1).items() if k != "values"}), "either values or error"),
        (json.dumps(stored(1, seed="one")), "seed must be a whole number; got 'one'"),
        (json.dumps(stored(1, params=[2])), r"params must be an object; got \[2\]"),
    ],
)
def test_a_foreign_line_is_named(filled, line, message):
    with filled.path.open("a") as handle:
        handle.write(line + "\n" + json.dumps(stored(5)) + "\n")
    refuses(filled, f"jsonl:4: .*{message}")


@pytest.mark.parametrize(
    "content", [b"seed,loss\n0,1.0\n", b"\x89PNG\r\n\x1a\n", b"no newline at all", b"\0\0\0\0", b"\n"]
)
def test_a_foreign_file_is_refused(file, content):
    file.path.write_bytes(content)
    refuses(file, r"toy\.walk\.live\.jsonl:1: ")


def test_a_sound_file_is_read_without_its_lock(filled):
    filled.lock = None
    assert len(filled.read()) == 3
    filled.path.write_bytes(b"")
    assert filled.read() == []


@pytest.mark.parametrize("error", [PermissionError("read-only"), Timeout("the lock")], ids=["read-only", "held"])
def test_a_cut_line_is_told_also_where_the_lock_cannot_be_had(filled, error):
    class Refused:
        def acquire(self, timeout):
            assert timeout < 60  # no reader waits for long
            raise error

    filled.path.write_bytes(filled.path.read_bytes()[:-9])
    filled.lock = Refused()
    with pytest.raises(ResultsError, match="the last line is cut short"):
        filled.read()


def test_what_went_wrong_first_is_told(filled, monkeypatch):
    """A disk that fails at the end hides no error from inside the block."""

    def broken(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(NotWritten, match="Input/output error"), Writer(filled):
        pass
    with pytest.raises(KeyError, match="mine"), Writer(filled):
        raise KeyError("mine")


def test_an_empty_file_holds_nothing(file):
    file.path.touch()
    assert file.read() == []


def test_a_success_is_stored_once_and_outlives_errors(file):
    failed = stored(0, error={"type": "E"})
    del failed["values"]
    with Writer(file) as writer:
        assert writer.append(failed)
        assert writer.append(stored(0))
        assert not writer.append(stored(0, {"x": 7.0}))
        assert not writer.append(failed)
    assert list(settled(file.read()).values()) == [stored(0)]
    assert list(settled([stored(0), failed]).values()) == [stored(0)]
    assert list(settled([stored(0), stored(0, {"x": 7.0})]).values()) == [stored(0)]


def test_a_writer_sees_what_another_stores(file):
    with Writer(file) as first, Writer(file) as second:
        assert first.append(stored(0))
        assert not second.append(stored(0))
        assert second.append(stored(1))
        assert not first.append(stored(1))
        assert first.stored.keys() == second.stored.keys() == {key(stored(0)), key(stored(1))}


def test_the_first_of_two_writers_knows_that_it_is_and_makes_the_folder(tmp_path):
    file = ResultsFile(tmp_path / "two" / "levels", "toy.walk", "live")
    before = Writer(file).first
    with Writer(file) as one, Writer(file) as other:
        assert (before, one.first, other.first) == (False, True, False)
        assert other.append(stored(0))
    with Writer(file) as again:
        assert again.first is True


def test_a_writer_lets_go_of_a_lock_that_an_interrupt_has_left_behind(filled):
    with Writer(filled) as writer:
        for lock in (filled.lock, filled.lock, writer._claim):
            lock.acquire()
    assert not filled.lock.is_locked and not writer._claim.is_locked


def test_a_writer_reads_no_line_twice(filled, monkeypatch):
    sizes, parse = [], ResultsFile.parse

    def watched(self, content, *first):
        sizes.append(len(content))
        return parse(self, content, *first)

    monkeypatch.setattr(ResultsFile, "parse", watched)
    before = filled.path.stat().st_size
    with Writer(filled) as writer:
        writer.append(stored(3, {"x": 1.0}))
        added = filled.path.stat().st_size - before
        writer.append(stored(4, {"x": 2.0}))
    assert sizes == [before, 0, added, 0, filled.path.stat().st_size - before - added]


def test_a_writer_names_the_line_that_another_has_damaged(filled):
    with Writer(filled) as writer:
        writer.append(stored(3))
        with filled.path.open("ab") as other:
            other.write(b"junk\n")
        with pytest.raises(ResultsError, match=r"jsonl:5: not a line of JSON"):
            writer.append(stored(4))
        filled.path.write_bytes(filled.path.read_bytes().splitlines(keepends=True)[0] + b"junk\n")
        with pytest.raises(ResultsError, match=r"jsonl:2: not a line of JSON"):
            writer.append(stored(4))


def test_a_writer_copes_with_a_replaced_file(filled):
    with Writer(filled) as writer:
        filled.path.write_bytes(filled.path.read_bytes().splitlines(keepends=True)[0])
        assert writer.append(stored(2))
    assert [record["seed"] for record in filled.read()] == [0, 2]


def test_a_writer_copes_with_a_newline_that_was_taken_away(filled):
    with Writer(filled) as writer:
        filled.path.write_bytes(filled.path.read_bytes()[:-1])
        assert writer.append(stored(3))
    assert [record["seed"] for record in filled.read()] == [0, 1, 2, 3]


def test_a_line_is_forced_onto_the_disk_when_it_is_time_and_at_the_end(filled, monkeypatch):
    forced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: forced.append(os.fstat(descriptor).st_size))
    monkeypatch.setattr(store, "SYNC_SECONDS", 3600.0)
    with Writer(filled) as writer:
        writer.append(stored(3))
        assert forced == []
        monkeypatch.setattr(store, "SYNC_SECONDS", -1.0)
        for seed in (4, 5):
            writer.append(stored(seed))
            assert forced[-1] == filled.path.stat().st_size
    assert len(forced) == 3


def test_a_full_disk_leaves_no_part_of_a_line(filled, monkeypatch):
    before = filled.path.read_bytes()

    class Full:
        def __init__(self, handle):
            self.handle = handle

        def truncate(self, size):
            return self.handle.truncate(size)

        def write(self, line):
            self.handle.write(line[:30])
            raise OSError(28, "No space left on device")

    write = Writer._write
    monkeypatch.setattr(Writer, "_write", lambda self, handle, line: write(self, Full(handle), line))
    with Writer(filled) as writer, pytest.raises(OSError, match="No space left"):
        writer.append(stored(3))
    assert filled.path.read_bytes() == before


def test_a_record_of_another_experiment_is_not_appended(filled):
    with Writer(filled) as writer, pytest.raises(ValueError, match="must begin with"):
        writer.append(stored(4, experiment="toy.other"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_reading_needs_no_right_to_write(filled):
    os.chmod(filled.path.parent, 0o555)
    try:
        assert len(filled.read()) == 3
    finally:
        os.chmod(filled.path.parent, 0o755)
