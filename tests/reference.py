"""The authors' networks and their training iteration, written out a second time.

Everything is spelled in matrix products, convolutions without padding and sums, after the tables of
the papers and the authors' code. Nothing of `lsgan_tf` or Keras is used, so that neither can be
wrong in the same way. Padding is written out: SAME of TensorFlow is 1 before and 2 after for a
5x5 kernel of stride 2 on an even side.

A network is a function of (weights, inputs, label). `weights` are tensors in the order of the
layers: the label map's kernel and bias, then kernel, bias and, with batch norm, scale and offset of
each layer.
"""

import tensorflow as tf

EPSILON = 1e-5


class Reader:
    """Hands out weights one by one, and knows whether all were used."""

    def __init__(self, weights):
        self._rest = list(weights)

    def take(self):
        return self._rest.pop(0)

    def finish(self):
        assert not self._rest, f"{len(self._rest)} weights are left over"


def linear(weights, x):
    return x @ weights.take() + weights.take()


def conv(weights, x):
    """5x5, stride 2, on an even side."""
    x = tf.pad(x, [[0, 0], [1, 2], [1, 2], [0, 0]])
    return tf.nn.conv2d(x, weights.take(), strides=2, padding="VALID") + weights.take()


def deconv(weights, x, side, stride=2):
    """To `side` pixels: all pixels that the kernel reaches, cut to the middle.

    The first pixels cut are as many as SAME would pad in front, going from `side` to the input.
    """
    kernel, count = weights.take(), tf.shape(x)[0]
    size, filters = kernel.shape[0], kernel.shape[2]
    reached = (x.shape[1] - 1) * stride + size
    shape = (count, reached, reached, filters)
    full = tf.nn.conv2d_transpose(x, kernel, shape, strides=stride, padding="VALID")
    before = (reached - side) // 2
    return full[:, before : before + side, before : before + side] + weights.take()


def norm(weights, x):
    """Over all but the channels, or units, with the biased variance of this batch."""
    axes = list(range(len(x.shape) - 1))
    mean = tf.reduce_mean(x, axes)
    variance = tf.reduce_mean(tf.square(x - mean), axes)
    scale, offset = weights.take(), weights.take()
    return scale * (x - mean) / tf.sqrt(variance + EPSILON) + offset


def relu(x):
    return tf.where(x > 0, x, tf.zeros_like(x))


def leaky(x):
    return tf.where(x > 0, x, 0.2 * x)


def flat(x):
    return tf.reshape(x, (x.shape[0], -1))


def label_map(weights, labels):
    """The linear map of one-hot labels: [N] -> [N, 256]."""
    kernel, bias = weights.take(), weights.take()
    return tf.one_hot(labels, kernel.shape[0], dtype=kernel.dtype) @ kernel + bias


def everywhere(label, x):
    """Appends a label [N, U] to each position of x [N, H, W, C]."""
    ones = tf.ones((*x.shape[:3], label.shape[1]), x.dtype)
    return tf.concat([x, ones * label[:, None, None, :]], axis=3)


def scene_generator(weights, z, labels):
    """The authors' `vgg.py`."""
    x = tf.reshape(linear(weights, z), (-1, 7, 7, 256))
    x = relu(norm(weights, x))
    for side, stride in ((14, 2), (14, 1), (28, 2), (28, 1), (56, 2), (112, 2)):
        x = relu(norm(weights, deconv(weights, x, side, stride)))
    return tf.tanh(deconv(weights, x, 112, 1))


def character_generator(weights, z, labels):
    """The authors' `mcgan.py`."""
    label = label_map(weights, labels)
    x = relu(norm(weights, linear(weights, tf.concat([z, label], axis=1))))
    x = tf.reshape(x, (-1, 7, 7, 128))
    x = relu(norm(weights, deconv(weights, x, 14)))
    return 1 / (1 + tf.exp(-deconv(weights, x, 28)))


def character_discriminator(weights, x, labels):
    """The authors' `mcgan.py`."""
    label = label_map(weights, labels)
    x = leaky(conv(weights, x))
    x = leaky(norm(weights, conv(weights, everywhere(label, x))))
    x = tf.concat([flat(x), label], axis=1)
    x = leaky(norm(weights, linear(weights, x)))
    return linear(weights, tf.concat([x, label], axis=1))


def stability_generator(weights, z, labels):
    """The authors' `dcgan64.py`: no batch norm."""
    x = relu(tf.reshape(linear(weights, z), (-1, 4, 4, 512)))
    for side in (8, 16, 32):
        x = relu(deconv(weights, x, side))
    return tf.tanh(deconv(weights, x, 64))


def convolutional_discriminator(weights, x, labels):
    """Four convolutions and a linear layer, batch norm from the second convolution on."""
    x = leaky(conv(weights, x))
    for _ in range(3):
        x = leaky(norm(weights, conv(weights, x)))
    return linear(weights, flat(x))


def plain_discriminator(weights, x, labels):
    """The same without batch norm."""
    for _ in range(4):
        x = leaky(conv(weights, x))
    return linear(weights, flat(x))


def cat_generator(weights, z, labels):
    """The authors' `cats/arch.py`: the first batch norm is one of units."""
    x = relu(norm(weights, linear(weights, z)))
    x = tf.reshape(x, (-1, 8, 8, 512))
    for side in (16, 32, 64):
        x = relu(norm(weights, deconv(weights, x, side)))
    return tf.tanh(deconv(weights, x, 128))


def digit_generator(weights, z, labels):
    """The authors' `small_variance_datasets/arch.py`."""
    x = relu(norm(weights, linear(weights, z)))
    x = tf.reshape(x, (-1, 4, 4, 512))
    for side in (7, 14):
        x = relu(norm(weights, deconv(weights, x, side)))
    return tf.tanh(deconv(weights, x, 28))


def digit_discriminator(weights, x, labels):
    """The authors' `small_variance_datasets/arch.py`."""
    x = leaky(conv(weights, x))
    x = leaky(norm(weights, conv(weights, x)))
    x = leaky(norm(weights, linear(weights, flat(x))))
    return linear(weights, x)


def iterate(generator, discriminator, g, d, z, images, labels, targets, rate):
    """One iteration: a step of D by gradient descent, then the gradients of G at the new D.

    The losses are the authors', sums of half squares over the batch.

    Args:
      generator, discriminator: two of the functions above.
      g, d: their weights, lists of tensors.
      targets: (a, b, c) of the objective.
      rate: learning rate of D.

    Returns:
      (D's loss, G's loss, gradients of d, gradients of g).
    """
    a, b, c = targets

    def run(network, weights, inputs):
        reader = Reader(weights)
        outputs = network(reader, inputs, labels)
        reader.finish()
        return outputs

    with tf.GradientTape() as tape:
        tape.watch(d)
        real = run(discriminator, d, images)
        fake = run(discriminator, d, run(generator, g, z))
        d_loss = tf.reduce_sum((real - b) ** 2) / 2 + tf.reduce_sum((fake - a) ** 2) / 2
    of_d = tape.gradient(d_loss, d)
    d = [weight - rate * gradient for weight, gradient in zip(d, of_d, strict=True)]
    with tf.GradientTape() as tape:
        tape.watch(g)
        g_loss = tf.reduce_sum((run(discriminator, d, run(generator, g, z)) - c) ** 2) / 2
    return d_loss, g_loss, of_d, tape.gradient(g_loss, g)
