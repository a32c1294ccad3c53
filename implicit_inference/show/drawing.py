"""Parts of every figure: curves with bands over seeds, titles that state the setting, one legend."""

import contextlib
import logging
import os
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np

from implicit_inference.config.changes import value_of
from implicit_inference.config.errors import counted
from implicit_inference.config.fields import Config
from implicit_inference.measure.formulas import Estimate, Values, over_seeds
from implicit_inference.show.notation import Look, Notation, spread

PLAIN = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}


@contextlib.contextmanager
def _plain() -> Iterator[None]:
    """Keeps a user's backend and settings, which may not even be readable, from the import of matplotlib."""
    log, kept = logging.getLogger("matplotlib"), {name: os.environ.get(name) for name in PLAIN}
    level = log.level
    os.environ |= PLAIN
    log.setLevel(logging.ERROR)  # of caches that cannot be written
    try:
        with contextlib.ExitStack() as elsewhere:  # a matplotlibrc in the working directory comes before all others
            with contextlib.suppress(FileNotFoundError):  # nor is there one in a directory that is gone
                elsewhere.enter_context(contextlib.chdir(Path(__file__).parent))
            yield
    finally:
        log.setLevel(level)
        for name, value in kept.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


with _plain():
    import matplotlib.style
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

__all__ = ["Axes", "Figure"]


def curve(axes: Axes, look: Look, x: Sequence[float], values: Values) -> None:
    """Mean and band over seeds [S, x]."""
    estimates(axes, look, x, [over_seeds(column) for column in values.T])


def estimates(
    axes: Axes, look: Look, x: Sequence[float] | Values, estimates: Sequence[Estimate | None], shade: float = 0.2
) -> None:
    """A line with a band of one standard error; undefined estimates leave a gap, and all of them nothing.

    A point that has no neighbour, where no band would show, gets a bar. `shade` 0 leaves bands and bars out.
    """
    mean = np.array([np.nan if e is None else e.mean for e in estimates])
    if not drawable(mean):
        return
    stderr = np.nan_to_num(np.array([np.nan if e is None else e.stderr for e in estimates]))
    axes.plot(x, mean, look.line, marker=marker(look, mean), color=look.colour, label=look.label)
    axes.fill_between(x, mean - stderr, mean + stderr, color=look.colour, alpha=shade, linewidth=0)
    if shade and (alone := isolated(mean)).any():
        axes.errorbar(np.asarray(x)[alone], mean[alone], stderr[alone], fmt="none", ecolor=look.colour, elinewidth=1)


def drawable(values: Values) -> bool:
    """Tells whether a curve through these values would show anything: one that does not has no place in a legend."""
    return bool(np.isfinite(values).any())


def marker(look: Look, values: Values) -> str:
    """The look's marker; dots for a curve without one that has no two points in a row, which no line would show."""
    return look.marker or ("" if (np.isfinite(values) & ~isolated(values)).any() else "o")


def isolated(values: Values) -> np.ndarray:
    """Marks the values that are finite, and have no finite one beside them."""
    finite = np.pad(np.isfinite(values), 1)
    return finite[1:-1] & ~finite[2:] & ~finite[:-2]


def undefined(axes: Axes, why: str) -> None:
    """Says in a panel why nothing is drawn there but reference lines across it, if that is so."""
    drawn = np.isfinite(axes.dataLim.get_points()).all()
    if not (drawn or axes.texts or axes.get_legend_handles_labels()[1]):
        text = textwrap.fill(f"undefined: {why}", 40)
        axes.text(0.5, 0.5, text, fontsize=8, transform=axes.transAxes, ha="center", va="center")


def counts(axis: Axis, label: str) -> None:
    """Labels an axis that counts something: it has ticks at whole numbers only."""
    axis.set_label_text(label)
    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def titled(figure: Figure, title: str, config: Config, drawn: str = "bands") -> Figure:
    names = Notation.of(config)
    fields = (*names.world.titled, "pretrain.discrete_prob")
    setting = (
        f"{', '.join(f'{names.symbol(path)}={value_of(config, path):g}' for path in fields)}; "
        f"{counted(len(config.seeds), 'seed')} × {counted(config.probe.prompts, 'prompt')}"
        f"{spread(len(config.seeds), drawn)}"
    )
    figure.suptitle(f"{title}\n{setting}", x=0.01, ha="left", fontsize=11)
    return figure


def legend_below(figure: Figure) -> None:
    """One legend for all panels."""
    entries = {
        label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=3)


def style() -> AbstractContextManager[None]:
    """The one style of all figures, over matplotlib's own defaults: no setting of a user's matters."""
    return matplotlib.style.context(str(files("implicit_inference.show") / "figures.mplstyle"), after_reset=True)


def rendered(figure: Figure, kind: str, source: str | None = None) -> bytes:
    """The figure as a file of this kind, png or svg, the same bytes for the same figure.

    `source`, the SHA-256 digest of the table that it is drawn from, is kept in the file's metadata.
    """
    picture = BytesIO()
    undated = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(picture, format=kind, metadata=undated | ({"Source": source} if source else {}))
    return picture.getvalue()
