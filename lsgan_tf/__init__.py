"""Least-squares generative adversarial networks for Keras and TensorFlow."""
