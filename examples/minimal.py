"""Trains a least-squares GAN on a folder of images with Keras alone, and draws a grid.

    python examples/minimal.py --images=photos --epochs=50

Writes `grid.png`, 64 images of the averaged generator, and `gan.keras`, from which
`keras.saving.load_model` makes the same GAN again. The command line of the project
(`python -m lsgan_tf.train`) adds what this leaves out: checkpoints, resuming, TensorBoard, scores.
"""

import argparse

import keras
import numpy as np

from lsgan_tf import GAN, Adam, DCGANDiscriminator, DCGANGenerator, LeastSquares


def load_images(folder, side, batch_size):
    """Batches of float32 images [N, side, side, 3] in [-1, 1], the range of G's tanh."""
    images = keras.utils.image_dataset_from_directory(
        folder,
        labels=None,
        image_size=(side, side),
        crop_to_aspect_ratio=True,
        batch_size=None,
        seed=0,
    )
    # All batches must be of one size.
    return images.batch(batch_size, drop_remainder=True).map(lambda batch: batch / 127.5 - 1.0)


def make_gan(side):
    """A DCGAN pair with the labels (a, b, c) = (-1, 1, 0) of the paper's equation 9."""
    shape = (side, side, 3)
    gan = GAN(
        DCGANGenerator(shape),
        DCGANDiscriminator(shape),
        LeastSquares(a=-1, b=1, c=0),
        ema_decay=0.99,  # `predict` draws with an average of the generator's weights
    )
    gan.compile(Adam(2e-4), Adam(2e-4))
    return gan


def draw_grid(gan, path, rows=8, seed=0):
    """Writes rows x rows generated images as one picture."""
    generator = gan.sampling_generator
    rng = np.random.default_rng(seed)
    latents = rng.uniform(-1, 1, (rows * rows, generator.latent_dim)).astype(np.float32)
    images = gan.predict(latents, verbose=0)
    _, height, width, channels = images.shape
    grid = images.reshape(rows, rows, height, width, channels).swapaxes(1, 2)
    grid = grid.reshape(rows * height, rows * width, channels)
    keras.utils.save_img(path, (grid + 1.0) * 127.5, scale=False)


def main():
    parser = argparse.ArgumentParser(description="Trains a least-squares GAN on a folder.")
    parser.add_argument("--images", required=True, help="a folder of pictures")
    parser.add_argument("--side", type=int, default=32, help="pixels; at least 16")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--grid", default="grid.png")
    parser.add_argument("--model", default="gan.keras")
    arguments = parser.parse_args()

    images = load_images(arguments.images, arguments.side, arguments.batch_size)
    gan = make_gan(arguments.side)
    gan.fit(images, epochs=arguments.epochs)
    draw_grid(gan, arguments.grid)
    gan.save(arguments.model)


if __name__ == "__main__":
    main()
