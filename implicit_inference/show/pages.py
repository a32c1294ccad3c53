"""HTML pages that need nothing else: templates filled in, pictures as part of the page."""

import re
from typing import Any

import jinja2
from markupsafe import Markup

from implicit_inference.config.errors import counted
from implicit_inference.show.notation import estimate


def filled(room: str, template: str, **values: Any) -> bytes:
    """Fills in a template that lies in a room of the package; text is escaped, a Markup is not."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(f"implicit_inference.{room}", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"estimate": estimate, "counted": counted}
    return environment.get_template(template).render(**values).encode()


def inline(picture: bytes) -> Markup:
    """Makes an element of the page of an SVG file; it scales with the page, and its text can be read and searched."""
    text = picture.decode()
    return Markup(re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], count=1, flags=re.DOTALL))
