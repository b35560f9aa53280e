import os

from tfx.types import artifact, standard_artifacts

from tfx_trust.components import LatestReleasedModelStrategy


def model(identifier: int, uri: str = os.curdir) -> artifact.Artifact:
    made = standard_artifacts.Model()
    made.id, made.uri = identifier, uri
    return made


def judgement(identifier: int, model_id: int, blessed: int | None) -> artifact.Artifact:
    made = standard_artifacts.ModelBlessing()
    made.id = identifier
    made.set_int_custom_property("current_model_id", model_id)
    if blessed is not None:
        made.set_int_custom_property("blessed", blessed)
    return made


def resolved(
    models: list[int], judgements: list[artifact.Artifact], candidate: int, *earlier: int
) -> list[int]:
    result = LatestReleasedModelStrategy().resolve_artifacts(
        None,
        {
            "model": [model(item) for item in models],
            "model_blessing": judgements,
            "candidate": [model(item) for item in (candidate, *earlier)],
        },
    )
    assert [item.get_int_custom_property("current_model_id") for item in result["model_blessing"]] == [
        item.id for item in result["model"]
    ]
    return [item.id for item in result["model"]]


def test_it_is_the_latest_blessed_model() -> None:
    assert resolved([1, 2, 3], [judgement(10, 1, 1), judgement(11, 2, 1)], 3) == [2]


def test_it_is_never_the_candidate_itself() -> None:
    assert resolved([1, 2], [judgement(10, 1, 1), judgement(11, 2, 1)], 2) == [1]
    assert resolved([1], [judgement(10, 1, 1)], 1) == []


def test_of_several_candidates_the_newest_is_meant() -> None:
    assert resolved([1, 2, 3], [judgement(10, 1, 1), judgement(11, 2, 1)], 3, 2, 1) == [2]


def test_a_model_blessed_again_is_the_one_blessed_last() -> None:
    judgements = [judgement(10, 1, 1), judgement(11, 2, 1), judgement(12, 1, 1)]
    assert resolved([1, 2, 3], judgements, 3) == [1]


def test_a_model_whose_files_are_gone_is_passed_over() -> None:
    result = LatestReleasedModelStrategy().resolve_artifacts(
        None,
        {
            "model": [model(1), model(2, "nowhere/model")],
            "model_blessing": [judgement(10, 1, 1), judgement(11, 2, 1)],
            "candidate": [model(3)],
        },
    )
    assert [item.id for item in result["model"]] == [1]


def test_a_refused_or_unjudged_model_is_passed_over() -> None:
    judgements = [judgement(10, 1, 1), judgement(11, 2, 0), judgement(12, 3, None)]
    assert resolved([1, 2, 3, 4], judgements, 4) == [1]


def test_the_last_judgement_of_a_model_counts() -> None:
    judgements = [judgement(12, 2, 0), judgement(11, 2, 1), judgement(10, 1, 1)]
    assert resolved([1, 2, 3], judgements, 3) == [1]


def test_there_is_none_at_first() -> None:
    assert resolved([1], [], 1) == []
