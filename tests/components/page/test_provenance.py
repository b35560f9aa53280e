"""The pages of a provenance report and of a pushed copy."""

import html
import re
from types import ModuleType

import pytest
from markup import Checker

from tfx_trust.components.page import lineage, provenance, render_report
from tfx_trust.components.provenance.record import Change
from tfx_trust.components.provenance.report import LineageEdge, LineageNode, ProvenanceReport

NAMES = (
    "provenance_sound",
    "provenance_tampered",
    "provenance_bare",
    "push_same",
    "push_altered",
    "push_none",
)
HOSTILE = '<script>alert("x")</script>&"\''


@pytest.fixture(scope="module")
def pages(provenance_samples: ModuleType) -> dict[str, str]:
    return {name: render_report(make()) for name, make in provenance_samples.SAMPLES.items()}


def text(markup: str) -> str:
    """What a reader sees, the picture's texts included."""
    return html.unescape(
        re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", markup.partition("</style>")[2]))
    ).strip()


def part(page: str, anchor: str) -> str:
    """What a reader sees of one section."""
    return text("</style>" + page.partition(f'aria-labelledby="{anchor}"')[2].partition("</section>")[0])


def picture(page: str) -> str:
    return page.partition('<svg class="graph"')[2].partition("</svg>\n</div>")[0]


def node_of(page: str, anchor: str) -> str:
    """The drawing of one part."""
    found = re.search(rf'<a href="#{anchor}" tabindex="-1">(.*?)</a>', picture(page), re.DOTALL)
    assert found
    return found[1]


def with_lineage(
    report: ProvenanceReport, nodes: list[LineageNode], edges: list[LineageEdge]
) -> ProvenanceReport:
    section = report.provenance.model_copy(update={"nodes": nodes, "edges": edges})
    return report.model_copy(update={"provenance": section})


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_one_sound_file_without_scripts_and_network(pages: dict[str, str], name: str) -> None:
    page, read = pages[name], Checker(pages[name])
    assert "<script" not in page
    assert not re.search(r"(src|href)=[\"']((https?:)?//|javascript:)", page)
    assert not read.wrong
    assert not read.open
    assert len(set(read.ids)) == len(read.ids)
    assert {link[1:] for link in read.links if link.startswith("#")} <= set(read.ids)


def test_what_the_model_is_made_of_stands_in_one_sentence(pages: dict[str, str]) -> None:
    assert (
        "The model was made from 2 sources (CC-BY-4.0, 1 without a known licence) by 8 executions. "
        "The record, signed by key 2c70e12b…, has the digests of 30 files, 57.4 MB."
    ) in text(pages["provenance_sound"])
    assert "The record, not signed, has the digest of no file." in text(pages["provenance_bare"])


def test_what_is_beside_the_model_is_not_what_it_was_made_of(provenance_samples: ModuleType) -> None:
    report = provenance_samples.sound()
    made_of = {node.label for node in lineage.ancestors(report.provenance)}
    assert "Trainer" in made_of
    assert not made_of & {"Evaluator", "ModelBlessing", "StatisticsGen"}


def test_what_could_not_be_established_comes_before_everything_else(pages: dict[str, str]) -> None:
    page = pages["provenance_tampered"]
    heads = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert heads[0] == "What could not be established"
    assert heads[1:6] == ["Findings", "Lineage", "Sources", "What the model inherits", "What changed since"]
    assert "There is no file at /data/risk/schemas/census.pbtxt any more." in part(page, "unknown")
    assert "Could not be established 2 things" in text(page)
    assert "Could not be established nothing" in text(pages["provenance_sound"])


def test_sources_executions_and_artifacts_have_different_shapes(pages: dict[str, str]) -> None:
    page = pages["provenance_sound"]
    source, execution, artifact, model = (
        node_of(page, anchor) for anchor in ("source-1", "execution-1", "artifact-1", "artifact-11")
    )
    assert "<path class=" in source
    assert re.search(r'rx="7"', execution)
    assert re.search(r'rx="23"', artifact)
    assert "node-model" in model
    assert "node-model" not in artifact
    assert "CC-BY-4.0" in source
    assert "licence not known" in node_of(page, "source-2")


def test_sources_stand_at_the_left_and_the_model_right_of_all_that_it_was_made_of(
    provenance_samples: ModuleType,
) -> None:
    section = provenance_samples.sound().provenance
    drawn = lineage.picture(section).svg
    left = {
        name: float(x)
        for name, x in re.findall(r'<a href="#([^"]*)".*?class="node-label" x="([\d.]+)"', drawn, re.DOTALL)
    }
    assert left["source-1"] == left["source-2"] == min(left.values())
    before = [node for node in lineage.ancestors(section) if node.role != "model"]
    assert all(left[lineage.anchor(node.id)] < left["artifact-11"] for node in before)


def test_changed_and_unknown_parts_are_marked_by_more_than_colour(pages: dict[str, str]) -> None:
    page = pages["provenance_tampered"]
    changed, unknown, fine = (node_of(page, name) for name in ("artifact-1", "source-2", "artifact-2"))
    assert "is-fail" in changed
    assert "node-icon" in changed
    assert ">changed<" in changed
    assert "node-not_run" in unknown
    assert "node-icon" in unknown
    assert "node-icon" not in fine
    assert "Examples 1 (artifact, changed), from CsvExampleGen 1" in html.unescape(picture(page))


def test_the_table_says_what_the_picture_does(provenance_samples: ModuleType, pages: dict[str, str]) -> None:
    page, section = pages["provenance_sound"], provenance_samples.sound().provenance
    rows = dict(re.findall(r'<tr id="([^"]*)">(.*?)</tr>', page, re.DOTALL))
    assert set(rows) == {lineage.anchor(node.id) for node in section.nodes}
    for edge in section.edges:
        assert f'href="#{lineage.anchor(edge.source)}"' in rows[lineage.anchor(edge.target)]
    for node in section.nodes:
        assert (node.digest or "") in rows[lineage.anchor(node.id)]


def test_a_part_comes_after_what_it_was_made_of(provenance_samples: ModuleType) -> None:
    section = provenance_samples.sound().provenance
    shuffled = section.model_copy(update={"nodes": section.nodes[::-1]})
    for rows in (lineage.parts(section), lineage.parts(shuffled)):
        place = {row.node.id: number for number, row in enumerate(rows)}
        assert len(place) == len(section.nodes)
        assert all(place[edge.source] < place[edge.target] for edge in section.edges)


def test_digests_are_there_in_full_to_be_copied(
    provenance_samples: ModuleType, pages: dict[str, str]
) -> None:
    section = provenance_samples.sound().provenance
    page = pages["provenance_sound"]
    wanted = [section.record, section.digest, section.signature.key_id, section.previous.digest]
    for digest in [*wanted, section.repository.commit, *(item.digest for item in section.sources)]:
        assert f'<code class="copy" title="{digest}">{digest}</code>' in page
    rule = re.search(r"\.copy \{(.*?)\}", page, re.DOTALL)
    assert rule
    assert " user-select: all" in rule[1]
    assert "text-overflow: ellipsis" in rule[1]


def test_sources_are_told_with_what_is_declared_of_them(pages: dict[str, str]) -> None:
    sound, tampered = (
        part(pages["provenance_sound"], "sources"),
        part(pages["provenance_tampered"], "sources"),
    )
    for said in (
        "UCI Adult files that were read: /data/risk/census",
        "Publisher UCI Machine Learning Repository",
        "CC-BY-4.0 31 December 2027 age, sex, race, income identifies nobody, as declared 2 6.0 MB",
        "/data/risk/census/source.yaml",
        "Nothing is declared",
    ):
        assert said in sound
    assert "31 December 2027 over" not in sound
    assert "31 December 2025 over" in tampered


def test_obligations_that_nobody_knows_are_not_told_as_absent(pages: dict[str, str]) -> None:
    shown = part(pages["provenance_bare"], "obligations")
    assert shown.count("Unknown") == 3
    assert "To be named nobody, as far as is known" in shown
    assert "May be used for not known" in shown
    tampered = part(pages["provenance_tampered"], "obligations")
    assert "Commercial use Forbidden" in tampered
    assert "Nothing is declared of census.pbtxt" in tampered
    sound = part(pages["provenance_sound"], "obligations")
    assert "said to be for research/income , not commercially; it is not handed on" in sound


def test_a_changed_file_is_told_with_the_time_in_which_it_changed(pages: dict[str, str]) -> None:
    shown = part(pages["provenance_tampered"], "changes")
    for said in (
        "Split-train/data_tfrecord-00000-of-00001.gz Examples 1 Changed after 4 March 2026, 08:01 UTC and "
        "before 4 March 2026, 09:05 UTC last seen in snapshot 4",
        "Split-eval/a.gz now Split-eval/b.gz Examples 1 Renamed",
        "adult.test.csv UCI Adult Missing not known",
    ):
        assert said in shown
    assert "Nothing, as far as snapshots and records" in part(pages["provenance_sound"], "changes")


@pytest.mark.parametrize(
    ("seen", "found", "said"),
    [
        ("2026-03-04T08:01:12+00:00", "", "after 4 March 2026, 08:01 UTC"),
        ("", "2026-03-04T08:01:12Z", "before 4 March 2026, 08:01 UTC"),
        ("", "", "not known"),
        ("yesterday", "", "after yesterday"),
    ],
)
def test_a_window_tells_the_ends_that_are_known(seen: str, found: str, said: str) -> None:
    assert provenance.window(Change(path="a", kind="changed", seen=seen, found=found)) == said


def test_how_to_check_the_signature_is_told_to_the_letter(
    provenance_samples: ModuleType, pages: dict[str, str]
) -> None:
    shown = part(pages["provenance_sound"], "signature")
    assert "tfx-trust provenance verify . --public-key KEY.pub" in shown
    model = provenance_samples.sound().provenance.model
    assert f"model_signing verify key {model} --signature model.sig --public_key KEY.pub" in shown
    unsigned = part(pages["provenance_tampered"], "signature")
    assert "Nothing was signed." in unsigned
    assert "model_signing" not in unsigned
    assert "tfx-trust provenance verify ." in unsigned


def test_a_command_can_be_pasted_whatever_the_place_is_called(provenance_samples: ModuleType) -> None:
    section = provenance_samples.section(model="/data/it's/a model; rm")
    assert """'/data/it'"'"'s/a model; rm'""" in provenance.commands(section)[1]
    assert "MODEL_DIR" in provenance.commands(provenance_samples.section(model="gs://bucket/model"))[1]


def test_code_environment_and_chain_are_told_or_said_to_be_unknown(pages: dict[str, str]) -> None:
    sound, bare = pages["provenance_sound"], pages["provenance_bare"]
    assert "As committed" in part(sound, "code")
    assert "Trainer.custom_config.seed 7" in part(sound, "code")
    assert "tensorflow==2.16.2" in part(sound, "environment")
    assert "3 March 2026, 09:05 UTC" in part(sound, "chain")
    assert "In no git repository that is known." in part(bare, "code")
    assert "the record was not made where the model was" in part(bare, "environment")
    assert "the first of its pipeline" in part(bare, "chain")
    tampered = pages["provenance_tampered"]
    assert "Changed since" in part(tampered, "code")
    assert "train 31,978 eval 16,190" in part(tampered, "subjects")


def test_the_record_before_is_linked_by_a_path_that_holds_after_a_move(
    provenance_samples: ModuleType,
) -> None:
    folder = f"{provenance_samples.ROOT}/ProvenanceTracker/provenance_record/9"
    assert '"../3/report.html"' in render_report(provenance_samples.sound(), folder)


def test_hostile_names_are_shown_and_not_obeyed(provenance_samples: ModuleType) -> None:
    tampered = provenance_samples.tampered(HOSTILE)
    nodes = [
        node.model_copy(update={"label": HOSTILE, "detail": HOSTILE, "licence": HOSTILE, "place": HOSTILE})
        for node in tampered.provenance.nodes
    ]
    for report in (
        tampered,
        with_lineage(tampered, nodes, tampered.provenance.edges),
        provenance_samples.altered(HOSTILE),
    ):
        page = render_report(report)
        assert "<script" not in page
        assert "&lt;script&gt;alert(" in page
        assert not re.search(r"href=[\"']javascript:", page)
        assert not Checker(page).wrong


def test_what_was_read_and_written_in_place_does_not_hinder_the_picture(
    provenance_samples: ModuleType,
) -> None:
    report = provenance_samples.sound()
    edges = [
        *report.provenance.edges,
        LineageEdge(source="artifact:1", target="execution:1"),
        LineageEdge(source="artifact:11", target="execution:3"),
        LineageEdge(source="artifact:11", target="artifact:11"),
        LineageEdge(source="artifact:999", target="execution:3"),
    ]
    page = render_report(with_lineage(report, report.provenance.nodes, edges))
    assert len(re.findall('class="edge[" ]', picture(page))) == len(report.provenance.edges) + 1
    assert "2 arrows that would run in a circle are not drawn" in text(page)


def test_of_a_very_large_lineage_the_parts_nearest_to_the_model_are_drawn(
    provenance_samples: ModuleType,
) -> None:
    nodes = [
        LineageNode(
            id=f"{'execution' if number % 2 else 'artifact'}:{number}",
            kind="execution" if number % 2 else "artifact",
            label=f"Step{number}",
            role="model" if number == 3000 else "upstream",
        )
        for number in range(3001)
    ]
    edges = [
        LineageEdge(source=left.id, target=right.id) for left, right in zip(nodes, nodes[1:], strict=False)
    ]
    page = render_report(with_lineage(provenance_samples.sound(), nodes, edges))
    drawn = re.findall(r'<a href="#(\w+-\d+)" tabindex="-1">', picture(page))
    assert len(drawn) == lineage.MOST_DRAWN
    assert {"artifact-3000", "execution-2999", f"execution-{3001 - lineage.MOST_DRAWN}"} <= set(drawn)
    assert "2,881 more parts" in page
    assert "by 1,500 executions" in page
    assert f"The other {3001 - lineage.MOST_ROWS:,} are in" in page


def test_a_report_without_any_lineage_has_a_page(provenance_samples: ModuleType) -> None:
    assert "0 parts" in render_report(with_lineage(provenance_samples.bare(), [], []))


def test_the_page_of_a_push_tells_the_outcome_in_one_sentence(pages: dict[str, str]) -> None:
    same, altered, none = (text(pages[name]) for name in ("push_same", "push_altered", "push_none"))
    assert "What was pushed is the model that was recorded, to the byte: 4 files. It carries its" in same
    assert "assets.extra/provenance/signing.pub" in same
    assert "What was pushed is not what was recorded: 2 files differ." in altered
    assert "variables/variables.data-00000-of-00001 Changed" in altered
    assert "Nothing was pushed" in none
    assert "Files compared" not in none
