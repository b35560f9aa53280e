"""Connecting to a metadata store, to read it.

What is wrong with a place is found out before ML Metadata is asked: it tells little of it, and waits half a
minute for a locked file.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sqlite3
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2 as pb

from tfx_trust.components.errors import InputError, UsageError

# How long a writer or a server is waited for. A pipeline locks its store for milliseconds.
_PATIENCE_SECONDS = 5.0
_MYSQL_PORT = 3306
_MYSQL_FORM = "mysql://user@host:port/database"
_REFUSED = "mysql_real_connect failed"
_MYSQL_CAUSES = {
    "Unknown database": "the server has no such database",
    # An account that may only read is told so when ML Metadata finds no tables, and would make them.
    "CREATE command denied": "no pipeline has written a metadata store into this database",
}


class Connection(NamedTuple):
    """A store that is open, and what errors call it."""

    raw: Any
    place: str


def connect_sqlite(path: str) -> Connection:
    """Opens the SQLite file of a store; it is never written to.

    Raises
    ------
    InputError
        If there is no such file, it holds no metadata store, or one of another version, a writer locks it, or
        it may not be read.
    """
    _check_file(path)
    if not _is_open_here(path):
        _check_content(path)
    config = pb.ConnectionConfig()
    # Absolute, so that no name is taken for a URI.
    config.sqlite.filename_uri = os.path.abspath(path)
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READONLY
    return Connection(_connect(config, path), path)


def connect_mysql(url: str, password_env: str) -> Connection:
    """Connects to a store in MySQL; the password comes from an environment variable alone.

    ML Metadata knows no reading connection to MySQL: into a database without tables it writes its own, unless
    the account may only read, as it should.

    Raises
    ------
    UsageError
        If the address is not of the form ``mysql://user@host:port/database``, or holds a password; nothing of
        it is repeated.
    InputError
        If there is no such server, or it lets nobody in.
    """
    user, host, port, database = _mysql_parts(url, password_env)
    place = f"mysql://{user}@{host}:{port}/{database}"
    try:
        socket.create_connection((host, port), timeout=_PATIENCE_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"{place}: no MySQL server answers there ({error.strerror or error}); start it, or correct the "
            "address"
        ) from None
    config = pb.ConnectionConfig()
    config.mysql.host, config.mysql.port = host, port
    config.mysql.user, config.mysql.database = user, database
    config.mysql.password = os.environ.get(password_env, "")
    # Else ML Metadata would make a database that is not there.
    config.mysql.skip_db_creation = True
    unset = "" if config.mysql.password else ", which is not set"
    refused = (
        "the server refuses this user or the password; the password is taken from the environment variable "
        f"{password_env}{unset}"
    )
    return Connection(
        _connect(config, place, config.mysql.password, _MYSQL_CAUSES | {_REFUSED: refused}), place
    )


def _connect(
    config: Any, place: str, secret: str = "", causes: Mapping[str, str] = MappingProxyType({})
) -> Any:
    """The store; of what ML Metadata says when there is none, `causes` are told by what they contain."""
    from ml_metadata.metadata_store import metadata_store

    try:
        return metadata_store.MetadataStore(config)
    except (RuntimeError, errors.StatusError) as error:
        told = str(error).replace(secret, "***") if secret else str(error)
    versions = re.search(r"database version (\d+) is (greater|older) than library version (\d+)", told)
    if versions:
        remedy = (
            "use a newer ml-metadata"
            if versions[2] == "greater"
            else "let the pipeline that writes it migrate it, or use the ml-metadata that wrote it"
        )
        raise InputError(
            f"{place}: a metadata store of schema version {versions[1]}, and the installed ml-metadata reads "
            f"{versions[3]}: {remedy}"
        )
    if "Concurrent writes aborted" in told:
        raise InputError(locked(place))
    why = next((cause for sign, cause in causes.items() if sign in told), " ".join(told.split())[:200])
    raise InputError(f"{place}: the metadata store cannot be opened: {why}")


def locked(place: str) -> str:
    """What is said of a store that a writer keeps to itself."""
    return (
        f"{place}: the metadata store is locked by a program that writes to it; try again when that is done"
    )


# SQLite


def _check_file(path: str) -> None:
    if os.path.isdir(path):
        within = Path(path) / "metadata.db"
        hint = str(within) if within.is_file() else f"e.g. {within}"
        raise InputError(f"{path}: a folder, and no metadata store; name the file in it, {hint}")
    try:
        size = os.stat(path).st_size
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; name the metadata store of the pipeline, often metadata.db"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: the metadata store cannot be read: {error.strerror}") from None
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: the metadata store may not be read: permission denied")
    if not size:
        raise InputError(f"{path}: the file is empty: no pipeline has written a metadata store there yet")


def _is_open_here(path: str) -> bool:
    """Whether this process holds the file open: then it must not be opened and closed by another SQLite.

    Closing any descriptor of a file drops all locks that the process has on it, those of a pipeline included.
    """
    wanted = os.stat(path)
    try:
        numbers = os.listdir("/proc/self/fd")
    except OSError:
        return False
    for number in numbers:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(f"/proc/self/fd/{number}"), wanted):
                return True
    return False


def _check_content(path: str) -> None:
    address = f"file:{urllib.parse.quote(os.path.abspath(path))}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE_SECONDS)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'MLMDEnv'").fetchall()
    except sqlite3.Error as error:
        raise InputError(_told(path, str(error))) from None
    if not tables:
        raise InputError(f"{path}: a SQLite file, but no metadata store: it has none of the tables of one")


def _told(path: str, error: str) -> str:
    if "locked" in error:
        return locked(path)
    if "not a database" in error:
        return f"{path}: no SQLite file, and so no metadata store; name the pipeline's metadata.db"
    if os.path.exists(f"{path}-journal"):
        return (
            f"{path}: a writer of this metadata store was interrupted, and left {path}-journal behind; "
            "the next run of the pipeline repairs it, as does `sqlite3` on a copy of both files"
        )
    return f"{path}: the metadata store cannot be read: {error}"


# MySQL


def _mysql_parts(url: str, password_env: str) -> tuple[str, str, int, str]:
    wrong = UsageError(f"the address of the metadata store is not of the form {_MYSQL_FORM}")
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        raise wrong from None
    user, _, server = parts.netloc.rpartition("@")
    if ":" in user:
        raise UsageError(
            "the address of the metadata store holds a password, which a list of processes shows; leave it "
            f"out, and put it into the environment variable {password_env}"
        )
    matched = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?", server)
    named = re.fullmatch(r"/([\w$-]+)/?", parts.path)
    if not user or not matched or not named or parts.query or parts.fragment:
        raise wrong
    return urllib.parse.unquote(user), matched[1].strip("[]"), int(matched[2] or _MYSQL_PORT), named[1]
