"""A page as tests read it: its elements and text, and that a browser would neither run nor fetch anything."""

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Checks that every element is closed in its order, and collects elements and text."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    @property
    def words(self):
        """The text with every run of white space as one space."""
        return " ".join(self.text.split())


def self_contained(html):
    """The page, if nothing of it is run or fetched."""
    page = Page(html)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "iframe", "link", "object", "embed", "form", "base"}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not names & {"src", "href", "xlink:href", "action", "srcset"}
    assert not [name for name in names if name.startswith("on")]
    assert "url(" not in html
    assert "@import" not in html
    in_text = r"https?://[^\s<>&]*"
    assert re.findall(in_text, html) == re.findall(in_text, page.text)
    return page
