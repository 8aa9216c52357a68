"""Several workers on this machine: their addresses, and the environment of each."""

import json
import os
import random
import socket

# Below those that the system hands out to connections, which would come in between.
_LOWEST, _HIGHEST = 20_000, 32_000


def free_addresses(count):
    """host:port of so many workers, at ports where nobody listens."""
    ports = []
    while len(ports) < count:
        port = random.randrange(_LOWEST, _HIGHEST)
        if port not in ports and _is_free(port):
            ports.append(port)
    return [f"127.0.0.1:{port}" for port in ports]


def _is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def environment(addresses, index):
    """The environment of one of the workers at these addresses; one alone needs no TF_CONFIG."""
    if len(addresses) == 1:
        return dict(os.environ)
    task = {"type": "worker", "index": index}
    return {**os.environ, "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task})}
