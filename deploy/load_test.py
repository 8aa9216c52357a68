"""Asks an MLServer for pictures from several clients at once; prints throughput, latency, memory.

    python deploy/load_test.py --pid=$(pgrep -of 'mlserver start') --count=16

Each picture must be, byte for byte, the one that the server gave before the load for its seed.
"""

import argparse
import http.client
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

SEEDS = 32


def tensor(name, datatype, data):
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}


def ask(connection, count, seed, labels):
    """The pictures of a seed, as the server encodes them."""
    inputs = [tensor("count", "INT32", [count]), tensor("seed", "INT64", [seed])]
    inputs += [tensor("labels", "BYTES", labels)] if labels else []
    body = {"parameters": {"signature_name": "generate"}, "inputs": inputs}
    path, kind = "/v2/models/lsgan/infer", {"Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), kind)
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise RuntimeError(f"{response.status}: {answer[:500].decode()}")
    return json.loads(answer)["outputs"][0]["data"]


def resident_mb(pid):
    """Resident memory of a process and its descendants."""
    total, found = 0, [pid]
    for one in found:
        proc = Path(f"/proc/{one}")
        total += int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        children = (child.read_text() for child in proc.glob("task/*/children"))
        found += [int(number) for text in children for number in text.split()]
    return total / 1e6


def client(number, connect, request, expected, until, seconds, wrong):
    """Asks for one seed after another until the time is over."""
    connection = connect()
    seed = number
    while time.perf_counter() < until:
        started = time.perf_counter()
        pictures = request(connection, seed % SEEDS)
        seconds.append(time.perf_counter() - started)
        if pictures != expected[seed % SEEDS]:
            wrong.append(seed % SEEDS)
        seed += 5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--count", type=int, default=1, help="pictures a request")
    parser.add_argument("--labels", default="", help="class names, separated by commas")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pid", type=int, help="of the server, for its memory; Linux only")
    args = parser.parse_args()
    labels = args.labels.split(",") if args.labels else []

    def connect():
        return http.client.HTTPConnection(urlsplit(args.url).netloc, timeout=300)

    def request(connection, seed):
        return ask(connection, args.count, seed, labels)

    alone = connect()
    expected = [request(alone, seed) for seed in range(SEEDS)]
    before = resident_mb(args.pid) if args.pid else 0
    seconds, wrong, began = [], [], time.perf_counter()
    common = (connect, request, expected, began + args.seconds, seconds, wrong)
    with ThreadPoolExecutor(args.clients) as pool:
        list(pool.map(lambda number: client(number, *common), range(args.clients)))
    rate = len(seconds) / (time.perf_counter() - began)
    p50, p99 = (1e3 * sorted(seconds)[int(share * len(seconds))] for share in (0.5, 0.99))
    print(f"{rate:.1f} requests/s, {rate * args.count:.0f} pictures/s, {len(wrong)} answers wrong")
    print(f"p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    if args.pid:
        print(f"memory {before:.0f} MB before, {resident_mb(args.pid):.0f} MB after")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
