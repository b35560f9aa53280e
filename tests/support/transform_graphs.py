"""Transform graphs of a few examples, made without a pipeline."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from leaky import example
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils
from tfx_bsl.public import tfxio


def save_transform_graph(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    spec: Mapping[str, Any],
    preprocessing_fn: Callable[[dict[str, Any]], dict[str, Any]],
) -> str:
    """What Transform would save, having analyzed these rows."""
    schema = schema_utils.schema_from_feature_spec(dict(spec))
    source = tfxio.TFExampleBeamRecord(physical_format="inmem", schema=schema)
    metadata = dataset_metadata.DatasetMetadata(schema)
    with (
        beam.Pipeline("DirectRunner") as pipeline,
        tft_beam.Context(temp_dir=str(folder.parent / "transform_tmp"), use_deep_copy_optimization=True),
    ):
        raw = pipeline | beam.Create([example(row) for row in rows]) | source.BeamSource()
        function = (raw, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(preprocessing_fn)
        function | tft_beam.WriteTransformFn(str(folder))
        raw_folder = os.path.join(folder, tft.TFTransformOutput.RAW_METADATA_DIR)
        metadata | tft_beam.WriteMetadata(raw_folder, pipeline)
    return str(folder)
