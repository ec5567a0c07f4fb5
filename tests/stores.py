"""An object store in the memory of this process that counts its requests and fails when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from maskflow_convert import remote

Event = Callable[[str, str], None]


def nothing(verb: str, key: str) -> None:
    """What happens at a request, if it is to be answered."""


class Store(MemoryFileSystem):
    """`s3://`, as far as these tests go; `requests` are `(verb, key)`, in the order in which they came."""

    protocol = "s3"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    requests: ClassVar[list[tuple[str, str]]] = []
    event: ClassVar[Event] = staticmethod(nothing)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("s3://"))

    def _ask(self, verb: str, path: str) -> None:
        key = self._strip_protocol(path).lstrip("/")
        Store.requests.append((verb, key))
        Store.event(verb, key)

    def cat_file(self, path: str, **options: Any) -> bytes:
        self._ask("GET", path)
        return super().cat_file(path, **options)

    def get_file(self, rpath: str, lpath: str, **options: Any) -> None:
        self._ask("GET", rpath)
        Path(lpath).write_bytes(super().cat_file(rpath))

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode == "rb":
            self._ask("GET", path)
        return super()._open(path, mode, **options)

    def info(self, path: str, **options: Any) -> Any:
        self._ask("HEAD", path)
        return super().info(path, **options)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self._ask("LIST", path)
        return super().ls(path, detail=detail, **options)

    def find(self, path: str, **options: Any) -> Any:
        self._ask("LIST", path)
        return super().find(path, **options)

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        self._ask("PUT", rpath)
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def cp_file(self, path1: str, path2: str, **options: Any) -> None:
        self._ask("COPY", path1)
        super().cp_file(path1, path2, **options)

    def rm_file(self, path: str) -> None:
        self._ask("DELETE", path)
        super().rm_file(path)

    @classmethod
    def contents(cls, prefix: str) -> dict[str, bytes]:
        """The objects whose keys begin so, by the rest of the key."""
        return {
            key.removeprefix(f"/{prefix}/"): value.getvalue()
            for key, value in sorted(cls.store.items())
            if key.startswith(f"/{prefix}/")
        }

    @classmethod
    def put(cls, key: str, content: bytes) -> None:
        """Put an object there, without a request."""
        MemoryFileSystem.pipe_file(cls(), f"/{key}", content)

    @classmethod
    def put_folder(cls, key: str, folder: Path) -> None:
        """Put all files of a folder there."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                cls.put(f"{key}/{file.relative_to(folder).as_posix()}", file.read_bytes())

    @classmethod
    def asked(cls, verb: str) -> list[str]:
        """The keys of the requests of one kind."""
        return [key for each, key in cls.requests if each == verb]


@contextmanager
def a_store() -> Iterator[type[Store]]:
    """An empty store behind `s3://`."""
    before = _registry.get("s3")
    fsspec.register_implementation("s3", Store, clobber=True)
    remote._file_system.cache_clear()
    Store.store.clear()
    Store.requests.clear()
    Store.event = staticmethod(nothing)
    try:
        yield Store
    finally:
        del _registry["s3"]
        if before is not None:
            _registry["s3"] = before
        remote._file_system.cache_clear()
