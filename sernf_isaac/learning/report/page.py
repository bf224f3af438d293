"""A report as one HTML file that needs nothing else."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from sernf_isaac.learning.report.findings import Finding

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
img { max-width: 100%; display: block; }
table { border-collapse: collapse; margin: .6rem 0; }
td { padding: .15rem 1.2rem .15rem 0; } td:last-child { font-variant-numeric: tabular-nums; }
.finding { border-left: .3rem solid #d9822b; background: #fdf3e7; padding: .5rem .9rem;
  margin: .6rem 0; }
.good { border-left: .3rem solid #3d9a50; background: #edf6ee; padding: .5rem .9rem; }
.note { color: #555; }
"""


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    title: str
    text: str
    """How to read what follows, or why nothing follows."""
    png: bytes | None = None
    numbers: tuple[tuple[str, str], ...] = ()
    """Names and values, with their units."""


def page(title: str, about: str, findings: Sequence[Finding], sections: Sequence[Section]) -> str:
    """The whole file: findings on top, then the sections."""
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="note">{escape(about)}</p>']
    parts += [_finding(each) for each in findings]
    if not findings:
        parts.append('<p class="good">None of the faults that this page looks for was found.</p>')
    parts += [_section(each) for each in sections]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def _finding(finding: Finding) -> str:
    fault, remedy = escape(finding.fault), escape(finding.remedy)
    return f'<p class="finding"><strong>{fault}</strong><br>{remedy}</p>'


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>", f"<p>{escape(section.text)}</p>"]
    if section.png is not None:
        content = base64.b64encode(section.png).decode()
        alt = escape(section.title, quote=True)
        parts.append(f'<img alt="{alt}" src="data:image/png;base64,{content}">')
    if section.numbers:
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>"
            for name, value in section.numbers
        )
        parts.append(f"<table>{rows}</table>")
    return "\n".join(parts)
