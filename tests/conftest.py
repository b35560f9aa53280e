"""What several test files share: whole runs of the census pipeline, each made once."""

import pytest
from command import CommandRun, run_census


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> CommandRun:
    """The census pipeline, run for the first time in a root of its own."""
    return run_census(tmp_path_factory.mktemp("census"))


@pytest.fixture(scope="session")
def second_run(first_run: CommandRun) -> CommandRun:
    """The same once more, over the same root."""
    return run_census(first_run.root)
