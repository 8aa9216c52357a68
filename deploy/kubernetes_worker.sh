#!/bin/sh
# One worker of the Indexed Job in deploy/kubernetes.yaml: sets TF_CONFIG, then trains.
#
#     deploy/kubernetes_worker.sh --dataset=photos --batch_size=128
#
# Kubernetes sets JOB_COMPLETION_INDEX, the index of this worker; the manifest sets JOB_NAME,
# SERVICE and WORKERS, the number of workers, and may set PORT (5000) and PYTHON (python). Worker I
# is JOB_NAME-I.SERVICE. The arguments are flags of lsgan_tf.train.
#
# A run that SIGTERM stops ends with status 0 on every worker, which a Job counts as success. So the
# exit status is here
#     0   of worker 0, when the run has reached its last step, which ends the Job (successPolicy);
#     75  when the run is not complete, and always of the other workers, which do not know;
#     else that of lsgan_tf.train, 1 for a mistake or when another worker was lost.
set -eu

index=${JOB_COMPLETION_INDEX:?is set by Kubernetes in the pods of an Indexed Job}
count=${WORKERS:?says how many workers there are: the completions of the Job}
job=${JOB_NAME:?is the name of the Job}
service=${SERVICE:?is the name of the headless Service}
for number in "$index" "$count"; do
    case $number in
        '' | *[!0-9]*) echo "error: $number is no number of a worker, or of workers" >&2; exit 1 ;;
    esac
done
cd "$(dirname "$0")/.."

addresses=""
i=0
while [ "$i" -lt "$count" ]; do
    addresses="$addresses${addresses:+, }\"$job-$i.$service:${PORT:-5000}\""
    i=$((i + 1))
done
TF_CONFIG="{\"cluster\": {\"worker\": [$addresses]},
    \"task\": {\"type\": \"worker\", \"index\": $index}}"
export TF_CONFIG

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Passes lines on, and notes whether the run is complete and whether a score is still due.
listen() {
    while IFS= read -r line || [ -n "$line" ]; do
        printf '%s\n' "$line"
        case $line in
            "finished at step "* | *": nothing to do. "*) : >"$scratch/done" ;;
            *": the score of step "*" is given up; "*) : >"$scratch/owed" ;;
        esac
    done
}

# The status of a process, in `ended`. A signal to this script ends `wait` early, while the worker
# still saves: waits again until the process has ended.
await() {
    ended=0
    wait "$1" || ended=$?
    while kill -0 "$1" 2>/dev/null; do
        ended=0
        wait "$1" || ended=$?
    done
}

mkfifo "$scratch/lines"
listen <"$scratch/lines" &
listener=$!
# A child, not by exec: as process 1 it would not receive signals that it has no handler for.
"${PYTHON:-python}" -u -m lsgan_tf.train --distribution=multi_worker "$@" >"$scratch/lines" &
worker=$!
stopped=""
trap 'stopped=yes; kill -s TERM "$worker" 2>/dev/null || true' TERM INT

await "$listener"
await "$worker"
status=$ended
if [ "$status" -eq 0 ] && [ "$index" -eq 0 ] && [ -e "$scratch/done" ] && [ ! -e "$scratch/owed" ]
then
    exit 0
fi
if [ "$status" -eq 0 ] || [ -n "$stopped" ]; then
    exit 75
fi
exit "$status"
