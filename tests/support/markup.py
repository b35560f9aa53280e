"""Reading a page as a browser would, to hold its structure against what HTML asks for."""

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Checker(HTMLParser):
    """Notes tags that do not balance, scripts and what stands twice; collects elements, ids and links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(page)
        self.close()

    @property
    def ids(self) -> list[str]:
        return self.values("id")

    @property
    def links(self) -> list[str]:
        return self.values("href")

    @property
    def named(self) -> list[str]:
        """Ids that something on the page refers to."""
        return [*self.values("aria-labelledby"), *(link[1:] for link in self.links if link.startswith("#"))]

    def values(self, attribute: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == attribute]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.wrong.append(f"<{tag}> has an attribute twice: {names}")
        self.wrong += [f"{tag} {name}" for name in names if name.startswith("on")]
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")
