"""What more than one component reads from the artifacts of TFX's own."""

from __future__ import annotations

import os

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils

from tfx_trust.components.errors import InputError

STATISTICS_FILE = "FeatureStats.pb"


def read_schema(source: artifact.Artifact) -> schema_pb2.Schema:
    """The schema of a Schema artifact.

    Raises
    ------
    InputError
        If it has no file, or that is no schema.
    """
    paths = fileio.glob(os.path.join(source.uri, "*.pbtxt"))
    if not paths:
        raise InputError(f"{source.uri}: no schema (*.pbtxt) in there; connect the output of SchemaGen")
    with fileio.open(paths[0], "r") as file:
        return parse_schema(file.read(), paths[0])


def parse_schema(text: str, place: str) -> schema_pb2.Schema:
    """A schema from its text.

    Parameters
    ----------
    text
        A text-format ``Schema`` proto.
    place
        Where it is from, for the message.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        return text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        raise InputError(f"{place}: not a text-format Schema proto: {error}") from None


def read_example_counts(statistics: artifact.Artifact) -> dict[str, int]:
    """Number of examples by split, from an ExampleStatistics artifact."""
    counts = {}
    for split, content in by_split(statistics, STATISTICS_FILE).items():
        datasets = statistics_pb2.DatasetFeatureStatisticsList.FromString(content).datasets
        counts[split] = int(sum(dataset.num_examples for dataset in datasets))
    return counts


def by_split(source: artifact.Artifact, file_name: str) -> dict[str, bytes]:
    """The content of a file that an artifact has for each split."""
    contents = {}
    for split in artifact_utils.decode_split_names(source.split_names):
        path = os.path.join(artifact_utils.get_split_uri([source], split), file_name)
        with fileio.open(path, "rb") as file:
            contents[split] = file.read()
    return contents
