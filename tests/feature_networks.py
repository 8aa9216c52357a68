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
    path.write_bytes(_as_of_2015(graph.as_graph_def(), rng).SerializeToString())
    return path


def _as_of_2015(definition, rng):
    """The same graph with a batch norm of that time, and a check of numbers, before each relu."""
    for node in [node for node in definition.node if node.op == "Relu"]:
        filters = 16 if node.name == "Relu_2" else (300, 468)[node.name == "Relu_1"]
        name = f"{node.name}/batchnorm"
        parameters = rng.uniform(0.5, 1.5, (4, filters))
        old_batch_norm(definition, node.input[0], name, parameters, scaled=node.name != "Relu_1")
        check = definition.node.add(name=f"{node.name}/check", op="CheckNumerics", input=[name])
        check.attr["T"].type = tf.float32.as_datatype_enum
        check.attr["message"].s = b"batch norm"
        node.input[0] = check.name
    definition.versions.producer = 8
    return definition


def old_graph():
    """A graph of the version of 2015 with a placeholder `x`."""
    definition = tf.compat.v1.GraphDef()
    definition.versions.producer = 8
    node = definition.node.add(name="x", op="Placeholder")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    return definition


def old_batch_norm(definition, inputs, name, parameters, scaled):
    """Adds the operation that TensorFlow had until version 9 of its graphs; `parameters`: mean,
    variance, offset and scale."""
    names = []
    for part, values in zip(("mean", "variance", "beta", "gamma"), parameters, strict=True):
        constant = definition.node.add(name=f"{name}/{part}", op="Const")
        constant.attr["dtype"].type = tf.float32.as_datatype_enum
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.float32(values)))
        names.append(constant.name)
    node = definition.node.add(
        name=name, op="BatchNormWithGlobalNormalization", input=[inputs, *names]
    )
    node.attr["T"].type = tf.float32.as_datatype_enum
    node.attr["variance_epsilon"].f = 0.001
    node.attr["scale_after_normalization"].b = scaled


def _conv(inputs, channels, filters, rng):
    kernel = rng.normal(size=(1, 1, channels, filters)).astype(np.float32) / channels**0.5
    strides = 2 if channels == 3 else 1
    return tf.nn.relu(tf.nn.conv2d(inputs, tf.constant(kernel), strides, "SAME"))
