"""`make portable` runs each step under each setting, tells what failed, and runs nothing it was not asked for."""

from __future__ import annotations

from types import SimpleNamespace

import portable
import pytest


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """What is run, as (arguments, environment); notebooks fail where ATEN_CPU_CAPABILITY is set."""
    made = []

    def run(command, *, cwd, env, stdout, stderr):
        made.append((command[1:], env))
        fails = command[1:] == portable.STEPS["notebooks"] and "ATEN_CPU_CAPABILITY" in env
        stdout.write("AVX2 x 2\n" if portable.SEES in command else "what the step said")
        return SimpleNamespace(returncode=1 if fails else 0)

    monkeypatch.setattr(portable.subprocess, "run", run)
    monkeypatch.setattr(portable, "LOGS", tmp_path / "logs")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    return made


def test_every_step_runs_under_every_setting_and_failures_are_told(calls, capsys):
    assert portable.main([]) == 1
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert table[0] == ["setting", "torch", "sees", "tests", "notebooks", "ledger", "verify"]
    assert [line[0] for line in table[1:-1]] == list(portable.SETTINGS)
    told = {line[0]: [cell for cell in line[1:] if cell in ("ok", "FAILED")] for line in table[1:-1]}
    assert told.pop("aten-default") == told.pop("aten-avx2") == ["ok", "FAILED", "ok", "ok"]
    assert set(map(tuple, told.values())) == {("ok", "ok", "ok", "ok")}
    assert len(calls) == len(portable.SETTINGS) * (1 + len(portable.STEPS))


def test_one_setting_and_one_step_can_be_run_alone(calls, capsys):
    assert portable.main(["threads-4", "--steps", "tests"]) == 0
    (_, variables), (step, same) = calls
    assert step == portable.STEPS["tests"] and same == variables
    assert variables["OMP_NUM_THREADS"] == "4" and "ATEN_CPU_CAPABILITY" not in variables
    assert "threads-4  AVX2 x 2" in capsys.readouterr().out
    assert (portable.LOGS / "threads-4.tests.log").read_text() == "what the step said"


def test_settings_can_be_combined_and_native_has_none(calls):
    portable.main(["onednn-sse41+threads-1", "native", "--steps", "ledger"])
    both, none = calls[1][1], calls[3][1]
    assert (both["ONEDNN_MAX_CPU_ISA"], both["OMP_NUM_THREADS"]) == ("SSE41", "1")
    assert portable.VARIABLES.isdisjoint(none)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sse5"], "no setting is named 'sse5'; there are: native, aten-default"),
        (["native+sse5"], "no setting is named 'sse5'"),
        (["native", "--steps", "browser"], "invalid choice: 'browser'"),
    ],
)
def test_what_there_is_not_is_refused_before_anything_runs(calls, capsys, words, message):
    with pytest.raises(SystemExit) as stop:
        portable.main(words)
    assert stop.value.code == 2 and message in capsys.readouterr().err and calls == []


def test_every_step_is_a_command_that_is_there():
    """The steps name files and commands of this repository, which may move."""
    from advnb.__main__ import _parser

    assert (portable.ROOT / "book").is_dir()
    assert portable.STEPS["verify"][0] == portable.__file__
    assert "claims" in _parser().format_help()
