"""Reads a page as a browser's parser would see it: elements with their attributes and text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"br", "input", "link", "meta", "path", "rect"}


@dataclass(slots=True)
class Element:
    """One element; ``attributes`` unescaped, a bare attribute has the value ``""``."""

    tag: str
    attributes: dict[str, str]
    parents: tuple[Element, ...]
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return all text within, with white space squeezed."""
        return " ".join("".join(self.words).split())

    def inside(self, tag: str) -> Element | None:
        """Return the nearest parent of that tag."""
        return next((parent for parent in reversed(self.parents) if parent.tag == tag), None)


class Page(HTMLParser):
    """All elements of a document, in order; refuses tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open, [element.tag for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember the element."""
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Treat ``<path/>`` as it is: opened and closed."""
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which has to be this one."""
        assert self._open, tag
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        """Give the text to every element around it."""
        for element in self._open:
            element.words.append(data)

    def all(self, *tags: str) -> list[Element]:
        """Return the elements of these tags."""
        return [element for element in self.elements if element.tag in tags]

    def having(self, name: str, value: str | None = None) -> list[Element]:
        """Return the elements with an attribute, and with that value where one is given."""
        return [
            element
            for element in self.elements
            if name in element.attributes and value in (None, element.attributes[name])
        ]

    def by_id(self, name: str) -> Element:
        """Return the one element with that id."""
        (element,) = self.having("id", name)
        return element
