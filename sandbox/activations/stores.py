"""Objects in a store, such as s3://bucket/x.npy: found, listed and read in ranges, through fsspec.

Credentials stay with the protocol's package (s3fs, gcsfs, adlfs), which finds them as its documentation says: in the
environment, in configuration files, or in a URL's query. No message, report or run state repeats them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeVar

import numpy as np

from sandbox.activations.ahead import read_ahead
from sandbox.errors import InputError
from sandbox.system.text import without_credentials

T = TypeVar("T")

RANGE = 4 * 2**20
"""Bytes to request at a time: enough that a request's latency matters little, few enough to hold several."""

PAUSES = (0.25, 1.0, 4.0)
"""Seconds to wait before each further attempt to read."""

HTTP = ("http://", "https://")


class StoreError(InputError):
    """A store failed while activations were being read. What was counted until then is right, and can be saved."""


@dataclass(frozen=True)
class StoredObject:
    """An object in a store, in place of a file's path.

    Attributes:
        url:     its URL without credentials, for messages
        size:    in bytes
        stamp:   its size and, as far as the store tells them, its ETag and time: they change when it is replaced
        _system: the fsspec filesystem
        _key:    its path there, which may hold a signature
    """

    url: str
    size: int
    stamp: str
    _system: Any = field(repr=False)
    _key: str = field(repr=False)

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.url).name

    @property
    def suffix(self) -> str:
        """The ending of its name."""
        return PurePosixPath(self.url).suffix

    def read(self, start: int, stop: int) -> np.ndarray:
        """Bytes start to stop, in ranges. A failed request is repeated after a pause, a few times.

        Raises: StoreError if they cannot be read
        """
        read = np.empty(stop - start, np.uint8)
        for begin in range(start, stop, RANGE):
            end = min(begin + RANGE, stop)
            read[begin - start : end - start] = np.frombuffer(self._range(begin, end), np.uint8)
        return read

    def check_unchanged(self) -> None:
        """Raises StoreError if the object was replaced since it was opened."""
        now = attempted(self.url, lambda: self._system.info(self._key))
        if _stamp(now, now.get("size")) != self.stamp:
            raise StoreError(f"{self.url} was replaced while it was being read: start again once nothing writes to it")

    def check_ranges(self) -> None:
        """Refuse a web server that sends only whole files; other stores always send ranges. One byte is read."""
        if not self.url.startswith(HTTP) or self.size < 2:
            return
        try:
            # Unlike cat_file, this does not take in a whole file that was not asked for.
            with self._system.open(self._key, cache_type="none", size=self.size) as file:
                file.seek(1)
                file.read(1)
        except ValueError:
            raise InputError(
                f"{self.url}: the server sends whole files only, no ranges of them: download the file first"
            ) from None
        except Exception as error:
            raise StoreError(f"{self.url} cannot be read: {reason(error)}") from None

    def _range(self, start: int, stop: int) -> bytes:
        def request() -> bytes:
            content = self._system.cat_file(self._key, start=start, end=stop)
            if len(content) != stop - start:
                raise ConnectionError(f"{len(content)} bytes came of {stop - start}")
            return content

        return attempted(self.url, request)


def attempted(url: str, request: Callable[[], T]) -> T:
    """The request's answer, after several attempts if necessary. Raises: StoreError with the last failure"""
    for pause in (*PAUSES, None):
        try:
            return request()
        except Exception as error:
            if pause is None or final(error):
                # The library's own error may quote the signed URL, so it is not shown as the cause.
                raise StoreError(f"{url} cannot be read: {reason(error)}") from None
        time.sleep(pause)
    raise AssertionError


def is_url(source: object) -> bool:
    """Whether this names an object in a store rather than a file."""
    return isinstance(source, str) and "://" in source


def found(url: str, name: str) -> tuple[str, StoredObject | list[StoredObject]]:
    """What a URL names, with its name for messages: an object, or all those of a folder or of a pattern.

    Args:   name: what is looked for, for messages
    Raises: InputError for an unknown protocol, one whose package is missing, and an object that cannot be reached
    """
    shown = without_credentials(url)
    system, key = _connected(url, shown)
    path = key.partition("?")[0] if url.startswith(HTTP) else key  # a question mark starts a query, not a wildcard
    try:
        if any(mark in path for mark in "*?["):
            return shown, _objects(system, system.glob(key, detail=True).values())
        info = system.info(key)
        if info.get("type") == "directory" or path.endswith("/"):
            return shown, _objects(system, system.ls(key, detail=True))
        return shown, _object(system, key)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{shown}: {_missing(error)} (for {name})") from None
    except Exception as error:
        raise InputError(f"{shown} cannot be read: {reason(error)}") from None


def _connected(url: str, shown: str) -> tuple[Any, str]:
    """The filesystem for a URL, and the object's path there."""
    try:
        import fsspec
    except ImportError:
        raise InputError(f"{shown}: URLs need the package fsspec: pip install 'shrinkage-sandbox[stores]'") from None
    try:
        # Without caches: neither a listing nor an object's size may be older than the run.
        return fsspec.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        needed = str(error).partition("\n")[0] or "a package is missing"
        raise InputError(f"{shown}: the package for this protocol is missing: {without_credentials(needed)}") from None
    except ValueError:
        protocol = shown.partition("://")[0]
        raise InputError(
            f"{shown}: fsspec has no protocol {protocol}: use s3, gs, az, http, https or another"
        ) from None
    except Exception as error:
        raise InputError(f"{shown} cannot be opened: {reason(error)}") from None


def _objects(system: Any, infos: Any) -> list[StoredObject]:
    keys = [info["name"] for info in infos if info.get("type") != "directory"]
    return list(read_ahead(lambda key: _object(system, key), keys))


def _object(system: Any, key: str) -> StoredObject:
    url = without_credentials(system.unstrip_protocol(key))
    info = attempted(url, lambda: system.info(key))  # a listing may lack sizes, or write times in another way
    if info.get("size") is None:
        raise InputError(f"{url}: the server does not say how long the file is: download it first")
    return StoredObject(url, info["size"], _stamp(info, info["size"]), system, key)


def _stamp(info: dict[str, Any], size: int | None) -> str:
    """What changes when an object is replaced. Each store has its own names for it."""
    etag = next((info[key] for key in ("ETag", "etag", "md5Hash", "content_md5") if info.get(key)), None)
    times = ("LastModified", "Last-Modified", "last_modified", "updated", "mtime", "created")
    time_of = next((info[key] for key in times if info.get(key)), None)
    tag = str(etag).strip('"')
    return f"{size or 0:,} bytes" + (f", ETag {tag}" if etag else f" of {time_of}" if time_of else "")


def final(error: Exception) -> bool:
    """Whether another attempt would fail as this one did: missing, forbidden, or without credentials."""
    missing = isinstance(error, FileNotFoundError | PermissionError | ImportError)
    return missing or "Credentials" in type(error).__name__ or _status(error) in (401, 403, 404)


def reason(error: BaseException) -> str:
    """Why a request failed, in our words: those of the libraries may quote a signed URL or a key."""
    if "Credentials" in type(error).__name__:
        return "no credentials were found (for a public bucket on S3, set FSSPEC_S3_ANON=true)"
    if isinstance(error, FileNotFoundError):
        return _missing(error)
    status = _status(error)
    if isinstance(error, PermissionError) or status in (401, 403):
        return "the store denies access: check the credentials, and whether they have expired"
    if type(error) is ConnectionError:  # our own, of `_range`
        return str(error)
    kind = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
    return kind if status is None else f"{kind} (HTTP status {status})"


def _missing(error: BaseException) -> str:
    """FileNotFoundError, which over HTTP stands for any failure."""
    status = _status(error)
    if status in (401, 403):
        return "the store denies access: check the credentials, and whether they have expired"
    cause = error.__cause__
    if status in (None, 404) and (cause is None or status == 404 or _is_s3(cause)):
        return "there is no such object"
    return f"cannot be read: {type(cause).__name__}" + ("" if status is None else f" (HTTP status {status})")


def _is_s3(error: BaseException) -> bool:
    return type(error).__module__.startswith("botocore")


def _status(error: BaseException | None) -> int | None:
    """The HTTP status that an error, or the one behind it, stands for."""
    while error is not None:
        response = getattr(error, "response", None)
        metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
        status = getattr(error, "status", None) or metadata.get("HTTPStatusCode")
        if isinstance(status, int):
            return status
        error = error.__cause__ or error.__context__
    return None
