"""Which folder of a model's artifact is pushed and served."""

from __future__ import annotations

from collections.abc import Iterable

from tfx_trust.components.provenance.record import FileEntry

_SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
# TFX's, and that of its older versions. Estimators put the model into `export/<name>/<time>` below it.
_FOLDERS = ("Format-Serving", "serving_model_dir")
_EXPORT = "export"


def serving_folder(files: Iterable[FileEntry]) -> str | None:
    """The folder that Pusher copies, relative to the artifact; none where no folder in it is to be served.

    Where there is none of TFX's folders, it is the one with a SavedModel that lies the highest.

    Examples
    --------
    >>> serving_folder([FileEntry(path="Format-Serving/saved_model.pb", size=1, sha256="")])
    'Format-Serving'
    """
    paths = [file.path for file in files]
    saved = sorted(
        (path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] in _SAVED_MODEL),
        key=lambda folder: (folder.count("/"), folder),
    )
    for folder in _FOLDERS:
        exported = [item for item in saved if item.startswith(f"{folder}/{_EXPORT}/")]
        if exported:
            return exported[0]
        if any(path.startswith(f"{folder}/") for path in paths):
            return folder
    # One that lies in the artifact's own folder is signed with all that is in it.
    return None if "" in saved else next(iter(saved), None)
