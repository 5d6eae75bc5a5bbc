"""Vega-Lite to SVG that stands inside a page, without a script or anything that a browser would fetch."""

import re
from typing import Any


def svg(spec: dict[str, Any], title: str, *, hover: bool = False) -> str:
    """A chart as an SVG element.

    Args:
        spec: A Vega-Lite specification with its data in it.
        title: What the chart shows, for those who cannot see it; plain text.
        hover: Show the description of a mark where the mouse rests on it.
    """
    import vl_convert  # starts a JavaScript engine
    from markupsafe import escape

    text: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text, count=2)  # HTML needs no namespaces
    if hover:
        text = _MARK.sub(r"<path \1\3><title>\2</title></path>", text)
    text = re.sub(r' (role|aria-[a-z]+)="[^"]*"', "", text)  # one description of the whole, not of each mark
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)


_MARK = re.compile(r'<path ((?:(?!aria-label)[^>])*?)aria-label="([^"]*)"([^>]*)/>')
"""A mark with its description; the axes and groups are no paths."""
