"""Students of three teachers against the size of the lesson: what they gain and what they forget."""

import sys

from figure import main
from lessons_in_full import FIELDS, RANGES, ROWS, TEACHERS, baselines, panel

from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import GREY
from implicit_inference.study.panels import finished
from implicit_inference.study.results import Results

VARIED = "lesson.prompts"


def draw(table: Results) -> Figure:
    table = table.reduced()
    base = {field: table.levels(field)[0] for field in FIELDS if field != VARIED}
    figure, sizes = Figure(figsize=(9, 4)), sorted(table.levels(VARIED))
    for axes, quantity in zip(figure.subplots(1, 2), ("gain", "forgetting"), strict=True):
        rows = table.where(quantity=quantity)
        students = {teacher: rows.where(**base, **{"lesson.teacher": teacher}) for teacher in TEACHERS}
        panel(axes, quantity, VARIED, students)
        baselines(axes, quantity, rows.where(**{"lesson.teacher": None}))
        axes.set(title=ROWS[quantity], xlabel=FIELDS[VARIED], xscale="log")
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.minorticks_off()
    for where, line in RANGES.items():
        figure.axes[0].plot([], [], line, color=GREY, label=f"{where} positions")
    return finished(figure, "What a teacher's answers to Gaussian prompts pass on to its student", table)


if __name__ == "__main__":
    sys.exit(main("lessons", draw))
