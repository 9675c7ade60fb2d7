"""The pieces of HTML that explorers put beside their drawings, in the page's own colours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

ROOT_CLASS = "dcp-tutor-explorer"

STYLE = """<style>
.dcp-tutor-explorer table{border-collapse:collapse;font-size:12.5px;line-height:1.5;
  color:var(--jp-content-font-color1,inherit);background:transparent}
.dcp-tutor-explorer caption{text-align:left;font-weight:bold;padding:4px 0;caption-side:top}
.dcp-tutor-explorer th,.dcp-tutor-explorer td{padding:1px 14px 1px 0;text-align:left;
  vertical-align:top;background:transparent}
.dcp-tutor-explorer thead th{font-weight:normal;color:var(--jp-content-font-color2,inherit);
  border-bottom:1px solid var(--jp-border-color1,#999)}
.dcp-tutor-explorer tbody th{font-weight:bold;white-space:nowrap}
.dcp-tutor-explorer .right{text-align:right;font-variant-numeric:tabular-nums}
.dcp-tutor-explorer code{font-family:var(--jp-code-font-family,monospace);font-size:12.5px;
  color:inherit;background:transparent;white-space:nowrap}
.dcp-tutor-explorer p{margin:2px 0;line-height:1.5;color:var(--jp-content-font-color1,inherit)}
.dcp-tutor-explorer .problem{border-left:4px solid var(--jp-error-color1,#a40e26);padding-left:8px}
.dcp-tutor-explorer .keys button{font-family:var(--jp-code-font-family,monospace);
  font-size:12.5px;text-align:left;justify-content:flex-start;height:22px;line-height:22px;
  margin:0 2px;padding:0 6px;box-shadow:none}
.dcp-tutor-explorer .keys button:not(.mod-info){background:transparent;
  color:var(--jp-content-font-color1,inherit)}
.dcp-tutor-explorer .widget-toggle-buttons{display:flex;flex-flow:row nowrap;
  column-gap:6px;margin:2px}
.dcp-tutor-explorer :is(select,input,button):focus-visible{
  outline:2px solid var(--jp-brand-color1,#1976d2);outline-offset:1px}
</style>"""


def table_html(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    code: Collection[int] = (),
) -> str:
    """Write a table whose rows are named by their first cell.

    Args:
        caption: what it shows.
        head: names of the columns.
        rows: their cells, as plain text.
        right: numbers of the columns that hold amounts.
        code: numbers of the columns that hold names of files or keys.

    Example:
        >>> "<td>a &lt; b</td>" in table_html("t", ["n", "m"], [["1", "a < b"]])
        True

    """
    heads = "".join(
        f'<th scope="col"{_class(n in right)}>{escape(name)}</th>' for n, name in enumerate(head)
    )
    body = "".join(
        "<tr>"
        + "".join(_cell(n, cell, n in right, n in code) for n, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return (
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )


def paragraph(text: str, *, problem: bool = False) -> str:
    """Write a sentence; a problem is announced by screen readers and has a bar at its side.

    Example:
        >>> paragraph("a < b")
        '<p>a &lt; b</p>'

    """
    mark = ' class="problem" role="alert"' if problem else ""
    return f"<p{mark}>{escape(text)}</p>"


def code_line(text: str) -> str:
    """Write what is to be typed.

    Example:
        >>> code_line("a < b")
        '<p><code>a &lt; b</code></p>'

    """
    return f"<p><code>{escape(text)}</code></p>"


def _cell(number: int, text: str, right: bool, code: bool) -> str:
    inside = f"<code>{escape(text)}</code>" if code else escape(text)
    tag, scope = ("th", ' scope="row"') if number == 0 else ("td", "")
    return f"<{tag}{scope}{_class(right)}>{inside}</{tag}>"


def _class(right: bool) -> str:
    return ' class="right"' if right else ""
