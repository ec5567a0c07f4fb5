"""A Ray cluster of nodes on this machine. It prints its address; then a line is an order, and is answered by one.

{"cpus": 2, "environment": {"TMPDIR": "/b"}}    start another node
{}                                              kill the last one hard, with all of its workers
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

NODE = {"object_store_memory": 100_000_000, "node_ip_address": "127.0.0.1", "include_dashboard": False}


def kill(pid: int) -> None:
    """Kill a process and all that it has started; first itself, so that it cannot tell anybody."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(pid, signal.SIGKILL)
    for child in children:
        kill(int(child))


def obey(order: dict[str, Any], cluster: Cluster, nodes: list[Any]) -> None:
    if order:
        before = os.environ.copy()
        os.environ.update(order["environment"])
        nodes.append(cluster.add_node(num_cpus=order["cpus"], **NODE))
        os.environ.clear()
        os.environ.update(before)
    else:
        [raylet] = nodes.pop().all_processes["raylet"]
        kill(raylet.process.pid)


def main() -> None:
    cluster, nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **NODE}), []
    answer = cluster.address
    while True:
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
        if not (line := sys.stdin.readline()):
            break
        obey(json.loads(line), cluster, nodes)
        answer = "done"
    cluster.shutdown()


if __name__ == "__main__":
    main()
