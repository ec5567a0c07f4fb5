"""An S3 server on this machine, spoken to over HTTP: moto's, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

SERVER = """\
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The address of the server, which all that reads the environment finds, too."""
    command = [sys.executable, "-c", SERVER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "sEcReT", "AWS_DEFAULT_REGION": "us-east-1"}
        os.environ.update(keys, AWS_ENDPOINT_URL=address)
        yield address
        server.terminate()


@pytest.fixture
def client(endpoint: str) -> Any:
    """An S3 client that is not ours, and a bucket `records` that is empty."""
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="records")
    client.create_bucket(Bucket="data")
    for listed in client.list_objects_v2(Bucket="records").get("Contents", []):
        client.delete_object(Bucket="records", Key=listed["Key"])
    return client
