"""Where a training step's time goes, by kind of operation."""

import collections
import re
import statistics
import time
from pathlib import Path

STEPS = 4
CEILING_SIDE = 2048
# An operation is of the first kind whose pattern its type has.
KINDS = {
    "gradient of the kernel": "Conv2DBackpropFilter",
    # Also what a transposed convolution is.
    "gradient of the input": "Conv2DBackpropInput",
    "convolution": "Conv2D",
    "matrix product": "MatMul",
    "batch norm": "BatchNorm",
    "optimizer": "ResourceApply",
    "copies and casts": "Concat|Transpose|Cast|Slice|Split|Pack|Pad",
    "latents": "Random",
    "elementwise and sums": "Relu|Add|Sub|Mul|Sum|Mean|Bias|Square|L2Loss|Tanh|Div|Sqrt|Neg|Tile",
    "the rest": "",
}


def profile(step, graph, dtype, directory: Path) -> str:
    """Profiles steps, and writes a trace for the profiler of TensorBoard.

    Times add up if operations run one after another: set TensorFlow's inter-op threads to 1 before.

    Args:
        step: takes one training step and waits for it.
        graph: of one step, as `tf.function` traces it, with batches of a known size.
        dtype: that the networks compute in.
        directory: where the trace goes.

    Returns:
        A table of each kind's share and speed, beside the machine's ceiling at that time.
    """
    import tensorflow as tf

    step()
    ceiling = measure_ceiling(dtype)
    tf.profiler.experimental.start(str(directory))
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    seconds = (time.perf_counter() - start) / STEPS
    tf.profiler.experimental.stop()
    return _write_table(seconds, _read_times(directory), count_operations(graph), ceiling)


def measure_ceiling(dtype) -> float:
    """Multiplications and additions a second in the product of two large matrices."""
    import tensorflow as tf

    matrix = tf.cast(tf.random.normal([CEILING_SIDE, CEILING_SIDE]), dtype)
    multiply = tf.function(lambda: tf.matmul(matrix, matrix)[0, 0], autograph=False)
    multiply()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        multiply().numpy()
        seconds.append(time.perf_counter() - start)
    return 2 * CEILING_SIDE**3 / statistics.median(seconds)


def count_operations(graph) -> collections.Counter:
    """Multiplications and additions of one step by kind; what conditions choose is left out.

    A convolution's are those of all its weights at all outputs, whether they meet the padding or
    not.
    """
    counts = collections.Counter()
    for operation in _find_needed(graph):
        tensors = [*operation.inputs, *operation.outputs]
        if operation.type.startswith("Conv2D"):
            # (input, kernel, output), of which one is the result; others may be their sizes.
            order = {
                "Conv2D": (1, 2),
                "Conv2DBackpropInput": (1, 2),
                "Conv2DBackpropFilter": (3, 2),
            }
            kernel, output = (tensors[i].shape for i in order[operation.type])
            places = output[:3].num_elements()
            counts[_find_kind(operation.type)] += 2 * places * kernel.num_elements()
        elif operation.type == "MatMul":
            inner = tensors[0].shape[0 if operation.get_attr("transpose_a") else 1]
            counts[_find_kind("MatMul")] += 2 * tensors[2].shape.num_elements() * inner
    return counts


def _find_needed(graph):
    """The operations that a graph's results and side effects depend on."""
    needed = {}
    found = [*graph.control_outputs, *(tensor.op for tensor in graph.outputs)]
    while found:
        operation = found.pop()
        if operation.name not in needed:
            needed[operation.name] = operation
            found += [*operation.control_inputs, *(tensor.op for tensor in operation.inputs)]
    return needed.values()


def _find_kind(type_):
    return next(kind for kind, pattern in KINDS.items() if re.search(pattern, type_))


def _read_times(directory):
    """Seconds of a step by kind, from the newest trace."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    newest = max(directory.rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    space = xplane_pb2.XSpace.FromString(newest.read_bytes())
    seconds = collections.Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            # An operation's event is called NAME:TYPE. Those that hold others are left out.
            name, _, type_ = plane.event_metadata[event.metadata_id].name.partition(":")
            if type_.isidentifier() and name and not re.search("Call|While|Iterator|If$", type_):
                seconds[_find_kind(type_)] += event.duration_ps / 1e12 / STEPS
    return seconds


def _write_table(seconds, spent, counts, ceiling):
    rows = [("kind", "ms", "share", "GFLOP/s")]
    for kind in KINDS:
        speed = f"{counts[kind] / spent[kind] / 1e9:.0f}" if counts[kind] else ""
        rows.append((kind, f"{spent[kind] * 1e3:.1f}", f"{spent[kind] / seconds:.1%}", speed))
    total = sum(counts.values()) / seconds
    rows.append(("step", f"{seconds * 1e3:.1f}", "", f"{total / 1e9:.0f}"))
    table = "\n".join(f"{a:22}{b:>10}{c:>8}{d:>9}" for a, b, c, d in rows)
    ratio = total / ceiling
    return f"{table}\nceiling (matrix product) {ceiling / 1e9:.0f} GFLOP/s: the step at {ratio:.0%}"
