"""Draws the sketches of measures.md: python docs/sketches.py writes docs/sketches/NAME.svg."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from implicit_inference.bayes.accounts import GATES
from implicit_inference.show.drawing import Axes, Figure, rendered, style
from implicit_inference.show.notation import BLACK, BLUE, GREEN, GREY, ORANGE, RED, SKY

FOLDER = Path(__file__).parent / "sketches"


def bare(axes: Axes) -> Axes:
    """Leaves an axis without numbers: a sketch has none."""
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    return axes


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str, colour: str) -> None:
    """Draws a double arrow with its name beside the middle of it."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "<->", "color": colour, "shrinkA": 0, "shrinkB": 0})
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    axes.annotate(text, middle, (6, 0), textcoords="offset points", color=colour, va="center", fontsize=9)


def effect() -> Figure:
    """Four losses on the forgotten family; forgetting, and what s brings back net of what it does before."""
    figure = Figure(figsize=(6.4, 2.6))
    axes = bare(figure.subplots())
    losses = {"before": 1.0, "after": 2.2, "before,\nunder s": 1.25, "after,\nunder s": 1.7}
    places, colours = (0.0, 1.0, 2.6, 3.6), (BLUE, RED, BLUE, RED)
    axes.bar(places, list(losses.values()), width=0.5, color=colours, alpha=0.35)
    axes.set_xticks(places, losses)
    axes.set(ylabel="loss", xlim=(-0.6, 5.4), ylim=(0, 2.5))
    for left, right, name, colour in ((0, 1, "forgetting", BLACK), (2, 3, "what is left of it", GREY)):
        low, high = sorted((list(losses.values())[left], list(losses.values())[right]))
        axes.plot([places[left], places[right] + 0.35], [low, low], ":", color=colour, lw=1)
        arrow(axes, (places[right] + 0.35, low), (places[right] + 0.35, high), name, colour)
    axes.set_title("net recovery = 1 − what is left / forgetting")
    return figure


def line() -> Figure:
    """A prediction beside the line between two exact ones: its gate, and the parts on and off the line."""
    figure = Figure(figsize=(6.4, 2.4))
    axes = bare(figure.subplots())
    axes.plot([0, 4], [0, 0], color=GREY, lw=1)
    for x, y, colour, name, where in (
        (0, 0, GREEN, "m of the forgotten family\ngate 0", (0, -32)),
        (4, 0, ORANGE, "m of the preferred family\ngate 1", (0, -32)),
        (2.4, 0, BLACK, "nearest mixture\ngate 0.6", (0, -32)),
        (2.4, 1, RED, "prediction f", (0, 8)),
    ):
        axes.plot([x], [y], "o", color=colour, ms=7)
        axes.annotate(name, (x, y), where, textcoords="offset points", ha="center", color=colour, fontsize=9)
    axes.annotate("on the line", (1.2, 0), (0, 8), textcoords="offset points", ha="center", fontsize=9)
    arrow(axes, (2.4, 0), (2.4, 1), "off the line", BLACK)
    axes.plot([0, 2.4], [0, 0], color=BLACK, lw=2.5)
    axes.set(xlim=(-1.1, 5.1), ylim=(-1.0, 1.5))
    axes.axis("off")
    return figure


def accounts() -> Figure:
    """The gate against the log evidence ratio, before and after, as each account says it."""
    figure = Figure(figsize=(8, 2.3))
    ratio = jnp.linspace(-9.0, 6.0, 100)
    after = {"prior_shift": (4.0,), "prior_and_weight": (1.0, 0.25), "lapse": (0.0, 0.4)}
    before = np.asarray(GATES["prior_shift"].gate(jnp.array([0.0]), ratio))
    curves = {"constant_pull": np.minimum(before + 0.3, 1.3)}
    curves |= {name: np.asarray(GATES[name].gate(jnp.array(numbers), ratio)) for name, numbers in after.items()}
    for axes, (name, values) in zip(figure.subplots(1, 4, sharey=True), curves.items(), strict=True):
        bare(axes)
        axes.plot(ratio, before, color=BLUE, label="before")
        axes.plot(ratio, values, color=RED, label="after")
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("ℓ")
    figure.axes[0].set_ylabel("gate")
    figure.axes[0].legend(loc="upper left")
    return figure


def conjugation() -> Figure:
    """What a conjugation does: the prompt leaves the place that fine-tuning knows, and the answer comes back."""
    figure = Figure(figsize=(6.4, 1.5))
    axes = figure.subplots()
    steps = ("prompt", "s(prompt)", "prediction", "prediction,\nundone")
    for x, text in enumerate(steps):
        axes.text(x, 0, text, ha="center", va="center", fontsize=10, bbox={"boxstyle": "round", "fc": "w", "ec": SKY})
    for x, name in enumerate(("apply", "predictor", "undo")):
        axes.annotate("", (x + 0.66, 0), (x + 0.34, 0), arrowprops={"arrowstyle": "->", "color": BLACK})
        axes.text(x + 0.5, 0.25, name, ha="center", fontsize=9)
    axes.set(xlim=(-0.5, 3.5), ylim=(-0.6, 0.6))
    axes.axis("off")
    return figure


SKETCHES = {"conjugation": conjugation, "effect": effect, "line": line, "accounts": accounts}


def main(folder: Path = FOLDER) -> None:
    """Writes every sketch as SVG."""
    folder.mkdir(exist_ok=True)
    for name, draw in SKETCHES.items():
        with style():
            (folder / f"{name}.svg").write_bytes(rendered(draw(), "svg"))


if __name__ == "__main__":
    main()
