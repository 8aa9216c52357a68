"""`lsgan_tf.load`: a .keras file or a run directory."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import lsgan_tf
from lsgan_tf.utils.errors import UserError
from tests.tiny import TinyDiscriminator, TinyGenerator


def test_a_saved_gan_loads_in_a_new_process(tmp_path):
    """By one import, whichever networks, penalty and optimizers it has, but for classes of your
    own."""
    from lsgan_tf import GAN, R1, DCGANDiscriminator, DCGANGenerator, RMSProp

    shape = (16, 16, 1)
    generator = DCGANGenerator(shape, base_channels=2)
    discriminator = DCGANDiscriminator(shape, norm="spectral", base_channels=2)
    gan = GAN(generator, discriminator, penalty=R1(), ema_decay=0.5)
    gan.compile(RMSProp(), RMSProp())
    gan.save(tmp_path / "gan.keras")
    z = np.full((2, generator.latent_dim), 0.5, np.float32)
    np.save(tmp_path / "images.npy", gan.predict(z, verbose=0))
    own = tmp_path / "own.keras"
    lsgan_tf.GAN(TinyGenerator(), TinyDiscriminator()).save(own)
    code = (
        "import lsgan_tf, numpy as np\n"
        f"gan = lsgan_tf.load({str(tmp_path / 'gan.keras')!r})\n"
        f"z = np.full((2, {generator.latent_dim}), 0.5, np.float32)\n"
        f"images = np.load({str(tmp_path / 'images.npy')!r})\n"
        "np.testing.assert_allclose(gan.predict(z, verbose=0), images, atol=1e-6)\n"
        "print(gan.penalty, type(gan.generator_optimizer).__name__, flush=True)\n"
        f"lsgan_tf.load({str(own)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "R1(weight=10.0) RMSProp", done.stderr
    assert (
        "Could not locate class 'TinyGenerator'. If it holds classes of your own, import them"
        in done.stderr
    )
    assert keras.saving.load_model(own).generator.latent_dim == 5


def test_a_saved_gan_keeps_its_dtype_policy(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    gan = lsgan_tf.GAN(TinyGenerator(), TinyDiscriminator(), ema_decay=0.5)
    gan.save(tmp_path / "gan.keras")
    keras.config.set_dtype_policy("float32")
    loaded = lsgan_tf.load(tmp_path / "gan.keras")
    for network in (loaded.generator, loaded.generator_ema, loaded.discriminator):
        assert network.body.layers[0].dtype_policy.name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    assert loaded.get_config()["generator"] == gan.get_config()["generator"]


def test_a_run_directory_gives_its_generator(trained_once):
    config = trained_once(ema_decay=0.5)
    generator = lsgan_tf.load(config.run_dir)
    raw = lsgan_tf.load(config.run_dir, checkpoint="4", weights="raw")
    z = np.ones((2, generator.latent_dim), np.float32)
    assert generator.predict(z, verbose=0).shape == (2, 8, 8, 1)
    assert not np.allclose(generator.predict(z, verbose=0), raw.predict(z, verbose=0))


def test_what_cannot_be_loaded_is_told(tmp_path):
    with pytest.raises(UserError, match="no such .keras file or run directory"):
        lsgan_tf.load(tmp_path / "none.keras")
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(b"PK not a zip")
    with pytest.raises(UserError, match="damaged.keras cannot be loaded"):
        lsgan_tf.load(damaged)
