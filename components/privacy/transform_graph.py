"""What Transform learnt of the data and put into its graph: everything that ships with the model.

An analyzer's output is a constant in the end. Transform traces the `preprocessing_fn` once more after the
analysis, with what was found in place of the analyzers, so that TensorFlow captures it: the constants that
a loaded graph captures are the analyzers' outputs, and constants that were made outside of the function,
but not those that are written in it. Where an analyzer writes a file, the file is an asset. So nothing can
be missed by looking at the captured constants and the assets, and what is neither known to be harmless nor
to be private is listed.

What is known to be harmless: tables that are not filled from a file (the words of such a table were known
before the analysis: an analyzer's output cannot fill one), what a lookup answers for words that such a
table does not have, and numbers about a private vocabulary that its file tells as well.

A private analyzer is known by its receipt: the first of the texts that it released, in one constant with
its numbers, or the file beside its vocabulary.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pydantic

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.private_statistics import Receipt, digest
from tfx_trust.components.privacy.report import Mechanism

RECEIPT_SUFFIX = "_receipt"
"""Of the file beside a private vocabulary that tells what it cost."""

_PRIVATE = (
    "private_bounds",
    "private_bucketize",
    "private_compute_and_apply_vocabulary",
    "private_mean_and_var",
    "private_quantiles",
    "private_scale_to_z_score",
    "private_vocabulary",
)
_FOUND = {
    "apply_buckets": "the edges of buckets",
    "apply_vocab": "which values occur",
    "bag_of_words": "which words occur",
    "bucketize": "the edges of buckets, quantiles of the data",
    "bucketize_per_key": "the edges of buckets, quantiles of the data, by key",
    "compute_and_apply_vocabulary": "which values occur",
    "count_per_key": "how often values occur",
    "covariance": "the covariance of columns",
    "histogram": "how often values occur",
    "max": "the greatest value",
    "mean": "the mean",
    "min": "the smallest value",
    "pca": "the principal components",
    "quantiles": "quantiles",
    "scale_by_min_max": "the smallest and the greatest value",
    "scale_by_min_max_per_key": "the smallest and the greatest value, by key",
    "scale_to_0_1": "the smallest and the greatest value",
    "scale_to_0_1_per_key": "the smallest and the greatest value, by key",
    "scale_to_gaussian": "the moments",
    "scale_to_z_score": "the mean and the variance",
    "scale_to_z_score_per_key": "the mean and the variance, by key",
    "size": "the number of values",
    "sum": "a sum",
    "tfidf": "in how many examples words occur",
    "var": "the variance",
    "vocabulary": "which values occur",
}


_UNKNOWN = "something unknown: an analyzer's output, or a constant from outside of the preprocessing function"


class UnknownAnalyzers(InputError):
    """What the analyzers of a transform graph learnt cannot be told."""


@dataclass(frozen=True)
class AnalyzerInfo:
    """What an analyzer learnt of the data."""

    name: str
    """The analyzer, and the features that its output is put together with: ``bucketize/age``."""
    what: str
    """What it found out, in a clause."""
    mechanism: Mechanism | None = None
    """What it cost; none where it was not computed privately."""


def analyzers_of(folder: str) -> list[AnalyzerInfo]:
    """Everything in a transform graph that was, or may have been, learnt of the data.

    Parameters
    ----------
    folder
        Of the TransformGraph artifact.

    Returns
    -------
    list
        By name. Names are made of the graph's scopes, without the numbers that count them; the argument
        `name` of an analyzer makes one. Analyzers of one name are told as one, private ones each by itself.

    Raises
    ------
    UnknownAnalyzers
        If they cannot be told: there is no graph, or it cannot be loaded, or it is of TensorFlow 1's
        behaviour (``force_tf_compat_v1``), in which analyzers' outputs look like all other constants.
    """
    graph = _Graph(folder)
    files = _Files(folder)
    groups = _groups(graph, files)
    rest = set(files.names).difference(*(group.files for group in groups))
    groups += [_Group("file", {name}, files=[name]) for name in rest]
    paid = [(receipt, group.features) for group in groups for receipt in group.receipts]
    for name, receipt in files.receipts.items():
        # Several tables may be made of one file.
        paid.append((receipt, {each for group in groups if name in group.files for each in group.features}))
    plain = [_made_with(name, receipt) for receipt, _ in paid for name in receipt.depends]
    for group in groups:
        unpaid = [name for name in group.files if name not in files.receipts]
        if group.constants or unpaid:
            plain.append(AnalyzerInfo(group.name, group.said(unpaid)))
    private = [_paid(receipt, features) for receipt, features in paid]
    return sorted([*_merged(plain), *private], key=lambda info: info.name)


def _paid(receipt: Receipt, features: Iterable[str]) -> AnalyzerInfo:
    mechanism = receipt.mechanism
    name = _named(analyzer_scope(f"{mechanism.what}/"), features)
    return AnalyzerInfo(name, f"{receipt.found}, with noise", mechanism.model_copy(update={"what": name}))


def _made_with(name: str, receipt: Receipt) -> AnalyzerInfo:
    found = _FOUND.get(name.rsplit("/", 1)[-1], "something of the data")
    return AnalyzerInfo(name, f"{found}, which the input of {receipt.mechanism.what} was made with")


def _merged(plain: Iterable[AnalyzerInfo]) -> list[AnalyzerInfo]:
    by_name: dict[str, list[str]] = {}
    for info in plain:
        by_name.setdefault(info.name, []).append(info.what)
    return [AnalyzerInfo(name, "; ".join(dict.fromkeys(whats))) for name, whats in by_name.items()]


@dataclass
class _Group:
    """What ships of one analyzer."""

    scope: str
    """Of the operations that use it, without numbers; empty where they have none."""
    features: set[str] = field(default_factory=set)
    """Features that it is put together with; for a file that nothing uses, its name."""
    constants: list[str] = field(default_factory=list)
    """Each in a few words."""
    files: list[str] = field(default_factory=list)
    """Names of those that its tables are made of."""
    receipts: list[Receipt] = field(default_factory=list)
    """Of private analyzers."""

    @property
    def name(self) -> str:
        return _named(self.scope or "constant", self.features)

    def said(self, files: Sequence[str]) -> str:
        """What was found, in a clause, with the files that are not private."""
        found = _FOUND.get(self.scope.rsplit("/", 1)[-1])
        if found is None and self.constants:
            found = _UNKNOWN
        elif found is None:
            found = "a file, such as a vocabulary"
        holders = [f"the file {name}" for name in files] + [
            f"{text} ({self.constants.count(text)} times)" if self.constants.count(text) > 1 else text
            for text in dict.fromkeys(self.constants)
        ]
        return f"{found}, in {', '.join(holders)}"


def _groups(graph: _Graph, files: _Files) -> list[_Group]:
    """What ships, by the instance of the scope that it is used in."""
    scopes = {
        capture: _instance(users[0].name) for capture in graph.captures if (users := graph.users(capture))
    }
    groups: dict[tuple[str, str], _Group] = {}
    by_capture = {}
    for capture in graph.captures:
        scope = scopes[capture] if capture in scopes else _unused(capture, scopes.values())
        # Without a scope, nothing tells which belong together.
        group = groups.setdefault((scope, "" if scope else capture), _Group(_plain(scope)))
        by_capture[capture] = group
        group.features |= graph.features(capture, scope)
        file = graph.file(capture)
        if file and file in files.names and file not in group.files:
            group.files.append(file)
    for capture, group in by_capture.items():
        if graph.file(capture) is not None or graph.answers_for_unknown_words(capture):
            continue
        if (receipt := _receipt(graph.value(capture))) is not None:
            group.receipts.append(receipt)
        elif not _told_by_file(graph, capture, group, files):
            group.constants.append(graph.said(capture))
    return [group for group in groups.values() if group.constants or group.files or group.receipts]


def _told_by_file(graph: _Graph, capture: str, group: _Group, files: _Files) -> bool:
    """Whether a number is but the size of its private vocabulary, or what other words get."""
    value = graph.value(capture)
    if not group.files or any(name not in files.receipts for name in group.files):
        return False
    if value is None or value.shape or value.dtype.kind != "i":
        return False
    words = max(files.words(name) for name in group.files)
    # tft's size has the words beside the vocabulary in it.
    return -1 <= value <= words or (value > words and capture.endswith("apply_vocab_sub_x"))


def _receipt(value: Any) -> Receipt | None:
    """The receipt in what a private analyzer released."""
    if value is None or value.dtype.kind not in "OS" or value.ndim != 1 or not len(value):
        return None
    return _parsed(value[0])


def _parsed(text: bytes) -> Receipt | None:
    try:
        return Receipt.model_validate_json(text)
    except pydantic.ValidationError:
        return None


class _Files:
    """The assets of a transform graph, and the receipts of those that are private."""

    def __init__(self, folder: str) -> None:
        import tensorflow as tf

        # As in every SavedModel.
        self._folder = f"{_saved_model(folder)}/assets"
        found = tf.io.gfile.listdir(self._folder) if tf.io.gfile.isdir(self._folder) else []
        names = {name.rstrip("/") for name in found}
        self.receipts = {}
        """By the name of the file that they are about."""
        for name in sorted(names):
            if name + RECEIPT_SUFFIX in names:
                receipt = _parsed(self._content(name + RECEIPT_SUFFIX))
                if receipt is not None and receipt.sha256 == digest(self._content(name)):
                    self.receipts[name] = receipt
        self.names = sorted(names - {name + RECEIPT_SUFFIX for name in self.receipts})
        """Of all, those of receipts aside."""

    def words(self, name: str) -> int:
        return self._content(name).count(b"\n")

    def _content(self, name: str) -> bytes:
        import tensorflow as tf

        with tf.io.gfile.GFile(f"{self._folder}/{name}", "rb") as file:
            return bytes(file.read())


class _Graph:
    """A loaded transform graph."""

    def __init__(self, folder: str) -> None:
        import tensorflow as tf

        try:
            loaded = tf.saved_model.load(_saved_model(folder))
        except Exception as error:  # Whatever the reason, nothing is known of the graph.
            why = str(error).splitlines()[0] if str(error) else ""
            raise UnknownAnalyzers(
                f"{folder}: the transform graph cannot be loaded ({type(error).__name__}: {why})"
            ) from error
        function = getattr(loaded, "transform_fn", None)
        if function is None:
            raise UnknownAnalyzers(
                f"{folder}: the transform graph is of TensorFlow 1's behaviour, in which what analyzers "
                "found looks like all other constants; run Transform without force_tf_compat_v1"
            )
        # Newer and older ways of saving give a concrete function, or a function with one of them.
        graph = next(iter(getattr(function, "concrete_functions", [function]))).graph
        self._operations = {operation.name: operation for operation in graph.get_operations()}
        self._users: dict[str, list[Any]] = {}
        for operation in self._operations.values():
            for tensor in operation.inputs:
                self._users.setdefault(tensor.op.name, []).append(operation)
        self._outside = {inner.op.name: outer for outer, inner in graph.captures}
        self.captures = list(self._outside)
        """Names of what the graph has from outside of it."""
        self._tables = _tables(loaded)
        self._features = self._dependencies(_inputs(graph))

    def users(self, capture: str) -> list[Any]:
        """The operations that use it."""
        return self._users.get(capture, [])

    def value(self, capture: str) -> Any:
        """A constant as an array, none for a resource."""
        outer = self._outside[capture]
        if outer.dtype.name in ("resource", "variant"):
            return None
        # A single text comes as bytes.
        return np.asarray(outer.numpy(), object if outer.dtype.name == "string" else None)

    def file(self, capture: str) -> str | None:
        """The file that a table is made of, empty if of none; none for what is no table."""
        table = self._table(capture)
        return None if table is None else table.file

    def answers_for_unknown_words(self, capture: str) -> bool:
        """Whether it is but what lookups in tables made before the analysis give for other words."""
        users = self.users(capture)
        return bool(users) and all(
            user.type == "LookupTableFindV2"
            and user.inputs[2].op.name == capture
            and (table := self._table(user.inputs[0].op.name)) is not None
            and table.tracked
            for user in users
        )

    def features(self, capture: str, scope: str) -> set[str]:
        """The features that go into its scope; if none do, those that it is put together with first."""
        found = set(self._entering(scope)) if scope else set()
        if found:
            return found
        open_, seen = [*self.users(capture)], {capture}
        while open_:
            operation = open_.pop()
            if operation.name in seen:
                continue
            seen.add(operation.name)
            if self._features[operation.name]:
                found |= self._features[operation.name]
            else:
                open_ += self.users(operation.name)
        return found

    def _entering(self, scope: str) -> frozenset[str]:
        within = [each for name, each in self._operations.items() if name.startswith(f"{scope}/")]
        before = [tensor.op.name for each in within for tensor in each.inputs]
        return frozenset().union(
            *(self._features[name] for name in before if not name.startswith(f"{scope}/"))
        )

    def said(self, capture: str) -> str:
        """It, in a few words."""
        outer = self._outside[capture]
        if self.value(capture) is None:
            return "a variable or another resource"
        return f"a constant, {outer.dtype.name}{list(outer.shape) if outer.shape.rank else ''}"

    def _table(self, capture: str) -> _Table | None:
        outer = self._outside.get(capture)
        return next((table for table in self._tables if table.handle is outer), None)

    def _dependencies(self, inputs: Mapping[str, str]) -> dict[str, frozenset[str]]:
        """The features behind each operation."""
        found = {name: frozenset([feature]) for name, feature in inputs.items()}
        open_ = list(self._operations.values())
        while open_:
            operation = open_[-1]
            before = [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
            missing = [each for each in before if each.name not in found]
            if operation.name in found or not missing:
                open_.pop()
                found.setdefault(operation.name, frozenset().union(*(found[each.name] for each in before)))
            else:
                open_ += missing
        return found


@dataclass(frozen=True)
class _Table:
    """A lookup table."""

    handle: Any
    """Its tensor."""
    file: str
    """The name of the file that it is made of; empty if of none."""
    tracked: bool
    """Whether it was made outside of the graph (`tft.make_and_track_object`), so before any analysis."""


# What Transform itself hangs on the module that it saves.
_TRANSFORMS = ("created_variables", "resources", "initializers", "assets", "transform_fn", "signatures")


def _tables(loaded: Any) -> list[_Table]:
    children = loaded._trackable_children()
    tracked = [child for name, child in children.items() if name not in _TRANSFORMS]
    found: dict[int, _Table] = {}
    for roots, outside in (
        (tracked, True),
        ([children[name] for name in _TRANSFORMS if name in children], False),
    ):
        for each in _below(roots):
            handle = getattr(each, "resource_handle", None)
            if handle is not None:
                found.setdefault(id(handle), _Table(handle, _file_of(each), outside))
    return list(found.values())


def _below(roots: Iterable[Any]) -> list[Any]:
    open_, found = list(roots), {}
    while open_:
        each = open_.pop()
        if id(each) not in found:
            found[id(each)] = each
            open_ += each._trackable_children().values() if hasattr(each, "_trackable_children") else []
    return list(found.values())


def _file_of(table: Any) -> str:
    """The name of the file that a table is made of, empty if of none."""
    initializer = table._trackable_children().get("_initializer")
    filename = None if initializer is None else initializer._trackable_children().get("_filename")
    path = getattr(filename, "asset_path", None)
    return "" if path is None else path.numpy().decode().rsplit("/", 1)[-1]


def _inputs(graph: Any) -> dict[str, str]:
    """Features, by the operations that take them."""
    import tensorflow as tf

    (features,), _ = graph.structured_input_signature
    # Sorted by name, as flattened; a sparse or ragged feature has several tensors.
    names = [
        name for name in sorted(features) for _ in tf.nest.flatten(features[name], expand_composites=True)
    ]
    return {tensor.op.name: name for name, tensor in zip(names, graph.inputs, strict=False)}


def _saved_model(folder: str) -> str:
    import tensorflow_transform as tft

    return str(tft.TFTransformOutput(folder).transform_savedmodel_dir)


# Names


def _named(scope: str, features: Iterable[str]) -> str:
    return "/".join(part for part in (scope, "+".join(sorted(features))) if part)


def analyzer_scope(operation: str) -> str:
    """The analyzer that an operation belongs to, by its name.

    Parameters
    ----------
    operation
        Name of the operation.

    Returns
    -------
    str
        Its scopes up to the first that is named as something of tft or of `analyzers`, or the first one;
        without the numbers that count them. Empty where it has none.

    Examples
    --------
    >>> analyzer_scope("mine/bucketize_2/apply_buckets/assign_buckets/Reshape")
    'mine/bucketize'
    """
    return _plain(_instance(operation))


def _instance(operation: str) -> str:
    scopes = operation.split("/")[:-1]
    known = _known()
    for position, scope in enumerate(scopes):
        if _plain(scope) in known:
            return "/".join(scopes[: position + 1])
    return scopes[0] if scopes else ""


def _unused(capture: str, scopes: Iterable[str]) -> str:
    """The scope of what nothing uses, by its name alone: small letters, with ``_`` for ``/``."""
    among = {scope.lower().replace("/", "_"): scope for scope in scopes if scope}
    among |= {name: name for name in _known() if name not in among}
    begun = [written for written in among if capture.startswith(f"{written}_")]
    return among[max(begun, key=len)] if begun else ""


def _plain(scope: str) -> str:
    """Scopes without the numbers that count them."""
    return "/".join(each if each in _known() else re.sub(r"_\d+$", "", each) for each in scope.split("/"))


@functools.cache
def _known() -> frozenset[str]:
    """Names of scopes that tft and the private analyzers make."""
    import tensorflow_transform as tft

    public = {
        name
        for module in (tft, tft.experimental)
        for name in dir(module)
        if inspect.isroutine(getattr(module, name))
    }
    return frozenset({*public, "apply_vocab", "ptransform", *_PRIVATE})
