"""Parts of the site that are made, not written: findings from stored claims, the gallery, the reference of names."""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).parent
ROOT = DOCS.parent
VERDICTS = ("supported", "refuted", "undecided", "not asked")


def question(experiment: str) -> str:
    """Reads the question of an experiment: the first line of its file."""
    path = ROOT / "experiments" / f"{experiment}.py"
    return (ast.get_docstring(ast.parse(path.read_text())) or experiment).splitlines()[0]


def anchor(heading: str) -> str:
    """Names the anchor of a heading: small letters, figures and hyphens."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def interval(effect: list[float | None]) -> str:
    """Writes an effect with its 95 % interval: mean (low to high)."""
    numbers = [number for number in effect if number is not None and math.isfinite(number)]
    if len(numbers) < len(effect):
        return "undefined"
    mean, low, high = (f"{round(number, 3) + 0.0:.3f}".replace("-", "−") for number in numbers)  # -0.0 + 0.0 is 0.0
    return f"{mean} ({low} to {high})"


def findings(data: Path) -> str:
    """Writes the claims of all experiments stored beneath a folder, as Markdown: first how many hold, then each."""
    counts = [f"| question | {' | '.join(VERDICTS)} |", f"|---|{'---:|' * len(VERDICTS)}"]
    parts = []
    stored = sorted(data.glob("*/*.json"), key=lambda path: (path.parent, path.stem != "primary", path.stem))
    scales = Counter(path.stem for path in stored)
    for path in stored:
        claims = json.loads(path.read_text())
        tally = Counter(claim["verdict"] for claim in claims)
        asked = question(path.stem) + (f" At scale {path.parent.name}." if scales[path.stem] > 1 else "")
        counts.append(
            f"| [{asked}](#{anchor(asked)}) | {' | '.join(str(tally[verdict] or '') for verdict in VERDICTS)} |"
        )
        rows = ["| claim | verdict | effect (95 % interval) |", "|---|---|---|"]
        for claim in claims:
            effects = "<br>".join(map(interval, claim["effects"])) or "–"
            rows.append(f"| {claim['claim'].replace('|', chr(92) + '|')} | {claim['verdict']} | {effects} |")
        parts += [f"## {asked}", f"`python experiments/{path.stem}.py --scale {path.parent.name}`", "\n".join(rows)]
    return "\n\n".join(["\n".join(counts), *parts])


def public() -> dict[str, list[str]]:
    """Reads the public names: module -> names, in the order of their list."""
    listed: dict[str, list[str]] = {}
    stub = (ROOT / "implicit_inference" / "__init__.pyi").read_text()
    for module, name in re.findall(r"^from \.([\w.]+) import (\w+) as \2$", stub, re.MULTILINE):
        listed.setdefault(module, []).append(name)
    return listed


def reference() -> str:
    """Writes directives that document every public name, a section a module, as Markdown."""
    parts = []
    for module, names in public().items():
        found = import_module(f"implicit_inference.{module}")
        parts += [f"## implicit_inference.{module}", (found.__doc__ or "").split("\n\n")[0].replace("\n", " ")]
        for name in names:
            kind = getattr(found, name)
            if isinstance(kind, type):
                directive = f"autoclass:: {found.__name__}.{name}\n   :members:"
            else:
                directive = f"{'autofunction' if callable(kind) else 'autodata'}:: {found.__name__}.{name}"
            parts.append(f"```{{eval-rst}}\n.. {directive}\n```")
    return "\n\n".join(parts)


def gallery() -> str:
    """Reads the gallery without its title, its links written as from these pages."""
    text = (ROOT / "figures" / "README.md").read_text().split("\n", 1)[1]
    return within(re.sub(r"\]\((?![a-z]+:|#)", "](../figures/", text))


def generated(app: Sphinx, what: str, name: str, subject: object, skip: bool, options: object) -> bool | None:
    """Leaves out the docstrings that Python writes for the fields of a named tuple."""
    return True if (getattr(subject, "__doc__", None) or "").startswith("Alias for field") else None


def within(page: str) -> str:
    """Turns links to what no site holds, folders and the front page of the repository, into their names."""

    def named(link: re.Match[str]) -> str:
        text, target, anchor = link.groups()
        if target == "../figures/README.md":
            return f"[{text}](gallery.md{anchor or ''})"
        off_site = target == "../README.md" or (DOCS / target).is_dir() or re.fullmatch(r"\.\./figures/.+\.md", target)
        return text if off_site else link.group()

    return re.sub(r"(?<!!)\[([^\]]*)\]\((\.\./[^)#]*)(#[^)]*)?\)", named, page)


def plain(app: Sphinx, what: str, name: str, subject: object, options: object, lines: list[str]) -> None:
    """Keeps signs of formulas in docstrings from being read as marks: | * \\ and a trailing _."""
    for i, line in enumerate(lines):
        quoted = re.split(r"(`[^`]*`)", line)
        quoted[::2] = [re.sub(r"([|*\\]|_\b|_(?=\W|$))", r"\\\1", part) for part in quoted[::2]]
        lines[i] = "".join(quoted)


def read(app: Sphinx, page: str, source: list[str]) -> None:
    """Puts what is made in its place in a page, a code block of its name, and rewrites the links."""
    made = {"findings": lambda: findings(ROOT / "figures" / "data"), "gallery": gallery, "reference": reference}
    if page in made:
        source[0] = source[0].replace(f"```{page}\n```", made[page]())
    source[0] = within(source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", plain)
    app.connect("autodoc-skip-member", generated)
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
