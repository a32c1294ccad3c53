import re
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import implicit_inference as ii

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_library_example_runs_and_gives_what_it_says():
    example, main_job = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(example, names)
    calls = {
        name: create_autospec(getattr(ii, name)) for name in ("run", "sweep", "load")
    }  # refuse arguments that are not there
    exec(main_job, {"ii": SimpleNamespace(**calls)})
    assert all(call.called for call in calls.values())
    gate, prompts = names["gate"], names["prompts"]
    assert gate.shape == (1000, 41)
    assert gate[:, 0].min() > 0.499
    assert names["scaled"](prompts).shape == (1000, 41)


def test_every_picture_and_file_that_it_names_is_there():
    for path in re.findall(r"\]\(([^)#]+)\)", README):
        assert (Path(__file__).parent.parent / path).exists(), path
