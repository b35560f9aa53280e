"""Raw tf.Examples as Transform would write them, one by one and in their order."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components.errors import InputError


class Transformation:
    """Applies the graph of a Transform to raw examples.

    The examples that Transform itself wrote cannot be told apart from each other: Beam writes them in any
    order. Here the order is that of the raw ones.

    Parameters
    ----------
    folder
        Of the TransformGraph artifact.

    Raises
    ------
    InputError
        If there is no graph.
    """

    def __init__(self, folder: str) -> None:
        import tensorflow_transform as tft
        from tensorflow_transform import impl_helper
        from tfx_bsl.coders import example_coder

        self.folder = folder
        output = tft.TFTransformOutput(folder)
        try:
            self.raw_schema: schema_pb2.Schema = output.raw_metadata.schema
            schema = output.transformed_metadata.schema
            layer = output.transform_features_layer()
            spec = output.raw_feature_spec()
        except (OSError, tf.errors.OpError):
            raise InputError(f"{folder}: no whole transform graph; connect the output of Transform") from None

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def transform(serialized: tf.Tensor) -> Any:
            return layer(tf.io.parse_example(serialized, spec))

        self._transform = transform
        # As Transform's own executor does it.
        self._converter = impl_helper.make_tensor_to_arrow_converter(schema)
        self._names = set(output.transformed_feature_spec())
        self._encoder = example_coder.RecordBatchToExamplesEncoder(schema)

    def __call__(self, serialized: Any) -> list[bytes]:
        """The transformed examples, serialized.

        Parameters
        ----------
        serialized
            Raw tf.Examples: a string tensor of shape ``(rows,)``, or what makes one.

        Raises
        ------
        InputError
            If they do not have the features that the graph was made for.
        """
        examples = tf.convert_to_tensor(serialized, tf.string)
        if not int(examples.shape[0]):
            return []
        try:
            features = self._transform(examples)
        except tf.errors.OpError as error:
            # Its message may quote values.
            raise InputError(
                f"{self.folder}: cannot transform the examples ({type(error).__name__}); they must have the "
                "features that Transform was run on"
            ) from None
        absent = sorted(self._names - set(features))
        if absent:
            raise InputError(
                f"{self.folder}: no transformed {', '.join(absent)} from these examples; they must have the "
                "features that Transform was run on"
            )
        batch = self._converter.convert({name: features[name] for name in self._names})
        return [bytes(example) for example in self._encoder.encode(batch)]
