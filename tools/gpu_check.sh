#!/bin/sh
# Whether this project runs, and how fast, on an NVIDIA GPU. About ten minutes:
#
#     tools/gpu_check.sh OUTPUT_DIR
#
# Each part has its part time limit, writes OUTPUT_DIR/PART.log and is told with its exit status; one
# that fails does not end the others. PYTHON names the interpreter. PEER, if it is given, is the
# command of the same steps elsewhere: it takes --workload, --dtype and --batch and prints
# images_per_second=. STEPS are the calls that are timed (default 50, of 10 steps each).
# CUDA_VISIBLE_DEVICES=-1 STEPS=1 tries the script on a CPU.
set -u

output=${1:?usage: tools/gpu_check.sh OUTPUT_DIR}
mkdir -p "$output" || exit 1
output=$(cd "$output" && pwd)
cd "$(dirname "$0")/.." || exit 1
script=tools/$(basename "$0")
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python
    [ ! -x .venv/bin/python ] || PYTHON=.venv/bin/python
fi
steps=${STEPS:-50}
failed=0

# part NAME SECONDS COMMAND...: the command may be a function, for this script runs itself with it,
# since `timeout` takes a process.
part() {
    name=$1
    seconds=$2
    shift 2
    status=0
    timeout -s KILL "$seconds" env INSIDE=1 "$script" "$output" "$@" >"$output/$name.log" 2>&1 ||
        status=$?
    [ "$status" -eq 0 ] || failed=1
    echo "$name: status $status; $(tail -n 1 "$output/$name.log")"
}

train() {
    directory=$1
    shift
    "$PYTHON" -m lsgan_tf.train --dataset=printed_digits --data_dir="$output/data" \
        --run_dir="$directory" --checkpoint_every=20 --sample_every=40 "$@"
}

# Forty steps at once against twenty and twenty: the same bits?
resume() {
    train "$1/whole" --train_steps=40 && train "$1/halves" --train_steps=20 &&
        train "$1/halves" --train_steps=40 &&
        "$PYTHON" -c "
import sys
from tests.run_contents import assert_same_variables, read_variables
assert_same_variables(*map(read_variables, sys.argv[1:]))
print('the same bits')" "$1/whole" "$1/halves"
}

commands() {
    run=$output/run
    train "$run" --train_steps=200 &&
        "$PYTHON" -m lsgan_tf.sample --run_dir="$run" --output="$output/samples.png" &&
        "$PYTHON" -m lsgan_tf.train_classifier --dataset=printed_digits --epochs=1 \
            --data_dir="$output/data" &&
        "$PYTHON" -m lsgan_tf.evaluate --run_dir="$run" --features=classifier --images=5000 &&
        "$PYTHON" -m lsgan_tf.export --run_dir="$run"
}

benchmark() { "$PYTHON" -m tools.benchmark "$@"; }

if [ -n "${INSIDE:-}" ]; then
    shift
    "$@"
    exit
fi

part devices 60 "$PYTHON" -c "
import tensorflow as tf
gpus = tf.config.list_physical_devices('GPU')
print(*(tf.config.experimental.get_device_details(gpu) for gpu in gpus) if gpus else ['no GPU'])"
part commands 240 commands
part resume 120 resume "$output/resume"
part resume_deterministic 120 env TF_DETERMINISTIC_OPS=1 "$script" "$output" resume "$output/exact"
# The tests expect float32; -vv, for what failed if the time is over.
part tests 400 env NVIDIA_TF32_OVERRIDE=0 "$PYTHON" -m pytest -vv -n 4 tests/gan tests/networks
for workload in cifar10 digits light lsun112 character; do
    for dtype in float32 bfloat16; do
        case $workload in
            lsun112) batch=16 ;;
            *) batch=64 ;;
        esac
        set -- "--workload=$workload" "--dtype=$dtype" "--batch=$batch"
        timed="--steps=$steps --steps_a_call=10"
        # shellcheck disable=SC2086 # words
        part "$workload-$dtype" 90 benchmark "$@" $timed
        # shellcheck disable=SC2086
        part "$workload-$dtype-xla" 90 benchmark "$@" $timed --train_flags=--jit_compile
        # shellcheck disable=SC2086
        [ -z "${PEER:-}" ] || part "$workload-$dtype-peer" 90 $PEER "$@"
    done
done
part profile 60 benchmark --workload=cifar10 --dtype=bfloat16 --profile="$output/trace"
part input 60 benchmark --workload=input --steps="$steps"
exit "$failed"
