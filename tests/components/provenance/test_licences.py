"""Licence expressions, what licences say, and what of it stands against a use."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_trust.components.errors import UsageError
from tfx_trust.components.provenance.config import IntendedUse
from tfx_trust.components.provenance.licence_terms import (
    FREE,
    Terms,
    passes_as,
    strictest,
    terms_of_identifier,
)
from tfx_trust.components.provenance.licence_uses import Clash, chosen, clashes, common_licences, keeps_to
from tfx_trust.components.provenance.licences import check_expression, choices, known_licences, terms_of

RESEARCH = IntendedUse(purpose="research", commercial=False)
SOLD = IntendedUse(purpose="ads")


def shared(licence: str | None, *, commercial: bool = False) -> IntendedUse:
    return IntendedUse(purpose="research", commercial=commercial, distribution=True, licence=licence)


# Expressions


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("CC-BY-4.0", "CC-BY-4.0"),
        ("cc-by-4.0", "CC-BY-4.0"),
        ("mit or (apache-2.0 and BSD-3-Clause)", "MIT OR (Apache-2.0 AND BSD-3-Clause)"),
        ("MIT AND ISC OR Zlib", "(MIT AND ISC) OR Zlib"),
        ("LicenseRef-contract-17", "LicenseRef-contract-17"),
        ("licenseref-Contract-17", "LicenseRef-Contract-17"),
        ("DocumentRef-x:LicenseRef-y AND MIT", "DocumentRef-x:LicenseRef-y AND MIT"),
        ("gpl-2.0-only with classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("MIT WITH AdditionRef-x", "MIT WITH AdditionRef-x"),
        ("CC-BY-NC-4.0+", "CC-BY-NC-4.0+"),
        # Identifiers that the list has replaced.
        ("GPL-2.0", "GPL-2.0-only"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("GPL-2.0-with-classpath-exception", "GPL-2.0-only WITH Classpath-exception-2.0"),
        # One's own licence is never taken for one of the list, whatever it is called.
        ("LicenseRef-Apache", "LicenseRef-Apache"),
    ],
)
def test_an_expression_gets_the_spelling_of_the_list(given: str, expected: str) -> None:
    assert check_expression(given) == expected
    assert check_expression(expected) == expected


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("CC BY 4.0", "unknown licence 'CC BY 4.0': not on the SPDX list, did you mean 'CC-BY-4.0'?"),
        ("CC-BY", "did you mean 'CC-BY-4.0'?"),
        ("CC0", "did you mean 'CC0-1.0'?"),
        ("GPLv3", "did you mean 'GPL-3.0-only'?"),
        ("Apache 2.0", "did you mean 'Apache-2.0'?"),
        (
            "xyzzy",
            "unknown licence 'xyzzy': not on the SPDX list; a licence of one's own is called LicenseRef-",
        ),
        ("MIT AND", "'MIT AND' is no SPDX licence expression"),
        ("(MIT", "'(MIT' is no SPDX licence expression"),
        ("MIT Apache-2.0", "is no SPDX licence expression"),
        ("MIT/X11", "is no SPDX licence expression"),
        ("MIT WITH ISC", "unknown exception 'ISC' after WITH"),
        ("Classpath-exception-2.0", "is an exception to a licence: write <licence> WITH"),
        ("", "a licence of no characters"),
        (" ", "a licence of no characters"),
        ("NOASSERTION", "NOASSERTION is no licence; leave the field out"),
        ("LicenseRef-a_b", "unknown licence 'LicenseRef-a_b'"),
        (" AND ".join(["(MIT OR ISC)"] * 40), "lets choose from 1,099,511,627,776 combinations"),
    ],
)
def test_what_is_no_expression_is_refused_with_what_was_meant(given: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)) as caught:
        check_expression(given)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        expression = check_expression(text)
    except UsageError:
        return
    assert check_expression(expression) == expression
    assert terms_of(expression) is not None


# What they say


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC0-1.0", FREE),
        ("PDDL-1.0", FREE),
        ("Unlicense", FREE),
        ("CDLA-Permissive-2.0", FREE),
        ("CC-BY-4.0", Terms("allowed", "allowed", "allowed", "required", "allowed")),
        ("ODC-By-1.0", Terms("allowed", "allowed", "allowed", "required", "allowed")),
        ("OGL-UK-3.0", Terms("allowed", "allowed", "allowed", "required", "allowed")),
        ("MIT", Terms("allowed", "allowed", "allowed", "required", "allowed")),
        ("Apache-2.0", Terms("allowed", "allowed", "allowed", "required", "allowed")),
        ("BSD-3-Clause", Terms("allowed", "allowed", "allowed", "required", "allowed")),
        ("CC-BY-SA-2.1-JP", Terms("allowed", "allowed", "allowed", "required", "required")),
        ("ODbL-1.0", Terms("allowed", "allowed", "allowed", "required", "required")),
        ("GPL-3.0-or-later", Terms("allowed", "allowed", "allowed", "required", "required")),
        ("AGPL-3.0-only", Terms("allowed", "allowed", "allowed", "required", "required")),
        ("CC-BY-NC-3.0-DE", Terms("forbidden", "allowed", "allowed", "required", "allowed")),
        ("CC-BY-ND-4.0", Terms("allowed", "forbidden", "allowed", "required", "allowed")),
        ("CC-BY-NC-SA-2.0-UK", Terms("forbidden", "allowed", "allowed", "required", "required")),
        ("CC-BY-NC-ND-3.0-IGO", Terms("forbidden", "forbidden", "allowed", "required", "allowed")),
        ("CC-SA-1.0", Terms("allowed", "allowed", "allowed", "allowed", "required")),
        ("NCGL-UK-2.0", Terms("forbidden", "allowed", "allowed", "required", "allowed")),
        # Never assumed.
        ("Unicode-TOU", Terms()),
        ("BUSL-1.1", Terms()),
        ("SSPL-1.0", Terms()),
        ("LicenseRef-contract-17", Terms()),
    ],
)
def test_known_licences_say_what_their_texts_say(licence: str, expected: Terms) -> None:
    assert terms_of(licence) == expected


def test_every_creative_commons_licence_says_what_its_name_says() -> None:
    elements = re.compile(r"CC-[A-Z]{2}(-[A-Z]{2})*-\d\.\d.*")
    found = [name for name in known_licences() if elements.fullmatch(name)]
    assert len(found) > 50
    for name in found:
        parts = name.split("-")
        terms = terms_of_identifier(name)
        assert (terms.commercial == "forbidden") == ("NC" in parts), name
        assert (terms.derivatives == "forbidden") == ("ND" in parts), name
        assert (terms.share_alike == "required") == ("SA" in parts), name
        assert terms.distribution == "allowed", name


def test_and_is_as_strict_as_both() -> None:
    assert terms_of("CC-BY-NC-4.0 AND ODbL-1.0") == Terms(
        "forbidden", "allowed", "allowed", "required", "required"
    )
    assert terms_of("MIT AND BUSL-1.1").commercial == "unknown"
    assert terms_of("CC-BY-NC-4.0 AND BUSL-1.1").commercial == "forbidden"


def test_or_lets_choose_what_fits_the_use() -> None:
    expression = "CC-BY-NC-4.0 OR CC-BY-SA-4.0"
    assert chosen(expression, use=SOLD).licences == ("CC-BY-SA-4.0",)
    assert chosen(expression, use=shared("Apache-2.0")).licences != ("CC-BY-NC-4.0",)
    assert chosen(expression, use=shared("CC-BY-NC-4.0")).licences == ("CC-BY-NC-4.0",)
    assert chosen(expression, use=shared("CC-BY-SA-4.0")).licences == ("CC-BY-SA-4.0",)


def test_or_within_and_is_chosen_from_too() -> None:
    found = [choice.licences for choice in choices("MIT AND (CC-BY-NC-4.0 OR CC0-1.0)")]
    assert found == [("MIT", "CC-BY-NC-4.0"), ("MIT", "CC0-1.0")]
    assert terms_of("MIT AND (CC-BY-NC-4.0 OR CC0-1.0)").commercial == "allowed"


def test_an_exception_leaves_open_whether_to_share_alike() -> None:
    assert terms_of("GPL-2.0-only WITH Classpath-exception-2.0").share_alike == "unknown"


def test_declared_terms_are_those_of_ones_own_licence() -> None:
    declared = {"commercial": "allowed", "derivatives": "forbidden"}
    assert terms_of("LicenseRef-x", declared) == Terms("allowed", "forbidden")
    assert terms_of(None, declared) == Terms("allowed", "forbidden")
    by_licence = {
        choice.licences: choice.terms for choice in choices("CC-BY-NC-4.0 OR LicenseRef-x", declared)
    }
    assert by_licence["CC-BY-NC-4.0",].commercial == "forbidden"
    assert by_licence["CC-BY-NC-4.0",].derivatives == "allowed"
    assert by_licence["LicenseRef-x",].commercial == "allowed"


def test_declared_terms_settle_what_is_unknown_and_never_loosen_what_is_known() -> None:
    assert terms_of("BUSL-1.1", {"commercial": "allowed"}).commercial == "allowed"
    assert terms_of("CC-BY-NC-4.0", {"commercial": "allowed"}).commercial == "forbidden"
    assert terms_of("CC-BY-4.0", {"commercial": "forbidden"}).commercial == "forbidden"


SAID = ("allowed", "unknown", "forbidden")


@given(st.lists(st.sampled_from(SAID), min_size=1))
def test_the_strictest_is_the_slow_twin_s(said: list[str]) -> None:
    expected = "forbidden" if "forbidden" in said else "unknown" if "unknown" in said else "allowed"
    assert strictest(*said) == expected


WELL_KNOWN = ("MIT", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-ND-3.0", "CC-BY-SA-4.0", "BUSL-1.1", "LicenseRef-x")


@given(st.permutations(WELL_KNOWN), st.sampled_from((" AND ", " OR ")))
def test_the_order_of_an_expression_does_not_matter_to_its_terms(names: list[str], word: str) -> None:
    assert terms_of(word.join(names)) == terms_of(word.join(sorted(names)))


@given(st.sampled_from(WELL_KNOWN), st.sampled_from(WELL_KNOWN))
def test_and_never_loosens_and_or_never_tightens(one: str, other: str) -> None:
    order = SAID.index
    for term in ("commercial", "derivatives", "distribution"):
        alone = order(getattr(terms_of(one), term))
        assert order(getattr(terms_of(f"{one} AND {other}"), term)) >= alone
    assert min(choice.demands() for choice in choices(f"{one} OR {other}")) <= choices(one)[0].demands()


# Uses


def terms_against(licence: str, use: IntendedUse) -> list[tuple[str, str]]:
    return [(clash.term, clash.degree) for clash in clashes(chosen(licence, use=use), use)]


@pytest.mark.parametrize(
    ("licence", "use", "expected"),
    [
        ("CC-BY-4.0", SOLD, []),
        ("CC-BY-NC-4.0", SOLD, [("commercial", "forbidden")]),
        ("CC-BY-NC-4.0", RESEARCH, []),
        ("CC-BY-NC-4.0 OR LicenseRef-x", SOLD, [("commercial", "unknown"), ("derivatives", "unknown")]),
        ("BUSL-1.1", RESEARCH, [("derivatives", "unknown")]),
        ("CC-BY-ND-3.0", RESEARCH, [("derivatives", "forbidden")]),
        # Version 4.0 allows adapting, and forbids sharing what comes of it.
        ("CC-BY-ND-4.0", RESEARCH, [("derivatives", "limited")]),
        ("CC-BY-ND-4.0", shared("MIT"), [("derivatives", "forbidden")]),
        ("CC-BY-SA-4.0", RESEARCH, []),
        ("CC-BY-SA-4.0", shared("CC-BY-SA-4.0"), []),
        ("CC-BY-SA-4.0", shared("Apache-2.0"), [("share_alike", "forbidden")]),
        ("CC-BY-SA-4.0", shared(None), [("share_alike", "unknown")]),
        ("CC-BY-NC-4.0", shared("CC-BY-NC-SA-4.0"), []),
        ("CC-BY-NC-4.0", shared("MIT"), [("grant", "forbidden")]),
        ("MIT", shared(None), []),
    ],
)
def test_what_stands_against_a_use(licence: str, use: IntendedUse, expected: list[tuple[str, str]]) -> None:
    assert terms_against(licence, use) == expected


def test_a_clash_names_whose_term_it_is() -> None:
    found = clashes(chosen("CC-BY-4.0 AND CC-BY-NC-4.0", use=SOLD), SOLD)
    assert found == [Clash("commercial", "forbidden", ("CC-BY-NC-4.0",))]


@pytest.mark.parametrize(
    ("share_alike", "licence", "kept"),
    [
        ("CC-BY-SA-3.0", "CC-BY-SA-4.0", True),
        ("CC-BY-SA-4.0", "CC-BY-SA-3.0", False),
        ("CC-BY-SA-1.0", "CC-BY-SA-4.0", False),
        ("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0", False),
        ("CC-BY-SA-4.0", "GPL-3.0-only", True),
        ("GPL-3.0-only", "CC-BY-SA-4.0", False),
        ("GPL-2.0-or-later", "GPL-3.0-only", True),
        ("GPL-2.0-only", "GPL-3.0-only", False),
        ("GPL-2.0-only", "GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("LGPL-2.1-only", "GPL-2.0-only", True),
        ("LGPL-2.1-or-later", "GPL-2.0-only", True),
        ("LGPL-3.0-or-later", "GPL-2.0-only", False),
        ("MPL-2.0", "AGPL-3.0-or-later", True),
        ("ODbL-1.0", "CC-BY-SA-4.0", False),
        ("LicenseRef-own", "LicenseRef-own", True),
        # Whoever receives it may choose the one that does not share alike.
        ("CC-BY-SA-4.0", "CC-BY-SA-4.0 OR MIT", False),
        ("CC-BY-SA-4.0", "CC-BY-SA-4.0 AND MIT", True),
    ],
)
def test_under_which_licences_something_may_be_shared_alike(
    share_alike: str, licence: str, kept: bool
) -> None:
    assert keeps_to(licence, share_alike) is kept


def test_licences_that_want_the_model_for_themselves_have_nothing_in_common() -> None:
    assert common_licences(["CC-BY-SA-4.0", "ODbL-1.0"]) == frozenset()
    assert common_licences(["CC-BY-SA-4.0", "GPL-3.0-only"]) == {"GPL-3.0-only"}
    assert common_licences([]) is None


def test_sharing_alike_is_transitive_among_versions() -> None:
    known = known_licences()
    versions = ["CC-BY-SA-2.0", "CC-BY-SA-2.5", "CC-BY-SA-3.0", "CC-BY-SA-4.0"]
    for older, newer in itertools.combinations(versions, 2):
        assert newer in passes_as(older, known)
        assert older not in passes_as(newer, known)
