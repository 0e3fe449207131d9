"""Finds what a page would load from the network; `hooks.py` refuses such pages."""

import re
from html.parser import HTMLParser

# attributes with addresses that a browser loads with the page
FETCHED = {
    ("audio", "src"),
    ("embed", "src"),
    ("iframe", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("link", "href"),
    ("object", "data"),
    ("script", "src"),
    ("source", "src"),
    ("source", "srcset"),
    ("video", "src"),
}
EXTERNAL = re.compile(r"\s*(https?:)?//", re.IGNORECASE)
IN_STYLES = re.compile(
    r"(?:@import\s+|url\(\s*)[\"']?((?:https?:)?//[^\"')\s]+)", re.IGNORECASE
)


def loaded_by_styles(css: str) -> list[str]:
    """The external addresses that a style sheet imports or shows."""
    return IN_STYLES.findall(css)


def loaded_by_page(html: str) -> list[str]:
    """The external addresses of the scripts, styles, fonts and pictures of a page."""
    page = _Page()
    page.feed(html)
    return page.found


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "link" and values.get("rel") in ("canonical", "next", "prev"):
            return  # names another page, and loads nothing
        for name, value in attrs:
            if (tag, name) in FETCHED and EXTERNAL.match(value or ""):
                self.found.append(value)
            if name == "style":
                self.found += loaded_by_styles(value or "")
        self._in_style = tag == "style"

    def handle_data(self, data):
        if self._in_style:
            self.found += loaded_by_styles(data)
