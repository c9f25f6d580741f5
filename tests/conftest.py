"""Shared fixtures: small networks and a digits CNN that is trained once a session."""

from __future__ import annotations

import os
import signal

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch, as in the Makefile
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # so a shell starts what is to run in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

import hypothesis
import pytest
import torch
from torch import nn

from advnb.data import load
from advnb.models import digits_cnn
from advnb.training import Unsecured, fit

# For mutants: the same inputs each time, and nothing is made smaller once a test has failed.
hypothesis.settings.register_profile(
    "mutants", derandomize=True, database=None, phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate]
)


@pytest.fixture(autouse=True)
def committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs at every scale are stored, whether or not the checkout under test has uncommitted changes."""
    monkeypatch.setattr("advnb.experiments.runs.checkout", lambda: (None, ()))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def linear() -> nn.Module:
    """A linear three-class model on 2x2 images, in eval mode, with fixed weights."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, -2.0, 0.5, 0.0], [0.3, 0.1, -0.7, 0.2], [-1.0, 1.0, 0.4, -0.6]]))
        model[1].bias.zero_()
    return model.eval()


@pytest.fixture(scope="session")
def digits():
    return load("digits")


@pytest.fixture(scope="session")
def trained(digits) -> nn.Module:
    """A CNN fitted to clean digits for a few seconds."""
    model = digits_cnn(generator=torch.Generator().manual_seed(0))
    fit(model, digits, Unsecured(), epochs=5, lr=0.05, seed=0, progress=False)
    return model.eval()
