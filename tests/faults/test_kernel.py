"""A notebook's kernel is restarted while it computes the picture of a slider."""

import os
import time

import pytest

jupyter_client = pytest.importorskip("jupyter_client")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE = 120
CELL = """
import os, time
from advnb.book.explore import explore

def draw(ax, eps):
    if eps not in (1, 2):  # not one of the stored pictures
        with open(os.environ["BEGUN"], "a") as log:
            log.write("begun\\n")
        time.sleep(float(os.environ["TAKES"]))
    ax.plot([0, eps])

box = explore(draw, {"eps": [1, 2]}, alt="A line.", live={"eps": (0.0, 5.0)})
slider, picture = box.children[-1].children[1], box.children[-2]
"""


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    monkeypatch.setenv("BEGUN", str(tmp_path / "begun"))
    monkeypatch.setenv("TAKES", "600")
    manager = jupyter_client.KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=PATIENCE)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def ask(client, code, expression="None"):
    reply = client.execute_interactive(
        code, user_expressions={"asked": expression}, timeout=PATIENCE, output_hook=lambda _: None
    )
    assert reply["content"]["status"] == "ok", reply["content"]
    return reply["content"]["user_expressions"]["asked"]["data"]["text/plain"].strip("'\"")


def move(client, slider, value):
    """Move the slider as a browser does."""
    state = {"method": "update", "state": {"value": value}, "buffer_paths": []}
    client.shell_channel.send(client.session.msg("comm_msg", {"comm_id": slider, "data": state}))


def test_a_kernel_is_restarted_while_a_slider_computes(kernel, tmp_path, monkeypatch, row):
    manager, client = kernel
    slider = ask(client, CELL, "slider.comm.comm_id")
    move(client, slider, 3.5)
    end = time.monotonic() + PATIENCE
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    before = manager.provisioner.pid
    monkeypatch.setenv("TAKES", "0")
    manager.restart_kernel(now=True, env={**os.environ})
    client.wait_for_ready(timeout=PATIENCE)
    with pytest.raises(ProcessLookupError):  # the kernel led a group of processes: none of it is left
        os.killpg(before, 0)
    slider = ask(client, CELL, "slider.comm.comm_id")
    assert ask(client, "", "picture.value") == ""  # the stored pictures show
    move(client, slider, 3.5)
    assert "eps 3.5" in ask(client, "", "picture.value") and "<img" in ask(client, "", "picture.value")
    outcome = "no process of the old kernel is left; the cell shows its pictures again, and the slider computes"
    row("pages", "the kernel is restarted while a slider computes", 1, outcome, "", counted=True)
