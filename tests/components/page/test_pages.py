"""What holds of every page, whatever it shows."""

import re
import subprocess
import sys
from itertools import pairwise
from types import ModuleType

from markup import Checker

NAMESPACES = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")


def test_tags_balance_and_ids_are_unique(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        checker = Checker(page)
        assert not checker.wrong, name
        assert not checker.open, name
        assert len(set(checker.ids)) == len(checker.ids), name


def test_nothing_is_fetched_and_nothing_runs(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        for namespace in NAMESPACES:
            page = page.replace(namespace, "")
        assert not re.search(r"https?://|@import|<script|javascript:", page, re.IGNORECASE), name
        for tag, attribute, value in Checker(page).attributes:
            assert not attribute.startswith("on"), (name, tag, attribute)
            if attribute in ("href", "src", "xlink:href"):
                assert value == "data:," or not re.match(r"[a-z]+:|//", value), (name, tag, value)
    assert all("default-src 'none'" in page for page in pages.values())


def test_hostile_text_is_shown_as_text(pages: dict[str, str], samples: ModuleType) -> None:
    for name in ("report_hostile.html", "run_hostile.html"):
        assert "<script" not in pages[name]
        assert "&lt;script&gt;alert(" in pages[name]
        assert "国勢調査" in pages[name]
    # Escaped once, not twice.
    assert "&amp;lt;" not in pages["report_hostile.html"]


def test_landmarks_headings_and_language(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        tags = Checker(page).tags
        assert [tags.count(tag) for tag in ("header", "main", "footer", "h1")] == [1] * 4, name
        levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
        assert all(lower <= upper + 1 for upper, lower in pairwise(levels)), (name, levels)
        assert '<html lang="en">' in page
        assert tags.count("table") == tags.count("caption"), name


def test_every_label_refers_to_something(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        checker = Checker(page)
        named = [value for _, attribute, value in checker.attributes if attribute == "aria-labelledby"]
        assert set(named) <= set(checker.ids), name


def test_same_input_gives_same_bytes(pages: dict[str, str], samples: ModuleType) -> None:
    assert samples.pages() == pages


def test_pages_need_no_heavy_import() -> None:
    heavy = "altair vl_convert numpy pandas tensorflow tfx pyarrow"
    code = f"import sys, tfx_trust.components.page; print([m for m in '{heavy}'.split() if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
