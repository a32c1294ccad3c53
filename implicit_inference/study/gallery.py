"""A gallery: figures drawn from the stored tables of experiments, and the page that shows them with what was found."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from implicit_inference.config.errors import UserError
from implicit_inference.runs.files import write_whole
from implicit_inference.show.drawing import Figure, rendered, style
from implicit_inference.study.results import Results, read_csv

Draw = Callable[[Results], Figure]
Entries = Mapping[str, tuple[str, str]]
"""figure -> (experiment, what it shows)"""


def save(draw: Draw, table: Path, path: Path) -> Path:
    """Draws a figure from a stored table, as PNG with the table's digest; returns its path."""
    results, source = read_csv(table), hashlib.sha256(table.read_bytes()).hexdigest()
    with style():
        write_whole(path, rendered(draw(results), "png", source))
    return path


def draw_all(entries: Entries, draw_of: Callable[[str], Draw], folder: Path, scale: str) -> list[str]:
    """Draws every figure that has a table in folder/data/SCALE, as folder/SCALE/NAME.png; returns their names."""
    drawn = []
    for name, (experiment, _) in entries.items():
        try:
            table = folder / "data" / scale / f"{experiment}.csv"
            print(save(draw_of(name), table, folder / scale / f"{name}.png"))
        except UserError as missing:
            print(missing)
            continue
        drawn.append(name)
    return drawn


def page(
    entries: Entries, drawn: Iterable[str], data: Path, pictures: str, introduction: str, older: Mapping[str, str]
) -> str:
    """Writes the gallery: a figure, what it shows, the command, what was found at this scale, as Markdown.

    data: the folder of the findings, named after the scale; pictures: where the page finds the figures; older: what
    is said of tables that are older than the others.
    """
    parts = ["# Gallery", introduction]
    done = set[str]()
    for name in drawn:
        experiment, sentence = entries[name]
        parts += [f"## {name.replace('_', ' ').capitalize()}", sentence, f"![{sentence}]({pictures}{name}.png)"]
        parts.append(f"`python experiments/{experiment}.py --scale {data.name}`")
        if experiment not in done:
            findings = json.loads((data / f"{experiment}.json").read_text())
            records = [
                f"| {f['claim']} | {f['verdict']} | {effects(f['effects'])} | {f['numbers']} |" for f in findings
            ]
            if experiment in older:
                parts.append(older[experiment])
            elif (comparisons := findings[0]["comparisons"]) > 1:
                parts.append(f"One family of {comparisons} claims, corrected for their number.")
            parts.append("\n".join(["| claim | verdict | effects | numbers |", "|---|---|---|---|", *records]))
        done.add(experiment)
    return "\n\n".join(parts) + "\n"


def effects(found: Iterable[tuple[float | None, float | None, float | None]]) -> str:
    """Writes effects with their 95 % intervals."""
    texts = ("undefined" if None in effect else "{:.3f} ({:.3f} to {:.3f})".format(*effect) for effect in found)
    return "; ".join(texts)
