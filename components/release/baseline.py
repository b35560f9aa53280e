"""Which model the next one is compared with: the last that the release gate blessed."""

from __future__ import annotations

from tfx.dsl.components.common import resolver
from tfx.dsl.io import fileio
from tfx.types import artifact

from tfx_trust.components.blessing import CURRENT_MODEL_ID, blessing_of

MODEL, BLESSING, CANDIDATE = "model", "model_blessing", "candidate"


class LatestReleasedModelStrategy(resolver.ResolverStrategy):
    """Resolves the model that was blessed last, other than the candidate itself.

    TFX's ``LatestBlessedModelStrategy`` would take the candidate as its own baseline when a
    pipeline runs again unchanged: a comparison that says nothing, and an input that breaks the
    cache from the Evaluator on. Which blessings count is a matter of wiring:

    >>> resolver.Resolver(                                                  # doctest: +SKIP
    ...     strategy_class=LatestReleasedModelStrategy,
    ...     model=Channel(type=Model),
    ...     model_blessing=Channel(type=ModelBlessing, producer_component_id="ReleaseGate"),
    ...     candidate=trainer.outputs["model"],
    ... )
    """

    def resolve_artifacts(
        self, store: object, input_dict: dict[str, list[artifact.Artifact]]
    ) -> dict[str, list[artifact.Artifact]]:
        """The inputs again, with ``model`` and ``model_blessing`` cut to the one resolved, or none."""
        # In a notebook's InteractiveContext the channel yields every model that the Trainer has made.
        candidate = max((model.id for model in input_dict.get(CANDIDATE, [])), default=None)
        # A model may be judged again, under another policy: its last judgement counts.
        judgements = {
            blessing.get_int_custom_property(CURRENT_MODEL_ID): blessing
            for blessing in sorted(input_dict[BLESSING], key=lambda blessing: blessing.id)
        }
        released = [
            model
            for model in input_dict[MODEL]
            if model.id in judgements
            and blessing_of(judgements[model.id])
            and model.id != candidate
            # A model that was deleted since is nothing to compare with.
            and fileio.exists(model.uri)
        ]
        latest = max(released, key=lambda model: judgements[model.id].id, default=None)
        return {
            **input_dict,
            MODEL: [latest] if latest else [],
            BLESSING: [judgements[latest.id]] if latest else [],
        }
