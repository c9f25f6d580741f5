"""What the audit can find: each flag with what raises it, what it means, and what to do, as data in one place.

The page and the tests read them from here. They follow the checklists of the literature: Athalye, Carlini and Wagner
(2018) on obfuscated gradients, Carlini et al. (2019) on evaluating robustness, Croce and Hein (2020) on AutoAttack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FLAGS", "Flag"]


@dataclass(frozen=True)
class Flag:
    """One fault that the audit looks for; it is raised if what is ``measured`` exceeds the ``limit``.

    ``about`` says where to look first. ``means`` is what is wrong then, ``do`` what helps.
    """

    name: str
    about: Literal["model", "data", "attack"]
    measured: str
    limit: float
    means: str
    do: str

    @property
    def raised_if(self) -> str:
        """What raises the flag, as one sentence."""
        return f"{self.measured} exceeds {self.limit:g}"


FLAGS = {one.name: one for one in (
    Flag(
        "train-mode", "model",
        "the number of the model's parts in train mode", 0,
        "BatchNorm mixes the examples of a batch, and dropout draws a new network at each step: the number is that of "
        "none of the networks that will be used. The rest of the audit is made in eval mode.",
        "Call model.eval() before the evaluation.",
    ),
    Flag(
        "random-output", "model",
        "the relative difference of outputs or gradients in two calls on one batch, over the root of the precision,", 1,
        "Each step of the attack follows the gradient of another network, and one forward pass is no verdict.",
        "Attack and judge the mean over many draws (expectation over transformation), or switch the randomness off.",
    ),
    Flag(
        "batch-dependence", "model",
        "the relative difference of outputs or gradients in half of the batch and in all of it, over the root of the "
        "precision,", 1,
        "The examples of a batch see each other, as through BatchNorm in train mode: robustness depends on who stands "
        "beside.",
        "Find the layer that normalises over the batch, and let it use stored statistics.",
    ),
    Flag(
        "stale-normalisation", "model",
        "the distance, in some BatchNorm layer, of the stored mean from that of x in stored standard deviations, or of "
        "the logarithms of the two deviations,", 1,
        "The running statistics belong to other weights or to other data: this network was never trained.",
        "Compute the statistics again on training data, or load the buffers that belong to the weights.",
    ),
    Flag(
        "pixel-units", "data",
        "the gain in accuracy if x is multiplied or divided by 255", 0.2,
        "The model was trained in other units than those of x.",
        "Scale x to [0, 1], and put all normalisation inside the model.",
    ),
    Flag(
        "eps-units", "data",
        "one grey level (a 255th of the range of x, if that is more than 16) over eps", 1,
        "The examples are in grey levels and eps is in pixels of [0, 1]: no pixel can move by a single level.",
        "Give eps in the units of x, or divide x by 255.",
    ),
    Flag(
        "labels", "data",
        "the gain in accuracy from numbering the classes in another way, if more than half are right then,", 0.2,
        "The labels are shifted or permuted: a good model looks wrong, and an attack finds nothing to do.",
        "Compare the order of the classes in the data and in the model.",
    ),
    Flag(
        "clean-accuracy", "data",
        "chance level less the lower end of the 95 percent interval of the clean accuracy", 0,
        "A model that guesses before any attack has no robustness to measure.",
        "Check weights, labels and preprocessing before any attack.",
    ),
    Flag(
        "probabilities", "model",
        "the share of outputs that are nowhere negative and sum to one", 0.5,
        "The model returns softmax outputs, and the loss takes the softmax again: its gradient is small, and vanishes "
        "where the model is sure.",
        "Return the logits, from before the softmax.",
    ),
    Flag(
        "clipped-logits", "model",
        "the share of largest logits that are equal to the largest of all", 0.25,
        "The logits are clipped, and no gradient passes a clipped logit.",
        "Attack the model without the clipping, and judge the examples on the whole model.",
    ),
    Flag(
        "piecewise-constant", "model",
        "the share of outputs that stay bit for bit when all pixels move by a small part of eps", 0.5,
        "The input is quantised, or the model consists of thresholds: its gradient is zero, or an invention.",
        "Attack through a smooth stand-in for that step (BPDA), and without gradients.",
    ),
    Flag(
        "no-gradient", "model",
        "the share of outputs that have no graph back to x", 0,
        "The graph is cut (torch.no_grad, detach, numpy inside the model), so no first-order attack can run at all.",
        "Keep the graph, or judge by attacks without gradients alone and say so.",
    ),
    Flag(
        "dead-gradient", "model",
        "the share of examples, of those that are right, where the gradients of loss and margin are exactly zero", 0.1,
        "No first-order attack can move there, and FOSC is zero although nothing has been maximised.",
        "Look for a layer without slope, and attack without gradients.",
    ),
    Flag(
        "saturated-loss", "model",
        "the share of examples, of those that are right, where the gradient of the loss is exactly zero, and that of "
        "the margin is not", 0.1,
        "The logits are so large that the loss underflows: the attack is stopped by arithmetic, not by robustness.",
        "Attack the margin (cw, or pgd with loss='margin'), or in float64.",
    ),
    Flag(
        "wrong-gradient", "model",
        "the distance of small differences of the margin from what its gradient foretells, over their sum,",
        0.2,
        "Autograd does not differentiate the function that classifies: a part of the graph is detached, a backward of "
        "its own stands in it, or the model jumps.",
        "Find that part; attack through a smooth stand-in, and without gradients.",
    ),
    Flag(
        "outside", "attack",
        "the share of adversarial examples that lie outside the ball or the box", 0,
        "The attack solves another problem, so that its success counts for nothing.",
        "Project onto ball and box after every step, in the units of x.",
    ),
    Flag(
        "loss-falls", "attack",
        "the share of examples, of those that are right, whose loss the attack lowers", 0.1,
        "The attack goes the wrong way: a sign error, a targeted loss for an untargeted one, or labels of others.",
        "Print the loss along the attack: it must rise.",
    ),
    Flag(
        "early-return", "attack",
        "the share of examples that come back bit for bit as they went in, and are broken by an attack of the audit,",
        0.05,
        "The attack skips them: a return inside the loop over batches, or a mask that is never filled.",
        "Count the examples that the attack has moved.",
    ),
    Flag(
        "short-reach", "attack",
        "one less the way that the attack can go, or has gone with an example that only the audit breaks, over the way "
        "to the edge of the ball", 0.1,
        "Most of the ball was never searched: steps times step size is less than eps.",
        "Let the sizes of the steps sum to at least twice eps.",
    ),
    Flag(
        "unfinished", "attack",
        "the share of examples that are broken by going on, with steps of the audit, from where the attack has ended",
        0.05,
        "The attack stops before it is done: too few steps, a loop left early, or steps too short.",
        "Take more steps until nothing changes, and look at FOSC at the end.",
    ),
    Flag(
        "start-dependence", "attack",
        "the accuracy that the audit's attack leaves from one start, less that from all starts together,", 0.05,
        "The loss has several local maxima in the ball, and one start finds a poor one.",
        "Restart several times, and count an example as broken if any start breaks it.",
    ),
    Flag(
        "more-steps-weaker", "attack",
        "the accuracy that four times the steps leave, less that of the steps themselves,", 0.05,
        "A stronger attack must not do worse: the gradient does not lead where it should.",
        "Look for masked gradients.",
    ),
    Flag(
        "larger-ball-weaker", "attack",
        "the accuracy left in a ball of twice the radius, less that in the ball itself,", 0.05,
        "The larger ball contains the smaller one, and the attack does not use what it has.",
        "Look for masked gradients, and scale the steps with eps.",
    ),
    Flag(
        "unbounded", "attack",
        "the accuracy, as a multiple of chance level, left in a ball that holds every input", 0.5,
        "Any input may be put in place of any other, so nothing can be robust: the attack has failed.",
        "Look for masked gradients before any number is believed.",
    ),
    Flag(
        "gradient-free-wins", "attack",
        "the accuracy left by the best attack that knows the gradient, less that by noise, a search without gradients "
        "or an attack on another model,", 0.05,
        "An attack that knows less must not do better: the gradients are masked.",
        "Report the stronger one, and look for what masks the gradient.",
    ),
    Flag(
        "overstated", "attack",
        "the accuracy that the attack leaves, less that of all attacks of the audit together,", 0.1,
        "The number is an upper bound, and a loose one.",
        "Report the worst case over several attacks, AutoAttack among them.",
    ),
)}  # fmt: skip
"""All flags by name, in the order in which the audit looks."""
