"""Feature networks small enough to know what they answer, as files of every kind."""

import keras
import numpy as np
import tensorflow as tf


def keras_file(path, channels=1, classes=0, features=3, side=8):
    """A `.keras` file: features are linear in the pixels, the same weights each time."""
    keras.utils.set_random_seed(7)
    images = keras.Input((side, side, channels))
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
    outputs = keras.layers.Dense(features)(flat)
    if classes:
        outputs = {"features": outputs, "logits": keras.layers.Dense(classes)(outputs)}
    keras.Model(images, outputs).save(path)
    return path


def saved_model(path, forward, shape=(None, None, None, 3)):
    """A SavedModel whose signature runs `forward`."""
    module = tf.Module()
    module.serve = tf.function(forward, [tf.TensorSpec(shape, tf.float32, "images")])
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
    return path


def channel_means(images):
    """Features that are the mean of each channel."""
    return {"features": tf.reduce_mean(images, axis=(1, 2))}


def frozen_inception(path, weights_seed=0):
    """A graph with the names of the 2015 Inception, of a few weights: `mixed_7` has 768 channels,
    `pool_3` 16 features, the logits 5 classes."""
    rng = np.random.default_rng(weights_seed)
    with tf.Graph().as_default() as graph:
        encoded = tf.compat.v1.placeholder(tf.string, name="DecodeJpeg/contents")
        decoded = tf.cast(tf.io.decode_jpeg(encoded, channels=3, name="DecodeJpeg"), tf.float32)
        images = tf.expand_dims(decoded, 0, name="ExpandDims")
        small = tf.compat.v1.image.resize_bilinear(images, (16, 16), name="ResizeBilinear")
        pixels = (small - 128.0) * 0.0078125
        branches = [_conv(pixels, 3, filters, rng) for filters in (300, 468)]
        joined = tf.concat(branches, 3, name="mixed_7/join")
        pool = tf.nn.avg_pool2d(_conv(joined, 768, 16, rng), 8, 1, "VALID", name="pool_3")
        reshaped = tf.reshape(pool, (1, 16), name="pool_3/_reshape")
        weights = tf.constant(rng.normal(size=(16, 5)).astype(np.float32), name="softmax/weights")
        tf.matmul(reshaped, weights, name="softmax/logits/MatMul")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def _conv(inputs, channels, filters, rng):
    kernel = rng.normal(size=(1, 1, channels, filters)).astype(np.float32) / channels**0.5
    strides = 2 if channels == 3 else 1
    return tf.nn.relu(tf.nn.conv2d(inputs, tf.constant(kernel), strides, "SAME"))
