"""One figure and one page about a probe of a language model."""

import base64
from typing import Any

import numpy as np
import pandas as pd

from implicit_inference.config.errors import counted
from implicit_inference.lm.probe import BASE, NEUTRAL, TUNED
from implicit_inference.lm.prompts import IDENTITY
from implicit_inference.lm.results import FLOOR, number
from implicit_inference.lm.store import LmRun
from implicit_inference.runs.files import write_whole
from implicit_inference.show.drawing import Figure, legend_below, rendered, style
from implicit_inference.show.notation import BLACK, BLUE, GREY, RED, Look
from implicit_inference.show.pages import filled
from implicit_inference.study.panels import COLOURS, categories, zero

FIGURE, PAGE = "margins.png", "page.html"
LOOKS = {
    BASE: Look("before", BLUE, marker="o"),
    TUNED: Look("after tuning", RED, marker="s"),
    NEUTRAL: Look("after a neutral tuning", GREY, marker="^"),
}
ENGLISH = "English"
"""How people call the prompts as they are."""


def label(conjugation: str) -> str:
    """A conjugation, for people."""
    return ENGLISH if conjugation == IDENTITY else conjugation.replace("_", " ")


def draw(found: pd.DataFrame, title: str) -> Figure:
    """Draws the margin before and after by conjugation, a column a pair, and DiD by dose below if there are doses."""
    families, largest = list(found["family"].unique()), found.loc[found["predictor"] == TUNED, "strength"].max()
    of_tuned = found[(found["predictor"] == TUNED) & (found["quantity"] == "did")]
    doses = of_tuned["strength"].nunique() > 1
    figure = Figure(figsize=(4.2 * len(families), 7.4 if doses else 4.2))
    panels = figure.subplots(1 + doses, len(families), squeeze=False)
    for axes, family in zip(panels[0], families, strict=True):
        own = found[(found["family"] == family) & (found["quantity"] == "margin")]
        kinds = list(own["conjugation"].unique())
        x = categories(axes, [label(kind) for kind in kinds])
        axes.tick_params("x", rotation=45)
        zero(axes)
        for i, (predictor, look) in enumerate(LOOKS.items()):
            rows = own[
                (own["predictor"] == predictor) & own["strength"].isin([0.0, largest if predictor == TUNED else 1.0])
            ]
            if len(rows):
                error = _error(rows)
                axes.errorbar(
                    x + 0.15 * (i - 1), rows["mean"], error, fmt=look.marker, color=look.colour, label=look.label
                )
        axes.set_title(family)
    panels[0][0].set_ylabel("margin, log p(A) − log p(B), nats")
    for axes, family in zip(panels[1] if doses else (), families, strict=doses):
        zero(axes)
        own = of_tuned[of_tuned["family"] == family]
        for kind, colour in zip(own["conjugation"].unique(), [*COLOURS, BLACK] * len(own), strict=False):
            rows = own[own["conjugation"] == kind].sort_values("strength")
            axes.errorbar(
                rows["strength"], rows["mean"], _error(rows), fmt="o-", color=colour, label=f"DiD, {label(kind)}"
            )
        axes.set_xlabel("dose, factor of the update")
    if doses:
        panels[1][0].set_ylabel("DiD against English, nats")
    legend_below(figure)
    seeds = int(found.loc[found["predictor"] == TUNED, "seeds"].max())
    least, most = int(found["n"].min()), int(found["n"].max())
    items = counted(most, "item") if least == most else f"{least} to {most} items"
    sampled = f"{items}{f' and {seeds} tuning seeds' if seeds > 1 else ''}"
    figure.suptitle(f"{title}\nbars: standard error over {sampled}", x=0.01, ha="left", fontsize=11)
    return figure


def _error(rows: pd.DataFrame) -> np.ndarray:
    """Standard errors over items and over seeds, joined: both are sampled."""
    return np.hypot(rows["stderr"].fillna(0).to_numpy(), rows["stderr_seeds"].fillna(0).to_numpy())


def write(found: pd.DataFrame, title: str, run: LmRun) -> None:
    """Writes the figure and the page into a run."""
    with style():
        picture = rendered(draw(found, title), "png")
    write_whole(run.path(FIGURE), picture)
    page = filled(
        "lm",
        "page.html.jinja",
        title=title,
        families=[_told(found, family) for family in found["family"].unique()],
        floor=FLOOR,
        settings=run.settings,
        figure="data:image/png;base64," + base64.b64encode(picture).decode(),
    )
    write_whole(run.path(PAGE), page)


def _told(found: pd.DataFrame, family: Any) -> dict[str, Any]:
    """Gives the lines of a pair on the page, one a network and conjugation."""
    own = found[found["family"] == family]
    lines = []
    for (predictor, strength, kind), rows in own.groupby(["predictor", "strength", "conjugation"], sort=False):
        quantity = {row["quantity"]: row for _, row in rows.iterrows()}
        did = quantity.get("did")
        lines.append(
            {
                "network": LOOKS[predictor].label + (f", dose {strength:g}" if predictor == TUNED else ""),
                "conjugation": label(kind),
                "margin": number(quantity["margin"]),
                "change": number(quantity["change"]) if "change" in quantity else "",
                "did": number(did) if did is not None else "",
                "items": "" if did is None or pd.isna(did["verdict_items"]) else did["verdict_items"],
                "seeds": "" if did is None or pd.isna(did["verdict_seeds"]) else did["verdict_seeds"],
                "rates": [
                    f"{quantity[rate]['mean']:.2f} {quantity[rate]['mark']}"
                    for rate in ("greedy_context", "greedy_instruction")
                ],
            }
        )
    return {"name": family, "lines": lines}
