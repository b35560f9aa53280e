"""Maps the top-level folders into the import package ``tfx_trust``.

``tfx_trust`` is an implicit namespace package: there is no folder of that name, so the
repository root never shadows the installed package. All metadata is in pyproject.toml.
"""

from setuptools import find_packages, setup

FOLDERS = ("components", "pipelines", "cli", "schemas")


def packages_of(folder: str) -> list[str]:
    return [f"tfx_trust.{folder}", *(f"tfx_trust.{folder}.{name}" for name in find_packages(folder))]


setup(
    packages=[name for folder in FOLDERS for name in packages_of(folder)],
    package_dir={f"tfx_trust.{folder}": folder for folder in FOLDERS},
    package_data={
        "": ["py.typed"],
        "tfx_trust.components.page": ["templates/*"],
        "tfx_trust.pipelines.census": ["*.json", "data/*"],
        "tfx_trust.schemas": ["*.json", "*.pbtxt"],
    },
)
