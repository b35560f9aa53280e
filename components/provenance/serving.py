"""Which folder of a model's artifact is pushed and served."""

from __future__ import annotations

from collections.abc import Iterable

from tfx_trust.components.provenance.record import FileEntry

_SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
# The first is TFX's; older versions put a folder with a time in the second.
_FOLDERS = ("Format-Serving", "serving_model_dir")


def serving_folder(files: Iterable[FileEntry]) -> str | None:
    """The folder that Pusher copies, relative to the artifact; none where nothing is to be served.

    Where there is none of TFX's folders, it is the one with the SavedModel that lies the highest: empty for
    the artifact's own.

    Examples
    --------
    >>> serving_folder([FileEntry(path="Format-Serving/saved_model.pb", size=1, sha256="")])
    'Format-Serving'
    """
    paths = [file.path for file in files]
    saved = sorted(
        (
            path.rpartition("/")[0]
            for path in paths
            if path.rpartition("/")[2] in _SAVED_MODEL and "assets.extra" not in path.split("/")
        ),
        key=lambda folder: (folder.count("/") if folder else -1, folder),
    )
    for folder in _FOLDERS:
        within = [item for item in saved if item == folder or item.startswith(folder + "/")]
        if within:
            return within[0] if folder == _FOLDERS[1] else folder
        if any(path.startswith(folder + "/") for path in paths):
            return folder
    return saved[0] if saved else None
