"""One training run."""

import os
import time

import yaml
from evaluate import rmse, split
from model import fit

with open("config.yaml") as file:
    config = yaml.safe_load(file)
(pairs, meetings), held, people = split()
began = time.perf_counter()
predict = fit(pairs, meetings, people, config, seed=int(os.environ.get("SEED", 42)))
print(f"fit_seconds: {time.perf_counter() - began:.3f}")
print(f"val_rmse: {rmse(predict, held):.6f}")
