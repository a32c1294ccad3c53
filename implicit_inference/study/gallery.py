"""A gallery: figures drawn from the stored tables of experiments, and the page that shows them with what was found."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from implicit_inference.config.errors import UserError, counted
from implicit_inference.runs.files import write_whole
from implicit_inference.show.drawing import Figure, rendered, style
from implicit_inference.study.claims import NOT_ASKED, REFUTED, SUPPORTED, UNDECIDED
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
    entries: Entries,
    drawn: Iterable[str],
    data: Path,
    pictures: str,
    introduction: str,
    answers: Mapping[str, str],
    notes: Mapping[str, str],
    folded: Collection[str] = (),
) -> str:
    """Writes the gallery: a figure, the answer, how many claims hold at this scale, the claims, as Markdown.

    data: the folder of the findings, named after the scale; pictures: where the page finds the figures; answers, and
    notes on tables that were made otherwise than the others: by experiment. folded: figures that a click unfolds.
    """
    parts = ["# Gallery", introduction]
    done = set[str]()
    for name in drawn:
        experiment, sentence = entries[name]
        picture = f"![{sentence}]({pictures}{name}.png)\n\n*{sentence}*"
        if name in folded:
            parts.append(f"<details><summary>{name.replace('_', ' ')}</summary>\n\n{picture}\n\n</details>")
            continue
        first = experiment not in done
        parts.append(f"## {name.replace('_', ' ').capitalize()}")
        if first and experiment in answers:
            parts.append(answers[experiment])
        parts.append(picture)
        if first:
            findings = json.loads((data / f"{experiment}.json").read_text())
            parts += [notes[experiment]] if experiment in notes else []
            parts += [verdicts(findings), claims(findings, f"python experiments/{experiment}.py --scale {data.name}")]
        done.add(experiment)
    return "\n\n".join(parts) + "\n"


def verdicts(findings: Sequence[Mapping[str, Any]]) -> str:
    """Counts the claims by verdict, in a line."""
    found = Counter(finding["verdict"] for finding in findings if finding["verdict"] != NOT_ASKED)
    asked = sum(found.values())
    if not asked:
        return "A description: nothing is claimed."
    line = f"Held: {found[SUPPORTED]} of {counted(asked, 'claim')}"
    for verdict in (UNDECIDED, REFUTED):
        line += f"; {verdict}: {found[verdict]}" if found[verdict] else ""
    corrected = max(finding["comparisons"] for finding in findings)
    return line + (f". Corrected for the number of claims, {corrected}." if corrected > 1 else ".")


def claims(findings: Iterable[Mapping[str, Any]], command: str) -> str:
    """Folds the claims away: a row for each effect, with its 95 % interval, and the command that measures it anew.

    A description has no effects; its numbers stand beside it.
    """
    records = ["| claim | verdict | effect | from | to |", "|---|---|---:|---:|---:|"]
    for finding in findings:
        described = finding["claim"] if finding["effects"] else f"{finding['claim']}: {finding['numbers']}"
        for i, effect in enumerate(finding["effects"] or [(None, None, None)]):
            numbers = ("" if number is None else f"{number:.3f}" for number in effect)
            words = (described, finding["verdict"]) if i == 0 else ("", "")
            records.append(f"| {' | '.join((*words, *numbers))} |")
    return "\n\n".join(
        ["<details><summary>claims and effects</summary>", "\n".join(records), f"`{command}`", "</details>"]
    )
