#!/bin/sh
# Trains with several workers on this machine, one process each:
#
#     deploy/local_workers.sh 2 --dataset=fashion_mnist --batch_size=128
#
# The first argument is the number of workers, the others are flags of lsgan_tf.train. Worker 0
# writes the run directory. Each line begins with the number of its worker. SIGTERM and SIGINT
# (Ctrl-C) are passed on as SIGTERM: the workers finish the step, save and end. The exit status is
# that of the first worker that failed, or 0. PYTHON names the interpreter, BASE_PORT the first port
# (by default free ones).
set -eu

count=${1:?usage: deploy/local_workers.sh NUMBER_OF_WORKERS [flags of lsgan_tf.train]}
shift
case $count in
    '' | *[!0-9]* | 0*) echo "error: $count is no number of workers" >&2; exit 1 ;;
esac
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python
    [ ! -x .venv/bin/python ] || PYTHON=.venv/bin/python
fi

# Below the ephemeral ports, which another connection could take before the workers listen.
addresses=$("$PYTHON" - "$count" "${BASE_PORT:-}" <<'PORTS'
import json, random, socket, sys

count, base = int(sys.argv[1]), sys.argv[2]
ports = list(range(int(base), int(base) + count)) if base else []
while len(ports) < count:
    port = random.randrange(20000, 32000)
    with socket.socket() as probe:
        if port not in ports and probe.connect_ex(("127.0.0.1", port)):
            ports.append(port)
print(json.dumps([f"127.0.0.1:{port}" for port in ports]))
PORTS
)

pipes=$(mktemp -d)
workers=""
stopped=
stop() {
    interrupted=yes
    stopped=yes
    for worker in $workers; do kill -s TERM "$worker" 2>/dev/null || true; done
}
# Puts the number of a worker before each of its lines at once; sed would buffer them.
tell() {
    while IFS= read -r line || [ -n "$line" ]; do printf '[%s] %s\n' "$1" "$line"; done
}
trap stop TERM INT
trap 'rm -rf "$pipes"' EXIT

index=0
while [ "$index" -lt "$count" ]; do
    [ -z "$stopped" ] || break # a signal came before all were started
    # A named pipe, since $! and the status of a pipeline are those of its last command.
    mkfifo "$pipes/$index"
    tell "$index" <"$pipes/$index" &
    TF_CONFIG="{\"cluster\": {\"worker\": $addresses},
        \"task\": {\"type\": \"worker\", \"index\": $index}}" \
        "$PYTHON" -u -m lsgan_tf.train --distribution=multi_worker "$@" >"$pipes/$index" 2>&1 &
    workers="$workers $!"
    index=$((index + 1))
done

status=0
for worker in $workers; do
    ended=0
    interrupted=
    wait "$worker" || ended=$?
    # A signal to this script ends `wait` early, while the worker still saves.
    while [ -n "$interrupted" ]; do
        interrupted=
        again=0
        wait "$worker" || again=$?
        [ "$again" -eq 127 ] || ended=$again # 127: it had ended before the signal came
    done
    [ "$status" -ne 0 ] || status=$ended
done
wait
exit "$status"
