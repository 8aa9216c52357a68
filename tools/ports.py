"""Ports of this machine for workers that are started together."""

import random
import socket

# Below those that the system hands out to connections, which would come in between.
_LOWEST, _HIGHEST = 20_000, 32_000


def free_ports(count):
    """So many ports at which nobody listens."""
    chosen = []
    while len(chosen) < count:
        port = random.randrange(_LOWEST, _HIGHEST)
        if port not in chosen and _is_free(port):
            chosen.append(port)
    return chosen


def _is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
