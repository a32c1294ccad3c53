"""Parts of every figure: curves with bands over seeds, titles that state the setting, one legend."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from io import BytesIO

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from implicit_inference.config.fields import Config
from implicit_inference.measure.formulas import Estimate, Values, over_seeds
from implicit_inference.show.notation import Look


def curve(axes: Axes, look: Look, x: Sequence[float], values: Values) -> None:
    """Mean and band over seeds [S, x]."""
    estimates(axes, look, x, [over_seeds(column) for column in values.T])


def estimates(axes: Axes, look: Look, x: Sequence[float], estimates: Sequence[Estimate | None]) -> None:
    """A line with a band of one standard error; undefined estimates leave a gap, and none at all no legend."""
    if all(e is None or not np.isfinite(e.mean) for e in estimates):
        return
    mean = np.array([np.nan if e is None else e.mean for e in estimates])
    stderr = np.nan_to_num(np.array([np.nan if e is None else e.stderr for e in estimates]))
    axes.plot(x, mean, look.line, marker=look.marker, color=look.colour, label=look.label)
    axes.fill_between(x, mean - stderr, mean + stderr, color=look.colour, alpha=0.2, linewidth=0)


def titled(figure: Figure, title: str, config: Config, spread: str = "bands") -> Figure:
    tasks = config.tasks
    setting = (
        f"d={tasks.dim}, n={tasks.n_discrete}, σ={tasks.noise_std:g}, α={config.pretrain.discrete_prob:g}; "
        f"{count(len(config.seeds), 'seed')} × {config.probe.prompts} prompts; {spread}: ± 1 standard error over seeds"
    )
    figure.suptitle(f"{title}\n{setting}", x=0.01, ha="left", fontsize=11)
    return figure


def legend_below(figure: Figure) -> None:
    """One legend for all panels."""
    entries = {
        label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=3)


@contextmanager
def style() -> Iterator[None]:
    """The one style of all figures, from matplotlib's defaults: no settings of the user or the machine."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.style.use(str(files("implicit_inference.show") / "figures.mplstyle"))
        yield


def count(number: int, noun: str) -> str:
    """`1 seed`, `2 seeds`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def whole_ticks(axes: Axes) -> None:
    """Ticks the horizontal axis, which counts something, at whole numbers only."""
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def rendered(figure: Figure, kind: str) -> bytes:
    """The figure as a file of this kind, png or svg, the same bytes for the same figure."""
    picture = BytesIO()
    figure.savefig(picture, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return picture.getvalue()
