"""Links between pages: only to places that a browser can open, never to what merely looks like one."""

from __future__ import annotations

import posixpath
from urllib.parse import quote, urlsplit

from tfx_trust.components.report import PAGE_FILE


def page_link(uri: str, folder: str | None = None) -> str | None:
    """Link to the page of the report that lies at `uri`.

    Parameters
    ----------
    uri
        Folder of the report.
    folder
        Folder of the page that links; the link is then relative, so that it still holds after
        both were moved together. Without it only an absolute local path can be linked.

    Returns
    -------
    str or None
        None where no link would work.

    Examples
    --------
    >>> page_link("/runs/LeakageValidator/report/12", "/runs/ReleaseGate/release_report/15")
    '../../../LeakageValidator/report/12/report.html'
    >>> page_link("gs://bucket/report") is None
    True
    """
    if not uri:
        return None
    target = posixpath.join(uri, PAGE_FILE)
    there = _root(target)
    if folder is not None and there == _root(folder):
        return _quoted(posixpath.relpath(_path(target), _path(folder)))
    return _quoted(target) if there == ("", True) else None


def relative_link(link: str | None) -> str | None:
    """`link` if it is a path without scheme and host, quoted; otherwise none.

    Examples
    --------
    >>> relative_link("artifacts/Leakage Validator/report.html")
    'artifacts/Leakage%20Validator/report.html'
    >>> relative_link("javascript:alert(1)") is None
    True
    """
    if not link or link.startswith("//") or ":" in link.split("/")[0]:
        return None
    return _quoted(link)


def _root(uri: str) -> tuple[str, bool]:
    parts = urlsplit(uri)
    return (f"{parts.scheme}://{parts.netloc}" if parts.scheme else "", _path(uri).startswith("/"))


def _path(uri: str) -> str:
    # Not urlsplit().path: a local folder may hold "?" or "#" in its name.
    scheme, separator, rest = uri.partition("://")
    return "/" + rest.partition("/")[2] if separator else scheme


def _quoted(path: str) -> str:
    return quote(path, safe="/~!$&'()*+,;=@-._")
