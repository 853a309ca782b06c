"""The colours of diagrams, on a light page and on a dark one.

Interface: the names of the colours; `DARK`, what each becomes on a dark page; `sheet(svg)`, which says so in an SVG.
The rule not to break: every colour in a picture stands in `DARK`, and means there what it means here.
The picture itself has the light colours, for programs that know no style sheets; a style sheet swaps them. A page of
Jupyter says which theme it has, and that counts more than what the reader's system prefers.
"""

from __future__ import annotations

from collections.abc import Mapping

from k8snb.notebook.diagram import ADDED, CHANGED, REMOVED
from k8snb.notebook.style import BAD, BUSY, DONE, GOOD, PLAIN

INK, FAINT, LINE = "#1f2933", "#5b6672", "#7b8794"
PALE_FILL, PALE_BORDER, PALE_INK, PALE_FAINT = "#f4f5f7", "#b4bcc6", "#727d89", "#8a94a0"
PURPLE, BLUE, TEAL, OCHRE, VIOLET = "#b0649b", "#2f86c8", "#3c8d94", "#9c7a1f", "#8272b5"
BLUE_FILL, VIOLET_FILL, TEAL_FILL, OCHRE_FILL = "#e2eefa", "#efecf8", "#e2f1f2", "#f6f0dd"
TRACK = "#dde3ea"
MARKS: Mapping[str, tuple[str, str]] = {  # a symbol and a colour
    ADDED: ("+", "#0072b2"),
    REMOVED: ("−", "#b5485d"),
    CHANGED: ("Δ", "#7d5a00"),
}

DARK: Mapping[str, str] = {
    INK: "#e6edf3", FAINT: "#a9b7c6", LINE: "#93a1b0",
    PALE_FILL: "#22282f", PALE_BORDER: "#4d5863", PALE_INK: "#8d98a4", PALE_FAINT: "#7c8792",
    PURPLE: "#d394c1", BLUE: "#5aa9e6", TEAL: "#6cc0c7", OCHRE: "#d0aa4a", VIOLET: "#a99adb",
    BLUE_FILL: "#15304a", VIOLET_FILL: "#2b2643", TEAL_FILL: "#143638", OCHRE_FILL: "#3a311a",
    TRACK: "#3a434d",
    GOOD.fill: "#12392e", GOOD.border: "#2cc295",
    BUSY.fill: "#3f3010", BUSY.border: "#eba53a",
    BAD.fill: "#4a2512", BAD.border: "#f58a4b",
    DONE.fill: "#2b3138", DONE.border: "#8f9aa6",
    PLAIN.fill: "#272e36", PLAIN.border: "#8a9bb0",
    "#0072b2": "#56b4e9", "#b5485d": "#ef93a7", "#7d5a00": "#e6c15a",
}  # fmt: skip


def sheet(svg: str) -> str:
    """Dark where the system is dark, unless the page says that it is light; dark where the page is dark.

    Only for the colours that the picture has: a notebook keeps it with every picture.
    """
    # one colour has one name in all pictures: several of them share a page
    names = {light: f"--k{place}" for place, light in enumerate(DARK) if f'"{light}"' in svg}
    dark = "".join(f"{name}:{DARK[light]};" for light, name in names.items())
    light_again = "".join(f"{name}:initial;" for name in names.values())
    paints = "".join(
        f'.k8snb-picture [{paint}="{light}"]{{{paint}:var({name},{light})}}'
        for light, name in names.items()
        for paint in ("fill", "stroke")
        if f'{paint}="{light}"' in svg
    )
    return (
        f'{paints}@media (prefers-color-scheme:dark){{.k8snb-picture{{{dark}}}}}[data-jp-theme-light="false"] '
        f'.k8snb-picture{{{dark}}}[data-jp-theme-light="true"] .k8snb-picture{{{light_again}}}'
    )
