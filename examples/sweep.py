"""Plots the forgetting against the number of tasks that fine-tuning shows.

python examples/sweep.py            from the preset `smoke`, two minutes
python examples/sweep.py demo       from another preset, or a TOML file with the fields that differ from `demo`
"""

import sys

import matplotlib.pyplot as plt

import implicit_inference as ii

source = sys.argv[1] if len(sys.argv) > 1 else "smoke"
table = ii.sweep(source, {"tasks.n_discrete": [2, 4, 8]})

loss = table.query(
    "quantity == 'loss' and split == 'report' and conjugation == 'identity'"
    " and family == 'gaussian' and predictor in ['pretrained', 'finetuned'] and position >= 1"
)
by_seed = loss.pivot_table(index=["tasks.n_discrete", "seed"], columns="predictor", values="mean")  # over positions
forgetting = (by_seed["finetuned"] - by_seed["pretrained"]).groupby("tasks.n_discrete")
mean, stderr = forgetting.mean(), forgetting.sem()
print(mean.to_string())

plt.errorbar(mean.index, mean, yerr=stderr, marker="o")
plt.xlabel("tasks in the discrete set")
plt.ylabel("forgetting on Gaussian prompts")
plt.savefig("forgetting.png")
