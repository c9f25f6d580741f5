"""Training: one loop for every defence, resumable, on a CPU, a GPU or several processes.

Each epoch visits the data in a fresh order. For each batch the defence crafts what the network is to see, with
the model in eval mode, and the optimiser then takes one step in train mode.

Nothing is drawn from torch's global generators, and they are left as they were found.

``loop`` has :func:`fit` with its epochs and batches, ``defences`` what a network sees in place of a clean batch,
``processes`` training by several of them, ``checkpoints`` the files that a run goes on from.
"""

from advnb.training.checkpoints import CheckpointError
from advnb.training.defences import Curriculum, Defence, Dynamic, FGSMThenPGD, Standard, Unsecured
from advnb.training.loop import Diverged, fit

__all__ = [
    "CheckpointError", "Curriculum", "Defence", "Diverged", "Dynamic", "FGSMThenPGD", "Standard", "Unsecured", "fit",
]  # fmt: skip
