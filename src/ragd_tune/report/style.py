"""How a report looks: one style sheet, in light and dark, from a phone's width to a desk's."""

from __future__ import annotations

# Texts have a contrast of at least 4.5 on paper and panel, in both themes; a test works it out.
LIGHT = {
    "paper": "#ffffff", "panel": "#f5f7f9", "ink": "#18222d", "muted": "#526070",
    "edge": "#d7dde4", "zero": "#7c8896", "before": "#667385", "after": "#0a5fbd",
    "gain": "#14713f", "loss": "#b3261e",
}  # fmt: skip
DARK = {
    "paper": "#11161c", "panel": "#1a2129", "ink": "#e7ebf0", "muted": "#a7b2bf",
    "edge": "#313b47", "zero": "#7f8b99", "before": "#9aa6b5", "after": "#74b3ff",
    "gain": "#63cf95", "loss": "#ff8f86",
}  # fmt: skip
TEXTS = ("ink", "muted", "gain", "loss", "after")
"""Colours that texts have; the others are lines only."""

CHARTS = """
.chart { display: block; width: 100%; height: auto; font: 13px system-ui, sans-serif; }
.chart text { fill: var(--ink); }
.chart .tick { fill: var(--muted); font-size: 12px; }
.chart .value { font-variant-numeric: tabular-nums; }
.chart .decides { font-weight: 700; }
.grid { stroke: var(--edge); stroke-width: 1; }
.zero { stroke: var(--zero); stroke-width: 1.5; }
.limit { stroke: var(--loss); stroke-width: 1.5; stroke-dasharray: 4 3; }
.interval { stroke-width: 3; stroke-linecap: round; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.interval.gain, .line.gain { stroke: var(--gain); } .dot.gain, .bar.gain { fill: var(--gain); }
.interval.loss { stroke: var(--loss); } .dot.loss, .bar.loss { fill: var(--loss); }
.interval.even { stroke: var(--zero); } .dot.even { fill: var(--zero); }
.line.before { stroke: var(--before); } .dot.before { fill: var(--before); }
.line.after { stroke: var(--after); } .dot.after { fill: var(--after); }
.line.faint { stroke: var(--before); stroke-width: 1; opacity: .35; }
"""

_PAGE = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
main { max-width: 66rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.55rem; line-height: 1.25; margin: .1rem 0 .3rem; }
h2 { font-size: 1.1rem; margin: 0 0 .4rem; }
p { margin: .4rem 0; } .muted { color: var(--muted); } small { font-size: .85rem; }
.columns { columns: 25rem 2; column-gap: 1rem; margin-bottom: 1rem; }
.pair { display: grid; gap: 0 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); }
section { break-inside: avoid; margin: 0 0 1rem; padding: 1rem; min-width: 0;
  background: var(--panel); border: 1px solid var(--edge); border-radius: .6rem; }
.verdict { border-left: .4rem solid var(--zero); margin-top: 1rem; }
.verdict.yes { border-left-color: var(--gain); } .verdict.no { border-left-color: var(--loss); }
.verdict strong { font-size: 1.25rem; display: block; }
.yes strong { color: var(--gain); } .no strong { color: var(--loss); }
.figures { display: grid; gap: .8rem 1.4rem; margin: 1rem 0 0;
  grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); }
.figures div { min-width: 0; } .figures dt { color: var(--muted); font-size: .85rem; }
.figures dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.figures dd small { display: block; font-size: .85rem; color: var(--muted); }
figure { margin: .4rem 0 0; } figcaption { color: var(--muted); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin-top: .5rem; }
caption { text-align: left; color: var(--muted); font-size: .85rem; padding-bottom: .2rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--edge); font-weight: 400; }
thead th { color: var(--muted); font-size: .85rem; white-space: nowrap; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tbody th { white-space: nowrap; } td.said { unicode-bidi: isolate; overflow-wrap: anywhere; }
.facts th { color: var(--muted); width: 14rem; } .facts td { overflow-wrap: anywhere; }
tr.decides th, tr.decides td { font-weight: 700; }
summary { cursor: pointer; font-weight: 600; } details + details { margin-top: .6rem; }
code { font: .85em ui-monospace, monospace; }
"""


def _colours(named: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in named.items())


def sheet() -> str:
    """Return the style sheet of the page."""
    return (
        f":root {{ color-scheme: light dark; {_colours(LIGHT)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {_colours(DARK)} }} }}"
        f"{_PAGE}{CHARTS}"
    )
