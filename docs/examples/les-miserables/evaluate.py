"""Measures a prediction of how often two characters of Les Misérables meet. No experiment may change this file."""

import networkx
import numpy as np

HELD_OUT = 0.25  # share of the pairs


def split():
    """Training pairs, held-out pairs, and the number of characters.

    Each of the first two is (pairs, meetings): int (n, 2), and float (n,), log(1 + count). The data is from networkx.
    """
    graph = networkx.convert_node_labels_to_integers(networkx.les_miserables_graph(), ordering="sorted")
    pairs = np.array(sorted(graph.edges))
    meetings = np.log1p([float(graph.edges[pair]["weight"]) for pair in pairs.tolist()])
    is_held = np.random.default_rng(1862).random(len(pairs)) < HELD_OUT  # the same in every run
    return (pairs[~is_held], meetings[~is_held]), (pairs[is_held], meetings[is_held]), len(graph)


def rmse(predict, held):
    """The error of log(1 + count) on the held-out pairs."""
    pairs, meetings = held
    return float(np.sqrt(np.mean((predict(pairs) - meetings) ** 2)))
