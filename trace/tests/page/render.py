#!/usr/bin/env python3
"""Joins the page with a trace as `heist-trace report` does: render.py TRACE OUT"""

import base64
import pathlib
import re
import sys

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src" / "report"


def render(trace):
    page = (SOURCES / "page.html").read_text()
    scripts = re.search(r"script: ([a-z. \n]*\.js)\n", page).group(1).split()
    parts = {
        "@STYLE@": (SOURCES / "page.css").read_text(),
        "@SCRIPT@": "".join((SOURCES / name).read_text() for name in scripts),
        "@TRACE_BASE64@": base64.b64encode(trace).decode(),
    }
    for placeholder, value in parts.items():
        if page.count(placeholder) != 1:
            sys.exit(f"{placeholder} occurs {page.count(placeholder)} times")
        page = page.replace(placeholder, value)
    return page


def main():
    trace, out = sys.argv[1:]
    pathlib.Path(out).write_text(render(pathlib.Path(trace).read_bytes()))


if __name__ == "__main__":
    main()
