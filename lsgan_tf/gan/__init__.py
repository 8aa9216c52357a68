"""The training step: one Keras model, its objectives, penalties, optimizers and latents."""
