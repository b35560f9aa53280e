"""What a model inherits of its sources, and what stands against its use."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_trust.components.provenance.config import IntendedUse, SourceDeclaration
from tfx_trust.components.provenance.obligations import conflicts, inherit
from tfx_trust.components.provenance.purposes import covers
from tfx_trust.components.provenance.record import Obligations, SourceEntry
from tfx_trust.components.report import Finding, Severity

TODAY = datetime.date(2026, 11, 25)
ADS = IntendedUse(purpose="ads")
RESEARCH = IntendedUse(purpose="research/health", commercial=False)


def source(number: int, **declared: object) -> SourceEntry:
    return SourceEntry(
        id=f"source:{number}",
        kind="files",
        place=f"/data/{number}",
        declaration=SourceDeclaration.of({"name": "photos", **declared}) if declared else None,
    )


def found(sources: list[SourceEntry], use: IntendedUse | None, *, required: bool = False) -> list[Finding]:
    return conflicts(sources, inherit(sources, use=use), use, TODAY, require_declarations=required)


def only(sources: list[SourceEntry], use: IntendedUse | None, check: str) -> Finding:
    (finding,) = [item for item in found(sources, use) if item.check == check]
    return finding


def checks(sources: list[SourceEntry], use: IntendedUse | None) -> set[tuple[str, Severity]]:
    return {(item.check, item.severity) for item in found(sources, use)}


# What is inherited


def test_of_each_term_the_strictest_is_inherited() -> None:
    sources = [
        source(
            1,
            name="a",
            licence="CC-BY-NC-4.0",
            purposes=["any"],
            retention="2031-01-01",
            personal_data=["sex"],
        ),
        source(2, name="b", licence="CC-BY-SA-4.0", purposes=["research"], retention="2030-01-01"),
        source(3, name="c", licence="CC0-1.0", personal_data=["age"], legal_basis="consent"),
    ]
    assert inherit(sources) == Obligations(
        licences=["CC-BY-NC-4.0", "CC-BY-SA-4.0", "CC0-1.0"],
        commercial="forbidden",
        derivatives="allowed",
        distribution="allowed",
        attribution=["a", "b"],
        share_alike=["CC-BY-SA-4.0"],
        purposes=["research"],
        retention="2030-01-01",
        personal_data=["age", "sex"],
        legal_bases={"c": "consent"},
        undeclared=[],
    )


def test_of_an_undeclared_source_all_is_unknown() -> None:
    obligations = inherit([source(1, licence="CC0-1.0"), source(2)])
    assert (obligations.commercial, obligations.distribution) == ("unknown", "unknown")
    assert obligations.undeclared == ["source:2"]


def test_of_no_sources_nothing_is_known() -> None:
    assert inherit([]) == Obligations()


def test_sources_of_one_name_keep_their_legal_bases() -> None:
    sources = [source(1, legal_basis="consent"), source(2, legal_basis="contract")]
    assert inherit(sources).legal_bases == {"photos": "consent, contract"}


def test_a_licence_that_lets_choose_is_chosen_for_the_use() -> None:
    sources = [source(1, licence="CC-BY-NC-4.0 OR CC-BY-SA-4.0")]
    assert inherit(sources, use=ADS).share_alike == ["CC-BY-SA-4.0"]
    shared = IntendedUse(purpose="x", commercial=False, distribution=True, licence="CC-BY-NC-4.0")
    assert inherit(sources, use=shared).share_alike == []


LICENCES = [
    None,
    "MIT",
    "CC-BY-NC-4.0",
    "CC-BY-SA-4.0",
    "CC-BY-ND-3.0",
    "BUSL-1.1",
    "MIT OR GPL-3.0-only",
    "LicenseRef-x",
]
DECLARATIONS = st.builds(
    SourceDeclaration,
    name=st.sampled_from("abc"),
    licence=st.sampled_from(LICENCES),
    terms=st.sampled_from(
        [{}, {"commercial": "forbidden"}, {"distribution": "allowed", "derivatives": "allowed"}]
    ),
    purposes=st.none() | st.lists(st.sampled_from(["any", "research", "research/health", "ads"]), max_size=3),
    retention=st.none() | st.dates(datetime.date(2026, 1, 1), datetime.date(2030, 1, 1)),
    personal_data=st.none() | st.lists(st.sampled_from(["age", "sex", "health"]), max_size=3),
    legal_basis=st.sampled_from([None, "consent", "contract"]),
)
SOURCES = st.builds(
    lambda number, declared: source(number).model_copy(update={"declaration": declared}),
    st.integers(1, 9),
    st.none() | DECLARATIONS,
)
USES = st.none() | st.builds(
    IntendedUse,
    purpose=st.sampled_from(["ads", "research/health"]),
    commercial=st.booleans(),
    distribution=st.booleans(),
    licence=st.sampled_from([None, "MIT", "CC-BY-SA-4.0"]),
)
STRICTNESS = ("allowed", "unknown", "forbidden").index


@given(st.lists(SOURCES, min_size=1, max_size=5), SOURCES, USES)
def test_one_more_source_never_loosens_anything(
    sources: list[SourceEntry], more: SourceEntry, use: IntendedUse | None
) -> None:
    before, after = inherit(sources, use=use), inherit([*sources, more], use=use)
    for term in ("commercial", "derivatives", "distribution"):
        assert STRICTNESS(getattr(after, term)) >= STRICTNESS(getattr(before, term))
    for listed in ("licences", "attribution", "share_alike", "personal_data", "undeclared"):
        assert set(getattr(before, listed)) <= set(getattr(after, listed))
    assert set(before.legal_bases) <= set(after.legal_bases)
    if before.retention is not None:
        assert after.retention is not None
        assert after.retention <= before.retention
    if before.purposes is not None:
        assert after.purposes is not None
        assert all(any(covers(old, new) for old in before.purposes) for new in after.purposes)


@given(st.lists(SOURCES, max_size=5), st.randoms(use_true_random=False), USES)
def test_the_order_of_sources_does_not_matter(
    sources: list[SourceEntry], random: object, use: IntendedUse | None
) -> None:
    shuffled = list(sources)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert inherit(shuffled, use=use) == inherit(sources, use=use)


@given(st.lists(SOURCES, max_size=5), USES)
def test_the_same_sources_twice_are_the_same(sources: list[SourceEntry], use: IntendedUse | None) -> None:
    assert inherit([*sources, *sources], use=use) == inherit(sources, use=use)


@given(st.lists(SOURCES, max_size=5), USES)
def test_every_finding_can_be_read_and_acted_on(sources: list[SourceEntry], use: IntendedUse | None) -> None:
    for item in found(sources, use):
        assert item.message.rstrip("/").endswith((".", ")")) or item.check == "attribution_required"
        assert item.remedy or item.severity is Severity.INFO
        assert "None" not in item.message + item.remedy


# Licences


def test_data_that_may_not_be_sold_stop_a_model_that_is() -> None:
    finding = only([source(1, licence="CC-BY-NC-4.0", contact="ann@example.org")], ADS, "licence_conflict")
    assert finding.severity is Severity.FAIL
    assert finding.subject == "photos"
    assert finding.message == "photos must not be used commercially (CC-BY-NC-4.0), and the model is to be."
    assert "ask ann@example.org" in finding.remedy
    assert finding.evidence == {"sources": ["source:1"], "licence": "CC-BY-NC-4.0"}
    assert "licence_conflict" not in {
        check for check, _ in checks([source(1, licence="CC-BY-NC-4.0")], RESEARCH)
    }


@pytest.mark.parametrize(
    ("licence", "use", "severity", "part"),
    [
        ("CC-BY-ND-3.0", RESEARCH, Severity.FAIL, "Nothing may be made of photos"),
        ("CC-BY-ND-4.0", RESEARCH, Severity.WARN, "what is made of it may not be shared"),
        (
            "CC-BY-SA-4.0",
            IntendedUse(purpose="x", distribution=True, licence="MIT"),
            Severity.FAIL,
            "may be handed on under CC-BY-SA-4.0 only, and the model is to be under MIT",
        ),
        (
            "CC-BY-NC-4.0",
            IntendedUse(purpose="x", commercial=False, distribution=True, licence="MIT"),
            Severity.FAIL,
            "handed on under MIT, which allows that",
        ),
    ],
)
def test_every_conflict_with_a_licence_is_told(
    licence: str, use: IntendedUse, severity: Severity, part: str
) -> None:
    finding = only([source(1, licence=licence)], use, "licence_conflict")
    assert finding.severity is severity
    assert part in finding.message


def test_an_own_licence_that_forbids_handing_on_is_told() -> None:
    sources = [
        source(1, licence="LicenseRef-x", terms={"distribution": "forbidden", "derivatives": "allowed"})
    ]
    shared = IntendedUse(purpose="x", commercial=False, distribution=True)
    finding = only(sources, shared, "licence_conflict")
    assert finding.message == (
        "What is made of photos must not be handed to others (LicenseRef-x), and the model is to be."
    )
    assert "licence_conflict" not in {check for check, _ in checks(sources, RESEARCH)}


def test_licences_that_each_want_the_model_for_themselves_cannot_be_combined() -> None:
    sources = [source(1, name="wiki", licence="CC-BY-SA-4.0"), source(2, name="maps", licence="ODbL-1.0")]
    shared = IntendedUse(purpose="x", distribution=True)
    assert only(sources, shared, "licences_incompatible").severity is Severity.FAIL
    assert "licences_incompatible" not in {check for check, _ in checks(sources, ADS)}


def test_licences_that_can_be_chosen_to_fit_together_do() -> None:
    sources = [
        source(1, name="wiki", licence="CC-BY-SA-4.0"),
        source(2, name="maps", licence="ODbL-1.0 OR CC-BY-SA-4.0"),
        source(3, name="own", licence="CC0-1.0"),
    ]
    shared = IntendedUse(purpose="x", distribution=True)
    assert "licences_incompatible" not in {check for check, _ in checks(sources, shared)}


def test_two_of_the_same_own_licence_fit_together() -> None:
    terms = {"share_alike": "required"}
    sources = [source(n, name=str(n), licence="LicenseRef-x", terms=terms) for n in (1, 2)]
    shared = IntendedUse(purpose="x", distribution=True)
    assert "licences_incompatible" not in {check for check, _ in checks(sources, shared)}


def test_what_a_licence_says_is_unknown_is_told_where_it_matters() -> None:
    finding = only([source(1, licence="BUSL-1.1")], ADS, "licence_unknown")
    assert finding.severity is Severity.WARN
    assert (
        "whether photos (BUSL-1.1) allows commercial use and making something of the data" in finding.message
    )
    assert checks([source(1, licence="BUSL-1.1")], None) == set()


def test_a_licence_that_is_not_declared_warns_where_a_use_is() -> None:
    assert ("licence_unknown", Severity.WARN) in checks([source(1, name="x")], ADS)
    assert ("licence_unknown", Severity.INFO) in checks([source(1, name="x")], None)


def test_sharing_alike_under_no_licence_that_is_told_warns() -> None:
    shared = IntendedUse(purpose="x", distribution=True)
    finding = only([source(1, licence="CC-BY-SA-4.0")], shared, "licence_unknown")
    assert "Give the licence of the model" in finding.remedy


def test_what_is_not_known_and_what_is_not_said_are_told_apart() -> None:
    use = IntendedUse(purpose="ads", distribution=True)
    known = dict.fromkeys(("commercial", "derivatives", "distribution"), "allowed")
    own = only([source(1, licence="LicenseRef-x", terms=known)], use, "licence_unknown")
    assert "not known whether" in own.message
    assert "allows handing it on under another licence" in own.message
    both = [
        item.message
        for item in found([source(1, licence="CC-BY-SA-4.0 AND LicenseRef-x")], use)
        if item.check == "licence_unknown"
    ]
    assert "handed on under CC-BY-SA-4.0 only, and it is not said under which licence" in both[0]
    assert "another licence" not in both[1]


def test_who_must_be_named_is_told_with_the_citation() -> None:
    finding = only(
        [source(1, licence="CC-BY-4.0", citation="Ann (2024). Photos.")], None, "attribution_required"
    )
    assert finding.severity is Severity.INFO
    assert finding.message == "photos must be named (CC-BY-4.0): Ann (2024). Photos."
    assert "attribution_required" not in {check for check, _ in checks([source(1, licence="CC0-1.0")], None)}


# Purposes


def test_another_purpose_than_the_declared_ones_fails() -> None:
    finding = only([source(1, purposes=["research", "teaching"])], ADS, "purpose_conflict")
    assert finding.severity is Severity.FAIL
    assert finding.message == "photos may be used for research, teaching, and the model is for ads."
    for purposes in (["any"], ["research"], ["Research/Health"]):
        assert "purpose_conflict" not in {
            check for check, _ in checks([source(1, purposes=purposes)], RESEARCH)
        }
    assert "purpose_conflict" in {
        check for check, _ in checks([source(1, purposes=["research/age"])], RESEARCH)
    }
    assert "no purpose at all" in only([source(1, purposes=[])], ADS, "purpose_conflict").message


def test_purposes_that_are_not_declared_weigh_more_for_personal_data() -> None:
    assert ("purpose_unknown", Severity.INFO) in checks([source(1, licence="MIT")], ADS)
    assert ("purpose_unknown", Severity.WARN) in checks([source(1, personal_data=["age"])], ADS)


# Retention


def test_the_last_day_is_called_today() -> None:
    (near,) = [item for item in found([source(1, retention=TODAY)], None) if item.check == "retention_near"]
    assert f"must be gone after {TODAY}, which is today, and so must" in near.message


@pytest.mark.parametrize(
    ("days", "check", "severity"),
    [
        (-400, "retention_passed", Severity.FAIL),
        (-1, "retention_passed", Severity.FAIL),
        (0, "retention_near", Severity.WARN),
        (30, "retention_near", Severity.WARN),
        (31, None, None),
    ],
)
def test_the_day_of_retention_is_the_last_one(
    days: int, check: str | None, severity: Severity | None
) -> None:
    last = TODAY + datetime.timedelta(days)
    findings = [
        item for item in found([source(1, retention=last)], None) if item.check.startswith("retention")
    ]
    assert [item.check for item in findings] == ([check] if check else [])
    for item in findings:
        assert item.severity is severity
        assert item.statistic is not None
        assert item.statistic.value == days
        assert str(last) in item.message


# People


def test_personal_data_need_a_legal_basis_and_consent_a_record_of_it() -> None:
    def of(**declared: object) -> set[tuple[str, Severity]]:
        sources = [source(1, licence="CC0-1.0", personal_data=["age"], **declared)]
        return checks(sources, None)

    told = {("personal_data", Severity.INFO)}
    assert of() == told | {("legal_basis_missing", Severity.WARN)}
    assert of(legal_basis="consent") == told | {("consent_missing", Severity.WARN)}
    assert of(legal_basis="consent", consent="the form of 2024") == told
    assert of(legal_basis="contract") == told
    assert of(legal_basis="not_personal_data") == told
    assert checks([source(1, licence="CC0-1.0", personal_data=[])], None) == set()


# Undeclared


def test_an_undeclared_source_warns_or_fails() -> None:
    (finding,) = found([source(1)], ADS)
    assert (finding.check, finding.severity) == ("undeclared_source", Severity.WARN)
    assert "/data/1" in finding.message
    (finding,) = found([source(1)], ADS, required=True)
    assert finding.severity is Severity.FAIL


def test_a_model_of_no_known_source_fails_where_declarations_are_required() -> None:
    assert found([], ADS) == []
    (finding,) = found([], ADS, required=True)
    assert (finding.check, finding.severity) == ("undeclared_source", Severity.FAIL)


def test_a_declaration_of_several_sources_is_judged_once() -> None:
    sources = [source(number, licence="CC-BY-NC-4.0") for number in (2, 1)]
    assert only(sources, ADS, "licence_conflict").evidence["sources"] == ["source:1", "source:2"]


def test_well_declared_data_raise_nothing_but_information() -> None:
    sources = [source(1, licence="CC-BY-4.0", purposes=["any"], personal_data=[], citation="Ann (2024).")]
    assert checks(sources, ADS) == {("attribution_required", Severity.INFO)}
