"""Trains a small network, fine-tunes it, measures what it forgot, and prints a part of the table.

python examples/one_run.py          the preset `smoke`, under a minute
python examples/one_run.py demo     another preset, or a TOML file with the fields that differ from `demo`
"""

import sys

import implicit_inference as ii

run = ii.run(sys.argv[1] if len(sys.argv) > 1 else "smoke")

loss = run.table.query("quantity == 'loss' and split == 'report' and conjugation == 'identity' and position >= 0")
by_exemplars = loss.pivot_table(index=["family", "predictor"], columns="position", values="mean")  # over seeds
print(by_exemplars.round(3).to_string())

forgetting = run.summary["forgetting"]
print(f"forgetting: {forgetting['mean']:.3f} ± {forgetting['stderr']:.3f} (standard error over seeds)")
print(f"everything else: {run.directory}")
