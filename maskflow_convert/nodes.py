"""One machine of several that share a conversion without knowing of each other.

Every node makes the same plan and takes each N-th shard of it, so that shares are as even as shards are. Which node
makes a shard follows from the shard's place in the plan alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from maskflow_convert.errors import ConfigError

T = TypeVar("T")

MOST_NODES = 9_999
"""Numbers of shards have five digits: so a file of a node is never called as one of a shard."""


@dataclass(frozen=True, slots=True)
class Node:
    """One of `count` nodes; `number` is its own, from 1 on.

    Raises:
        ConfigError: there cannot be such a node.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= MOST_NODES:
            raise ConfigError(
                f"there is no node {self}: write I/N, as in 2/8 for the second of eight; I is from 1 to N, and N is "
                f"{MOST_NODES:,} at most"
            )

    @classmethod
    def of(cls, said: Node | str) -> Node:
        """The node that somebody means, who may write it as `2/8`.

        Raises:
            ConfigError: it is none.
        """
        if isinstance(said, Node):
            return said
        found = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", said)
        if found is None:
            raise ConfigError(f"{said!r} is not a node: write I/N, as in 2/8 for the second of eight")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def name(self) -> str:
        """As in the names of its files."""
        return f"{self.number}-of-{self.count}"

    def share(self, shards: Sequence[T]) -> list[T]:
        """Its share of what is listed in the order of the plan."""
        return list(shards[self.number - 1 :: self.count])
