import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_library_example_runs_and_gives_what_it_says():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(example, names)
    gate, prompts = names["gate"], names["prompts"]
    assert gate.shape == (1000, 41)
    assert gate[:, 0].min() > 0.499
    assert names["scaled"](prompts).shape == (1000, 41)


def test_every_picture_and_file_that_it_names_is_there():
    for path in re.findall(r"\]\(([^)#]+)\)", README):
        assert (Path(__file__).parent.parent / path).exists(), path
