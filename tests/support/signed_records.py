"""A signed record with all that it tells of, on disk: data, artifacts, code, a report, the records before."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from records import census_like, changed, entries, minimal

from tfx_trust.components.provenance.hashing import tree_digest
from tfx_trust.components.provenance.record import Previous, Record
from tfx_trust.components.provenance.report import ProvenanceReport, ProvenanceSection
from tfx_trust.components.provenance.signing import PrivateKey, generate_key, load_private, signature_of
from tfx_trust.components.provenance.writing import file_names, write_record
from tfx_trust.components.report import Finding, Severity

MODULE = "def run_fn(fn_args):\n    return fn_args\n"


@dataclass
class World:
    """Where everything lies."""

    base: Path
    record: Record = field(repr=False)
    folder: Path
    """Of the record."""
    private: Path
    public: Path
    """Files of the keys; outside of `base`."""

    @property
    def model(self) -> Path:
        """The model's artifact."""
        return Path(self.record.artifact(self.record.model).uri)

    @property
    def examples(self) -> Path:
        """Examples that the model was trained on."""
        return Path(self.record.artifact(10).uri)

    @property
    def source(self) -> Path:
        """The raw input."""
        return self.base / "data"

    @property
    def code(self) -> Path:
        """The user's module."""
        return self.base / "module/model.py"

    @property
    def earlier(self) -> list[Path]:
        """Folders of the records before, the last first."""
        return [self.base / "records/2", self.base / "records/1"]

    def copied_to(self, target: Path) -> tuple[Path, tuple[str, str]]:
        """Copies everything; returns the record's folder there, and the prefix that changed."""
        shutil.copytree(self.base, target)
        return target / self.folder.relative_to(self.base), (str(self.base), str(target))


def signed_world(base: Path, keys: Path, *, signed: bool = True) -> World:
    """Writes it all below `base`, and the keys into `keys` if they are not there yet."""
    private = keys / "signing.pem"
    if not private.exists():
        keys.mkdir(parents=True, exist_ok=True)
        generate_key(private)
    key = load_private(private) if signed else None
    base.mkdir(parents=True, exist_ok=True)
    record = changed(census_like(base), **_own_parts(base))
    folder = base / "records/3"
    write_report(folder, record, key)
    write_record(record, folder, key)
    return World(base, record, folder, private, keys / "signing.pub")


def write_report(folder: Path, record: Record, key: PrivateKey | None) -> None:
    """Writes a report of the record, as ProvenanceTracker does before it signs."""
    folder.mkdir(parents=True, exist_ok=True)
    model = record.artifact(record.model)
    signature = signature_of(key.public_key(), file_names(record, signed=True)) if key else None
    section = ProvenanceSection(
        model=model.uri,
        digest=model.tree,
        record=record.digest,
        nodes=[],
        edges=[],
        sources=[],
        obligations=record.obligations,
        changes=record.changes,
        unknowns=record.unknowns,
        signature=signature,
        repository=record.repository,
        environment=record.environment,
        previous=record.previous,
    )
    finding = Finding(check="declared", severity=Severity.WARN, message="A source is declared by nobody.")
    report = ProvenanceReport(component="ProvenanceTracker", findings=[finding], provenance=section)
    (folder / "report.json").write_text(report.to_json(), encoding="utf-8")
    (folder / "report.html").write_text("<!doctype html><title>A page</title>", encoding="utf-8")


def _own_parts(base: Path) -> dict[str, object]:
    """Code that is there, and a chain of records."""
    module = base / "module/model.py"
    module.parent.mkdir()
    module.write_text(MODULE)
    files = entries({"model.py": MODULE})
    content = census_like(base).model_dump(mode="json")
    for execution in content["executions"]:
        if execution["component"] == "Transform":
            execution["parameters"]["module_file"] = os.fspath(module)
    code = {
        "parameter": "module_file",
        "reference": os.fspath(module),
        "execution": 5,
        "files": [file.model_dump() for file in files],
        "tree": tree_digest(files),
    }
    first = minimal()
    second = changed(
        minimal(), previous=_previous(base / "records/1", first).model_dump(mode="json"), run="second"
    )
    for number, record in enumerate((first, second), start=1):
        write_record(record, base / f"records/{number}")
    previous = _previous(base / "records/2", second).model_dump(mode="json")
    return {"executions": content["executions"], "code": [code], "previous": previous}


def _previous(folder: Path, record: Record) -> Previous:
    return Previous(digest=record.digest, uri=str(folder), artifact=7, created=record.created)
