"""Ideas: optimizer."""

from functools import partial

from lab.catalog.ideas.snippets import MUON_SIZE
from lab.catalog.structure import Idea

idea = partial(Idea, "optimizer")

IDEAS = (
    idea(
        name="polar-express",
        chance=0.15,
        chance_full=0.3,
        description="orthogonalize by the coefficients of Polar Express, which differ from step to step",
        snippets=(
            ("(x / (x.norm(", "(x / (1.02 * x.norm("),
            (
                "    for _ in range(NEWTON_SCHULZ_STEPS):\n",
                "    for linear, cubic, quintic in (  # the best polynomial for what the steps before leave\n"
                "        (8.1566, -22.4833, 15.8788),\n"
                "        (4.0429, -2.8089, 0.5000),\n"
                "        (3.8917, -2.7725, 0.5061),\n"
                "        (3.2858, -2.3681, 0.4645),\n"
                "        (2.3465, -1.7098, 0.4232),\n"
                "    ):\n",
            ),
            ("3.4445 * x + (2.0315 * a @ a - 4.7750 * a) @ x", "linear * x + (quintic * a @ a + cubic * a) @ x"),
        ),
        without=("NEWTON_SCHULZ_STEPS",),
    ),
    idea(
        name="no-nesterov",
        chance=0.1,
        description="orthogonalize the plain momentum instead of Nesterov's in Muon",
        snippets=(
            ("Nesterov momentum, orthogonalized", "Momentum, orthogonalized"),
            ("orthogonalize(gradient.lerp(self.mean, momentum))", "orthogonalize(self.mean)"),
        ),
    ),
    idea(
        name="slow-momentum",
        chance=0.15,
        description="add a mean of the last 100 gradients to the momentum that Muon orthogonalizes",
        snippets=(
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
    ),
    idea(
        name="momentum-cool-down",
        chance=0.15,
        chance_full=0.2,
        description="let Muon's momentum fall back to what it was at the start in the last tenth of the run",
        snippets=(
            ("max(0, 1 - self.steps / MOMENTUM_WARMUP)", "max(0, 1 - self.steps / MOMENTUM_WARMUP, 10 * progress - 9)"),
        ),
    ),
    idea(
        name="equal-sizes",
        chance=0.1,
        chance_full=0.15,
        description="scale Muon's updates of both of the MLP's matrices alike, the last one's doubled",
        snippets=((MUON_SIZE, "        update *= (max(update.shape[1:]) / min(update.shape[1:])) ** 0.5\n"),),
    ),
    idea(
        name="incautious-decay",
        chance=0.15,
        chance_full=0.01,
        description="decay all weights of Muon, not only those that the update shrinks, too",
        snippets=(
            ("; falls to 0, and acts where the update shrinks the weight, too", "; falls to 0"),
            (" * (change * matrix > 0))", ")"),
        ),
    ),
    idea(
        name="constant-decay",
        chance=0.15,
        chance_full=0.02,
        description="keep the weight decay of Muon constant instead of letting it fall to 0",
        snippets=(
            ("times the learning rate; falls to 0, and acts", "times the learning rate; acts"),
            ("WEIGHT_DECAY * (1 - progress)", "WEIGHT_DECAY"),
        ),
    ),
    idea(
        name="gradient-clipping",
        chance=0.1,
        chance_full=0.03,
        description="clip the norm of the gradient to 0.2",
        snippets=(
            (
                "    multiplier = lr_multiplier(progress)\n    for optimizer",
                "    multiplier = lr_multiplier(progress)\n"
                "    nn.utils.clip_grad_norm_(model.parameters(), 0.2)\n    for optimizer",
            ),
        ),
    ),
    idea(
        name="nadam",
        chance=0.25,
        chance_full=0.2,
        description="give AdamW Nesterov's momentum (NAdam)",
        snippets=(("addcdiv_(mean, scale", "addcdiv_(mean.lerp(parameter.grad, 1 - beta1), scale"),),
    ),
    idea(
        name="cautious-adamw",
        chance=0.15,
        description="leave out the parts of AdamW's updates that the gradient speaks against",
        snippets=(("addcdiv_(mean, scale", "addcdiv_(mean * (mean * parameter.grad > 0), scale"),),
    ),
    idea(
        name="lazy-adamw",
        chance=0.1,
        chance_full=0.15,
        description="let AdamW pass over the rows without a gradient: tokens that are not in the batch",
        snippets=(
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
    ),
    idea(
        name="row-adamw",
        chance=0.1,
        chance_full=0.15,
        description="divide AdamW's updates by the running RMS of a row instead of that of each weight",
        snippets=(
            ("square.lerp_(parameter.grad.square(), ", "square.lerp_(parameter.grad.square().mean(-1, keepdim=True), "),
        ),
    ),
    idea(
        name="adamax",
        chance=0.1,
        description="divide AdamW's updates by a decaying maximum of the gradient instead of its RMS (AdaMax)",
        snippets=(
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
    ),
    idea(
        name="muon-for-the-unembedding",
        chance=0.1,
        description="train the unembedding by Muon, too, at twice the rate",
        snippets=(
            (
                "        AdamW([model.unembedding.weight], UNEMBEDDING_LR, UNEMBEDDING_WEIGHT_DECAY),\n",
                "        Muon([model.unembedding.weight], 2 * MATRIX_LR),\n",
            ),
        ),
        without=("UNEMBEDDING_LR", "UNEMBEDDING_WEIGHT_DECAY"),
    ),
    idea(
        name="weight-average",
        chance=0.15,
        description="evaluate the mean of the weights over the last twentieth of the run",
        snippets=(
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
    ),
)
