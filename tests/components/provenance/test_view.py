import pytest
from records import census_like

from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.record import (
    ArtifactEntry,
    Change,
    ExecutionEntry,
    FileEntry,
    Port,
    Record,
    SourceEntry,
    Unknown,
)
from tfx_trust.components.provenance.report import LineageEdge, Signature
from tfx_trust.components.provenance.view import READABLE, lineage_picture, section_of

NOON = "2026-11-25T12:00:00+00:00"
TREE = "ab" * 32


def artifact(number: int, kind: str = "Examples", **more: object) -> ArtifactEntry:
    entry = {"id": number, "type": kind, "uri": f"/a/{number}", "role": "upstream", "tree": TREE} | more
    return ArtifactEntry.model_validate(entry)


def execution(number: int, component: str, inputs: list[int], outputs: list[int]) -> ExecutionEntry:
    return ExecutionEntry(
        id=number,
        type=component,
        component=component,
        state="COMPLETE",
        inputs=[Port(name="examples", artifact=item) for item in inputs],
        outputs=[Port(name="examples", artifact=item) for item in outputs],
    )


def spans(count: int) -> Record:
    """Each span read by a generator of its own, all of them by one trainer."""
    model = count + 1
    return Record(
        created=NOON,
        model=model,
        artifacts=[
            *(
                artifact(number, files=[FileEntry(path="a", size=10, sha256=TREE)])
                for number in range(1, model)
            ),
            artifact(model, "Model", role="model"),
        ],
        executions=[
            *(execution(number, "CsvExampleGen", [], [number]) for number in range(1, model)),
            execution(model, "Trainer", list(range(1, model)), [model]),
        ],
        sources=[
            SourceEntry(
                id=f"source:{number}",
                kind="files",
                place=f"/data/span-{number}",
                read_by=number,
                made=[number],
                tree=TREE,
                declaration=SourceDeclaration(name="People", licence="CC0-1.0"),
            )
            for number in range(1, model)
        ],
    )


def test_a_section_holds_what_the_record_does() -> None:
    record = census_like()
    signature = Signature(key_id="k", algorithm="ECDSA P-256, SHA-256", files=["model.sig"])
    section = section_of(record, signature=signature, subjects={"train": 3})
    assert section.model == record.artifact(record.model).uri
    assert section.digest == record.artifact(record.model).tree
    assert section.record == record.digest
    assert (section.pipeline, section.run) == (record.pipeline, record.run)
    assert section.signature == signature
    assert section.subjects == {"train": 3}
    assert section.changes == record.changes
    assert section.unknowns == record.unknowns
    assert section.seeds == record.seeds
    assert section.previous == record.previous
    assert [item.id for item in section.sources] == [item.id for item in record.sources]
    assert section.sources[0].files == len(record.sources[0].files)
    assert section.sources[0].bytes == sum(file.size for file in record.sources[0].files)


def test_a_record_that_is_not_sealed_has_its_digest_all_the_same() -> None:
    record = census_like()
    assert section_of(record.model_copy(update={"digest": ""})).record == record.content_digest()


def test_every_part_is_a_node_and_what_was_read_and_made_are_edges() -> None:
    record = spans(2)
    nodes, edges = lineage_picture(record)
    assert [node.id for node in nodes] == [
        "source:1",
        "source:2",
        "artifact:1",
        "artifact:2",
        "artifact:3",
        "execution:1",
        "execution:2",
        "execution:3",
    ]
    assert edges == [
        LineageEdge(source="source:1", target="execution:1"),
        LineageEdge(source="source:2", target="execution:2"),
        LineageEdge(source="execution:1", target="artifact:1", name="examples"),
        LineageEdge(source="execution:2", target="artifact:2", name="examples"),
        LineageEdge(source="artifact:1", target="execution:3", name="examples"),
        LineageEdge(source="artifact:2", target="execution:3", name="examples"),
        LineageEdge(source="execution:3", target="artifact:3", name="examples"),
    ]
    source, examples, trainer = nodes[0], nodes[2], nodes[-1]
    assert (source.label, source.detail, source.licence) == ("People", "CC0-1.0", "CC0-1.0")
    assert (examples.label, examples.detail, examples.digest) == ("Examples", TREE[:12], TREE)
    assert (examples.files, examples.bytes, examples.count) == (1, 10, 1)
    assert (trainer.label, trainer.kind) == ("Trainer", "execution")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")]
)
def test_a_duration_is_told_as_people_say_it(seconds: int, shown: str) -> None:
    record = spans(1)
    finished = f"2026-11-25T{12 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}+00:00"
    timed = record.executions[-1].model_copy(update={"started": NOON, "finished": finished})
    nodes, _ = lineage_picture(record.model_copy(update={"executions": [timed]}))
    assert nodes[-1].detail == shown


def test_what_changed_and_what_is_not_known_is_marked() -> None:
    record = spans(3)
    record.artifacts[1].tree = None
    record.sources[2].tree = None
    record = record.model_copy(
        update={
            "changes": [
                Change(artifact=1, path="a", kind="changed"),
                Change(source="source:1", path="b", kind="changed", reason="same_size"),
                Change(source="source:2", path="b", kind="changed", reason="read_anew"),
            ],
            # That there is no seed is worth knowing, and no gap in the lineage.
            "unknowns": [
                Unknown(what="code", subject="execution:4", why="x"),
                Unknown(what="seed", subject="execution:3", why="x"),
            ],
        }
    )
    nodes, _ = lineage_picture(record)
    assert {node.id: node.state for node in nodes if node.state != "known"} == {
        "source:1": "changed",
        "source:3": "unknown",
        "artifact:1": "changed",
        "artifact:2": "unknown",
        "execution:4": "unknown",
    }


def test_a_source_that_nothing_is_declared_of_is_called_by_its_place() -> None:
    record = spans(2)
    record.sources[0].declaration = None
    record.sources[1].declaration = SourceDeclaration(name="People")
    nodes, _ = lineage_picture(record)
    assert (nodes[0].label, nodes[0].detail) == ("span-1", "not declared")
    assert (nodes[1].label, nodes[1].detail) == ("People", "licence not declared")


def test_of_many_nodes_those_that_are_alike_are_shown_as_one() -> None:
    nodes, edges = lineage_picture(spans(50))
    assert [(node.id, node.label, node.count) for node in nodes] == [
        ("source:1", "People × 50", 50),
        ("artifact:1", "Examples × 50", 50),
        ("artifact:51", "Model", 1),
        ("execution:1", "CsvExampleGen × 50", 50),
        ("execution:51", "Trainer", 1),
    ]
    assert nodes[1].detail == "50 shown as one"
    assert (nodes[1].files, nodes[1].bytes, nodes[1].digest) == (50, 500, None)
    assert nodes[0].licence == nodes[0].detail == "CC0-1.0"
    assert [(edge.source, edge.target) for edge in edges] == [
        ("source:1", "execution:1"),
        ("execution:1", "artifact:1"),
        ("artifact:1", "execution:51"),
        ("execution:51", "artifact:51"),
    ]


def test_what_changed_is_not_hidden_among_what_did_not() -> None:
    record = spans(50).model_copy(update={"changes": [Change(artifact=7, path="a", kind="changed")]})
    nodes, _ = lineage_picture(record)
    assert [(node.id, node.state, node.count) for node in nodes if node.label.startswith("Examples")] == [
        ("artifact:1", "known", 49),
        ("artifact:7", "changed", 1),
    ]


def test_so_few_that_each_can_be_read_are_shown_one_by_one() -> None:
    count = (READABLE - 2) // 3
    nodes, _ = lineage_picture(spans(count))
    assert len(nodes) == 3 * count + 2
    assert all(node.count == 1 for node in nodes)


def test_the_steps_of_a_long_chain_are_not_alike() -> None:
    count = 200
    record = Record(
        created=NOON,
        model=count,
        artifacts=[
            artifact(number, role="model" if number == count else "upstream")
            for number in range(1, count + 1)
        ],
        executions=[execution(number, "Step", [number], [number + 1]) for number in range(1, count)],
    )
    nodes, edges = lineage_picture(record)
    assert len(nodes) == 2 * count - 1
    assert len(edges) == 2 * count - 2


def test_ports_that_lead_out_of_the_record_are_no_edges() -> None:
    record = spans(1)
    record.executions[-1].inputs.append(Port(name="baseline", artifact=99))
    _, edges = lineage_picture(record)
    assert all("99" not in edge.source for edge in edges)
