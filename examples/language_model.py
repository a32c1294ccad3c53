"""Asks a language model in a local directory: does it follow the examples in a prompt, or the instruction?

python examples/language_model.py DIR            config.json, model.safetensors and tokenizer.json lie in DIR
"""

import sys
from pathlib import Path

import pandas as pd

from implicit_inference.lm.models.directory import opened
from implicit_inference.lm.prompts import read
from implicit_inference.lm.scores import answers, encoded

model = opened(Path(sys.argv[1]))
prompts = read(None, n=4, draws=(0,))  # the prompts shipped, four items a pair
texts = [encoded(model, prompt) for prompt in prompts]
params = model.load("float32")

rows = [row for _, batch in answers(model.architecture, params, prompts, texts) for row in batch]
margins = pd.DataFrame(rows).pivot_table(index="conjugation", columns="family", values="margin", sort=False)
print("log p(answer of the examples) - log p(answer of the instruction), nats")
print(margins.round(2).to_string())
