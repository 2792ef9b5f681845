"""
How the report shows things below the decision: a sentence, a table or a figure, each with the records that it is from.

What is named as evidence reaches the page as ``data-ev-block``, so that no number on it stands without a record.

    show_text("**2.0×** as fast", "records/comparison-int8.json")
"""

import base64
import dataclasses
import io
from typing import Any

from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from perflib import scraps
from perflib.runs import Run
from perflib.session import keep_figure

# The key of an output's metadata; the page's template reads it.
EVIDENCE = "evidence"
# Letters stay sharp on paper at this, and a drawing of few colours needs no more of them than that.
_DOTS_PER_INCH, _COLOUR_COUNT = 200, 96


def show_html(text: str, *places: str) -> None:
    """Show HTML that was made from the records at some places; without any it must hold its own pointers."""
    display(HTML(text), metadata=_metadata(places))


def show_text(text: str, *places: str) -> None:
    """Show a sentence in Markdown that was made from the records at some places."""
    display(Markdown(text), metadata=_metadata(places))


def show_drawn(run: Run, drawn: tuple[Figure, Any], name: str, *places: str) -> None:
    """Keep a figure as SVG in the run and show it as a small PNG with its text alternative."""
    figure = drawn[0]
    view = _Picture(small_png(figure), str(figure.get_label()), places)
    keep_figure(run, drawn, name)
    scraps.glue(f"figure-{name}", view.alt, view=view)


def small_png(figure: Figure) -> bytes:
    """Return a figure as PNG with a palette: the same letters for a third of the bytes."""
    from PIL import Image

    drawn, content = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DOTS_PER_INCH, bbox_inches="tight")
    picture = Image.open(drawn).convert("RGB")
    picture = picture.quantize(_COLOUR_COUNT, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    picture.save(content, format="PNG", optimize=True)
    return content.getvalue()


@dataclasses.dataclass(frozen=True)
class _Picture:
    """What IPython asks for a picture's bytes and for what is known about it."""

    content: bytes
    alt: str
    places: tuple[str, ...]

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        bundle = {"image/png": base64.b64encode(self.content).decode(), "text/plain": self.alt}
        return bundle, {"image/png": {"alt": self.alt}, **_metadata(self.places)}


def _metadata(places: tuple[str, ...]) -> dict[str, Any]:
    return {EVIDENCE: " ".join(dict.fromkeys(places))} if places else {}
