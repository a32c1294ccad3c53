"""The scripts of experiments and figures, loaded as Python runs them."""

import importlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXPERIMENTS, FIGURES = ROOT / "experiments", ROOT / "figures"
NAMES = sorted(path.stem for path in EXPERIMENTS.glob("*.py") if "EXPERIMENT = " in path.read_text())
DRAWN = dict(re.findall(r'^    "(\w+)": \(\s*"(\w+)"', (FIGURES / "gallery.py").read_text(), re.MULTILINE))
"""figure -> experiment, of the gallery"""


def load(folder, name):
    """A script as Python runs it: its folder comes first, and nothing of the other folder is there."""
    for known, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").parent in (EXPERIMENTS, FIGURES):
            del sys.modules[known]
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
