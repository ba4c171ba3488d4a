"""The model: each character has a number and a vector. Sum and product of two predict how often they meet."""

import numpy as np


def fit(pairs, meetings, people, config, seed):
    """Fit by gradient descent; return a function from pairs to predictions."""
    vectors = np.random.default_rng(seed).normal(0, 0.5, (people, config["rank"]))
    own, mean = np.zeros(people), meetings.mean()
    a, b = pairs.T
    for _ in range(config["steps"]):
        error = (mean + own[a] + own[b] + (vectors[a] * vectors[b]).sum(1) - meetings)[:, None]
        slope = config["decay"] * vectors
        np.add.at(slope, a, error * vectors[b])
        np.add.at(slope, b, error * vectors[a])
        of_own = config["decay"] * own
        np.add.at(of_own, a, error[:, 0])
        np.add.at(of_own, b, error[:, 0])
        vectors -= config["rate"] * slope
        own -= config["rate"] * of_own
    return lambda pairs: mean + own[pairs].sum(1) + (vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(1)
