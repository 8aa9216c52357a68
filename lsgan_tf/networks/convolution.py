"""Convolution layers that train faster on small maps.

Where a 5x5 kernel meets a map of 4x4 with strides of 2, half of its weights meet the padding. On
processors such a convolution of many channels is computed in training as matrix products, one for
each block of weights that meet the map at the same places, and none for the padding: 49 % of the
multiplications. The results agree to rounding. Elsewhere, and outside of training, these are Keras'
own layers.
"""

import collections
import itertools
import math
import weakref

import keras
from keras import layers, ops

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    from tensorflow.python.framework.ops import gradient_registry
else:  # The networks run on any Keras backend.
    tf = None

# Measured (docs/performance.md): up to this share of the multiplications, products are faster.
_LARGEST_SHARE = 2 / 3
# Above it the gradient by the kernel still is, up to a side of the outputs. That of oneDNN is no
# faster in bfloat16 than in float32, without AMX.
_LARGEST_SIDE = {"float32": 4, "bfloat16": 7}
# With fewer at one position of the kernel, taking maps apart costs what the products save.
_FEWEST_WEIGHTS = 32 * 64


@keras.saving.register_keras_serializable("lsgan_tf")
class Conv2D(layers.Conv2D):
    """`keras.layers.Conv2D`."""

    def call(self, inputs, training=None):
        kernel = self.used_kernel()
        if training and _is_small(self, inputs.shape, kernel):
            kernel = tf.convert_to_tensor(kernel)
            return _finish(self, _convolve(inputs, kernel, self.strides[0]))
        # TensorFlow takes the gradients by the kernel and the bias at once, in full precision.
        outputs = self.convolution_op(inputs, kernel)
        return self.activation(ops.add(outputs, self.bias) if self.use_bias else outputs)

    def used_kernel(self):
        """The kernel to convolve with, in the precision that the layer computes in."""
        return self.kernel


@keras.saving.register_keras_serializable("lsgan_tf")
class Conv2DTranspose(layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose`."""

    def call(self, inputs, training=None):
        shape = self.compute_output_shape(inputs.shape)
        if training and _is_small(self, shape, self.kernel):
            kernel = tf.convert_to_tensor(self.kernel)
            return _finish(self, _transpose(inputs, kernel, self.strides[0], shape[1]))
        outputs = ops.conv_transpose(
            inputs, self.kernel, self.strides, self.padding, self.output_padding
        )
        return _finish(self, outputs)


def _finish(layer, outputs):
    """What follows the convolution."""
    if not layer.use_bias:
        return layer.activation(outputs)
    # Keras takes `bias_add`, whose gradient adds up in bfloat16 if the numbers are such.
    half = "bfloat16" in str(outputs.dtype)
    return layer.activation(outputs + layer.bias if half else ops.add(outputs, layer.bias))


def _is_small(layer, shape, kernel):
    """Whether a layer between maps of `shape` and smaller ones is one of those computed here."""
    height, width = shape[1:3]
    size, stride = kernel.shape[0], layer.strides[0]
    square = height is not None and height == width and kernel.shape[1] == size
    plain = layer.padding == "same" and layer.data_format == "channels_last"
    if tf is None or not (square and plain and layer.strides[1] == stride and 1 < stride <= size):
        return False
    if layer.dilation_rate not in (1, (1, 1)) or getattr(layer, "groups", 1) != 1:
        return False
    largest = _LARGEST_SIDE.get(layer.compute_dtype, _LARGEST_SIDE["float32"])
    small = -(-height // stride) <= largest
    few = kernel.shape[2] * kernel.shape[3] < _FEWEST_WEIGHTS
    return small and not few and not tf.config.list_logical_devices("GPU")


def _convolve(images, kernel, stride):
    """`tf.nn.conv2d` with "SAME" padding."""
    small = _SmallMap(images.shape[1], kernel.shape, stride)
    return _apply(images, kernel, small.gather, small.spread, small.correlate)


def _transpose(maps, kernel, stride, height):
    """`tf.nn.conv2d_transpose` with "SAME" padding, to maps of this height."""
    small = _SmallMap(height, kernel.shape, stride)
    return _apply(
        maps, kernel, small.spread, small.gather, lambda maps, by: small.correlate(by, maps)
    )


def _apply(inputs, kernel, forward, backward, correlate):
    """What `forward` gives for both, whose gradients the other two functions give."""

    @tf.custom_gradient
    def apply(inputs, kernel):
        def differentiate(upstream):
            return backward(upstream, kernel), correlate(inputs, upstream)

        return forward(inputs, kernel), differentiate

    outputs = apply(inputs, kernel)
    if not tf.executing_eagerly():
        _hold_in_graph(outputs)
    return outputs


def _hold_in_graph(outputs):
    """Lets the graph of a custom gradient's outputs be freed with the model.

    TensorFlow's table of gradients keeps the function that computes each, for ever, and that its
    graph with all variables in it: each training in a process would leave its weights and slots.
    Here the graph keeps the function, and the table refers to it weakly.
    """
    entries = getattr(gradient_registry, "_registry", {})
    entry = entries.get(outputs.op.get_attr("_gradient_op_type").decode())
    if entry is not None:
        outputs.graph.add_to_collection("lsgan_tf_gradients", entry["type"])
        held = weakref.ref(entry["type"])
        entry["type"] = lambda op, *upstream: held()(op, *upstream)


class _SmallMap:
    """A convolution [N, height, height, C] -> [N, side, side, F] with "SAME" padding, what pulls
    gradients back through it, and the gradient by its kernel.

    Maps are taken apart into matrices, [N, C] or [N, F], one for each of their places. At one
    position of the kernel there is a matrix [C, F] of weights. It meets some places of the map, for
    one output each; all of them take part in one product.
    """

    def __init__(self, height, kernel_shape, stride):
        self.height, self.stride, self.kernel_shape = height, stride, kernel_shape
        self.side = -(-height // stride)
        size = kernel_shape[0]
        before = max((self.side - 1) * stride + size - height, 0) // 2
        along = [[(o, o * stride - before + tap) for o in range(self.side)] for tap in range(size)]
        along = [[(o, place) for o, place in met if 0 <= place < height] for met in along]
        # For each position of the kernel, pairs of numbers: (output, place on the map).
        self.met = [
            [(o * self.side + p, y * height + x) for (o, y), (p, x) in itertools.product(*both)]
            for both in itertools.product(along, along)
        ]
        share = sum(map(len, self.met)) / (self.side * size) ** 2
        self.sparse = share <= _LARGEST_SHARE

    def gather(self, images, kernel):
        """The convolution of images."""
        if not self.sparse:
            return tf.nn.conv2d(images, kernel, self.stride, "SAME")
        return self._multiply(images, kernel, [[pair[::-1] for pair in met] for met in self.met])

    def spread(self, maps, kernel):
        """The transposed convolution of maps of the smaller side."""
        if not self.sparse:
            shape = (tf.shape(maps)[0], self.height, self.height, kernel.shape[2])
            return tf.nn.conv2d_transpose(maps, kernel, shape, self.stride)
        return self._multiply(maps, kernel, self.met, transpose_b=True)

    def correlate(self, images, maps):
        """The gradient by the kernel, where `maps` is that by the outputs."""
        images, maps = _take_apart(images), _take_apart(maps)
        weights = [
            tf.matmul(
                tf.concat([images[place] for _, place in met], 0),
                tf.concat([maps[output] for output, _ in met], 0),
                transpose_a=True,
            )
            if met
            else tf.zeros(self.kernel_shape[2:], maps[0].dtype)
            for met in self.met
        ]
        return tf.reshape(tf.stack(weights), self.kernel_shape)

    def _multiply(self, maps, kernel, ways, **transposed):
        """Adds up the products at the places that each number of `ways`, (from, to), leads to."""
        pieces = _take_apart(maps)
        terms = collections.defaultdict(list)
        matrices = tf.unstack(tf.reshape(kernel, [-1, *kernel.shape[2:]]))
        for matrix, way in zip(matrices, ways, strict=True):
            if way:
                joined = tf.concat([pieces[start] for start, _ in way], 0)
                products = tf.split(tf.matmul(joined, matrix, **transposed), len(way))
                for (_, end), product in zip(way, products, strict=True):
                    terms[end].append(_widen(product))
        ends = tf.stack([tf.add_n(terms[end]) for end in sorted(terms)])
        side = math.isqrt(len(terms))
        ends = tf.reshape(ends, [side, side, -1, ends.shape[-1]])
        return tf.cast(tf.transpose(ends, [2, 0, 1, 3]), maps.dtype)


def _take_apart(maps):
    """[N, H, H, C] -> H * H matrices [N, C]."""
    height, channels = maps.shape[2:]
    return tf.unstack(tf.reshape(tf.transpose(maps, [1, 2, 0, 3]), [height**2, -1, channels]))


def _widen(values):
    """To a type in which a sum of many terms keeps its digits."""
    return tf.cast(values, tf.float32) if values.dtype == tf.bfloat16 else values
