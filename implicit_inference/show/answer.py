"""The answer in one picture: the loss before and after fine-tuning, as the prompts are and under a conjugation."""

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.measure.lookup import IDENTITY, Table
from implicit_inference.show.drawing import Axes, Figure, legend_below, titled
from implicit_inference.show.notation import RANGES, Notation


def answer(table: Table) -> Figure:
    """Draws the loss on the forgotten family's prompts at early and late positions; see `slopes`."""
    figure, names = Figure(figsize=(8.5, 3.8)), Notation.of(table.config)
    for axes, where in zip(figure.subplots(1, 2), ("early", "late"), strict=True):
        slopes(axes, table, where)
        axes.set(title=RANGES[where])
    legend_below(figure)
    title = f"What a conjugation brings back on {names.family(table.world.forgotten)} prompts"
    return titled(figure, title, table.config, "bars")


def slopes(axes: Axes, table: Table, where: str) -> None:
    """Draws a line for each network, from the prompts as they are to those under the chosen strength of the dial.

    What was forgotten is the distance of two lines at the left; what comes back is by how much they draw nearer. The
    network that never had the capability is a control: where it lies above the axes, its numbers are told there.
    """
    names = Notation.of(table.config)
    cases = (IDENTITY, table.on_dial(table.chosen(where)))
    exact = table.world.exact[table.world.forgotten]
    level = float(table.averaged(table.curve(exact), where).mean())
    found = {
        name: [over_seeds(table.averaged(table.curve(name, case=case), where)) for case in cases]
        for name in table.networks
    }
    shown = [e.mean for name in (table.before, table.after) for e in found[name]]
    margin = 0.3 * (max(shown) - min(level, *shown))
    top = max(shown) + margin
    for name, estimates in found.items():
        look, means, bars = names.look(name), [e.mean for e in estimates], [e.stderr for e in estimates]
        if min(means) > top:
            told = f"{look.label.split(' (')[0]}: {means[0]:.1f} to {means[1]:.1f}, above"
            axes.text(0.5, top - margin / 4, told, color=look.colour, fontsize=9, ha="center", va="top")
            continue
        axes.errorbar((0, 1), means, bars, fmt=look.line, marker="o", capsize=3, color=look.colour, label=look.label)
    axes.axhline(level, linestyle=":", color=names.look(exact).colour, label="exact Bayes for these prompts")
    axes.set_xticks((0, 1), ("as they are", names.conjugation(*cases[1])))
    axes.set(xlim=(-0.25, 1.25), ylim=(min(level, *shown) - margin, top), ylabel=names.loss, xlabel="the prompts")
    axes.grid(visible=False, axis="x")
