"""Renders pages: HTML that needs no other file."""

from pathlib import Path

import jinja2


def render_page(template: Path, **values) -> str:
    """HTML of a jinja2 template; what is put in is escaped, and a name that is missing is an error.

    A template may import others by their path below trainer/.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(template.read_text(encoding="utf-8")).render(**values)
