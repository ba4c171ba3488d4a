"""Ideas: optimizer."""

from functools import partial

from lab.catalog import structure
from lab.catalog.ideas.snippets import MUON_SIZE

idea = partial(structure.idea, "optimizer")

IDEAS = (
    idea(
        "polar-express",
        "orthogonalize with the coefficients of Polar Express, which differ from step to step",
        (0.15, 0.3),
        ("(x / (x.norm(", "(x / (1.02 * x.norm("),
        (
            "    for _ in range(NEWTON_SCHULZ_STEPS):\n",
            "    for linear, cubic, quintic in (  # the best polynomial for each step\n"
            "        (8.1566, -22.4833, 15.8788),\n"
            "        (4.0429, -2.8089, 0.5000),\n"
            "        (3.8917, -2.7725, 0.5061),\n"
            "        (3.2858, -2.3681, 0.4645),\n"
            "        (2.3465, -1.7098, 0.4232),\n"
            "    ):\n",
        ),
        ("3.4445 * x + (2.0315 * a @ a - 4.7750 * a) @ x", "linear * x + (quintic * a @ a + cubic * a) @ x"),
        without=("NEWTON_SCHULZ_STEPS",),
    ),
    idea(
        "no-nesterov",
        "orthogonalize the plain momentum instead of Nesterov's in Muon",
        (0.1, 0.1),
        ("Nesterov momentum, orthogonalized", "Momentum, orthogonalized"),
        ("orthogonalize(gradient.lerp(self.mean, momentum))", "orthogonalize(self.mean)"),
    ),
    idea(
        "slow-momentum",
        "add a mean of the last 100 gradients to the momentum that Muon orthogonalizes",
        (0.15, 0.15),
        (
            "        self.mean = torch.zeros_like(torch.stack(self.matrices))\n",
            "        self.mean = torch.zeros_like(torch.stack(self.matrices))\n"
            "        self.slow_mean = torch.zeros_like(self.mean)\n",
        ),
        (
            "        update = orthogonalize(gradient.lerp(self.mean, momentum))\n",
            "        self.slow_mean.lerp_(gradient, 0.01)\n"
            "        update = orthogonalize(gradient.lerp(self.mean, momentum) + self.slow_mean)\n",
        ),
    ),
    idea(
        "momentum-cool-down",
        "return Muon's momentum to its start value in the last tenth of the run",
        (0.15, 0.2),
        ("max(0, 1 - self.steps / MOMENTUM_WARMUP)", "max(0, 1 - self.steps / MOMENTUM_WARMUP, 10 * progress - 9)"),
    ),
    idea(
        "equal-sizes",
        "scale Muon's updates of both MLP matrices equally, which doubles the second one's",
        (0.1, 0.15),
        (MUON_SIZE, "        update *= (max(update.shape[1:]) / min(update.shape[1:])) ** 0.5\n"),
    ),
    idea(
        "incautious-decay",
        "decay all weights of Muon, not only those that the update shrinks too",
        (0.15, 0.01),
        ("; falls to 0; only where the update shrinks the weight too", "; falls to 0"),
        (" * (change * matrix > 0))", ")"),
    ),
    idea(
        "constant-decay",
        "keep the weight decay of Muon constant instead of letting it fall to 0",
        (0.15, 0.02),
        ("times the learning rate; falls to 0; only", "times the learning rate; only"),
        ("WEIGHT_DECAY * (1 - progress)", "WEIGHT_DECAY"),
    ),
    idea(
        "gradient-clipping",
        "clip the norm of the gradient to 0.2",
        (0.1, 0.03),
        (
            "    multiplier = lr_multiplier(progress)\n    for optimizer",
            "    multiplier = lr_multiplier(progress)\n"
            "    nn.utils.clip_grad_norm_(model.parameters(), 0.2)\n    for optimizer",
        ),
    ),
    idea(
        "nadam",
        "give AdamW Nesterov's momentum (NAdam)",
        (0.25, 0.2),
        ("addcdiv_(mean, scale", "addcdiv_(mean.lerp(parameter.grad, 1 - beta1), scale"),
    ),
    idea(
        "cautious-adamw",
        "skip the parts of AdamW's updates whose sign differs from the gradient's",
        (0.15, 0.15),
        ("addcdiv_(mean, scale", "addcdiv_(mean * (mean * parameter.grad > 0), scale"),
    ),
    idea(
        "lazy-adamw",
        "let AdamW skip rows without a gradient, which are tokens outside of the batch",
        (0.1, 0.15),
        (
            "            mean.lerp_(parameter.grad, 1 - beta1)\n",
            "            seen = (parameter.grad != 0).any(dim=-1, keepdim=True)\n"
            "            mean.lerp_(parameter.grad, (1 - beta1) * seen)\n",
        ),
        (
            "square.lerp_(parameter.grad.square(), 1 - beta2)",
            "square.lerp_(parameter.grad.square(), (1 - beta2) * seen)",
        ),
        ("addcdiv_(mean, scale", "addcdiv_(mean * seen, scale"),
    ),
    idea(
        "row-adamw",
        "divide AdamW's updates by the running RMS of a row instead of each weight's",
        (0.1, 0.15),
        ("square.lerp_(parameter.grad.square(), ", "square.lerp_(parameter.grad.square().mean(-1, keepdim=True), "),
    ),
    idea(
        "adamax",
        "divide AdamW's updates by a decaying maximum of the gradient instead of its RMS (AdaMax)",
        (0.1, 0.1),
        ("self.squares = [torch.zeros_like(parameter) ", "self.largest = [torch.zeros_like(parameter) "),
        (
            "for parameter, mean, square in zip(self.parameters, self.means, self.squares)",
            "for parameter, mean, largest in zip(self.parameters, self.means, self.largest)",
        ),
        (
            "            square.lerp_(parameter.grad.square(), 1 - beta2)\n"
            "            scale = (square / (1 - beta2**self.steps)).sqrt_().add_(1e-10)\n",
            "            torch.maximum(largest * beta2, parameter.grad.abs(), out=largest)\n"
            "            scale = largest + 1e-10\n",
        ),
    ),
    idea(
        "muon-for-the-unembedding",
        "train the unembedding by Muon too, at twice the rate",
        (0.1, 0.1),
        (
            "        AdamW([model.unembedding.weight], UNEMBEDDING_LR, UNEMBEDDING_WEIGHT_DECAY),\n",
            "        Muon([model.unembedding.weight], 2 * MATRIX_LR),\n",
        ),
        without=("UNEMBEDDING_LR", "UNEMBEDDING_WEIGHT_DECAY"),
    ),
    idea(
        "weight-average",
        "evaluate the mean of the weights over the last twentieth of the run",
        (0.15, 0.15),
        (
            "clock = Clock()\nstep = 0\n",
            "averages = [parameter.detach().clone() for parameter in model.parameters()]\n"
            "averaged = 0\n"
            "clock = Clock()\nstep = 0\n",
        ),
        (
            "    step += 1\n",
            "    if progress > 0.95:\n"
            "        averaged += 1\n"
            "        for average, parameter in zip(averages, model.parameters()):\n"
            "            average.lerp_(parameter.detach(), 1 / averaged)\n"
            "    step += 1\n",
        ),
        (
            "val_bpb = evaluate_bpb(",
            "if averaged:\n"
            "    for average, parameter in zip(averages, model.parameters()):\n"
            "        parameter.data = average\n"
            "val_bpb = evaluate_bpb(",
        ),
    ),
)
