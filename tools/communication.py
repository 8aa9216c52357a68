"""python -m tools.communication --recipes=lsun_church,hwdb: what replicas exchange, on paper.

Prints for each recipe of flags/ the parameters of G and D, what one iteration sums over all
replicas, and how long that takes by the usual formula of a ring, on eight GPUs of one machine and
on 64 of eight machines. Nothing is run and nothing is measured: bandwidths and latencies are
assumptions, which flags replace, computation and exchange do not overlap, and every gradient is
float32, as the variables are under any --dtype_policy. The time stands beside that of a step's
computation, --step_seconds; without it beside a step of the whole batch on two cores.

An iteration exchanges

- the gradients of D, n_critic times, and those of G, each as one all-reduce (TensorFlow may pack
  them otherwise);
- the two statistics of each synchronized batch norm, 2 numbers a channel, once in each forward pass
  in training mode and once more in each backward pass;
- with --nosync_batch_norm instead the moving statistics, once for each network.

In a ring of N replicas an all-reduce of B bytes takes 2(N-1)/N B / bandwidth + 2(N-1) hops. Several
machines take two rings: one within each machine, then one over the machines, whose replicas share
the machine's one link.
"""

from typing import NamedTuple

from absl import flags

from lsgan_tf import recipes
from lsgan_tf.utils import command_line, text
from lsgan_tf.utils.errors import UserError

FLOAT = 4  # bytes
# Seconds of an iteration of the whole batch on two cores in float32, as flags/NAME.flags has them.
TWO_CORES = {"lsun_church": 3.8, "hwdb": 1.0, "digits_shift": 0.22, "cifar10_dcgan": 0.39}


class Network(NamedTuple):
    """What one network has to exchange."""

    parameters: int  # trainable numbers
    channels: tuple[int, ...]  # of each batch norm


class Passes(NamedTuple):
    """How often an iteration runs a network in training mode."""

    forward: int
    backward: int


class Link(NamedTuple):
    """What one ring runs over."""

    bandwidth: float  # bytes a second
    hop: float  # seconds


def describe(network):
    """The `Network` of a generator or a discriminator."""
    from lsgan_tf.networks.normalization import find_batch_norms

    parameters = sum(weight.shape.num_elements() for weight in network.trainable_variables)
    return Network(parameters, tuple(layer.gamma.shape[-1] for layer in find_batch_norms(network)))


def passes(n_critic=1, shared_latents=True, schedule="alternating"):
    """The `Passes` of (G, D).

    D sees real and generated images apart in each of its steps, and generated ones again for G;
    at the same weights it has seen those already. Of G only the last pass is differentiated.
    """
    if schedule == "simultaneous":
        return Passes(1, 1), Passes(2, 3)
    generator = Passes(n_critic + (not shared_latents), 1)
    return generator, Passes(2 * n_critic + 1, 2 * n_critic + 1)


def gradients(generator, discriminator, n_critic=1):
    """The bytes of each exchange of gradients in an iteration."""
    return [FLOAT * discriminator.parameters] * n_critic + [FLOAT * generator.parameters]


def statistics(network, passed, synchronized=True):
    """The bytes of each exchange of a network's batch norm in an iteration."""
    each = [2 * FLOAT * channels for channels in network.channels]
    if synchronized:
        return each * (passed.forward + passed.backward)
    return [sum(each)] if each else []


def ring(size, count, link):
    """Seconds of an all-reduce of so many bytes over a ring of `count` members."""
    return 2 * (count - 1) * (size / count / link.bandwidth + link.hop)


def two_rings(size, devices, local, machines, network):
    """Seconds of an all-reduce over machines of so many devices each."""
    return ring(size, devices, local) + ring(size, machines, network)


class Assumptions(NamedTuple):
    """What the table is made for."""

    devices: int = 8  # GPUs of a machine
    machines: int = 8
    local: Link = Link(300e9, 5e-6)  # within a machine: NVLink, say
    network: Link = Link(100e9 / 8, 20e-6)  # of a machine
    step_seconds: float = 0.0  # of computation; 0: as `TWO_CORES`
    synchronized: bool = True
    side: int = 32  # of images where the pair leaves it open
    classes: int = 3740  # of a conditional pair


def configs(names):
    """{name: `Config`} of these recipes.

    Raises:
      UserError: if there is none of that name.
    """
    known = {path.stem: path for path in recipes.paths()}
    for name in names:
        if name not in known:
            raise UserError(f"--recipes: there is no flags/{name}.flags. Known: {', '.join(known)}")
    return {name: recipes.read(known[name]).config for name in names}


def report(chosen, assumed):
    """The lines to print for recipes, {name: `Config`}."""
    rows = [_row(name, config, assumed) for name, config in chosen.items()]
    return [*_told(assumed), *text.aligned([_header(assumed), *rows])]


def _told(assumed):
    local, network = assumed.local, assumed.network
    step = (
        f"of {assumed.step_seconds:g} s, as --step_seconds says"
        if assumed.step_seconds
        else "of the whole batch on two cores of a processor, as flags/ has it; a GPU is far faster"
    )
    return [
        "On paper, nothing measured. Assumed, without overlap with computation:",
        f"  {assumed.devices} GPUs a machine, {local.bandwidth / 1e9:g} GB/s, "
        f"{local.hop * 1e6:g} us a hop",
        f"  {assumed.machines} machines, {network.bandwidth * 8 / 1e9:g} Gbit/s each, "
        f"{network.hop * 1e6:g} us a hop",
        "All-reduces: of gradients + of batch norm. MB: 10^6 bytes a step. In brackets: beside",
        f"  a step {step}.",
    ]


def _header(assumed):
    return (
        "recipe",
        "parameters of G",
        "of D",
        "gradients",
        "batch norm",
        "all-reduces",
        f"{assumed.devices} replicas",
        f"{assumed.devices * assumed.machines} replicas",
    )


def _row(name, config, assumed):
    generator, discriminator = _networks(config, assumed)
    of_g, of_d = passes(config.n_critic, config.shared_latents, config.schedule)
    large = gradients(generator, discriminator, config.n_critic)
    small = [
        *statistics(generator, of_g, assumed.synchronized),
        *statistics(discriminator, of_d, assumed.synchronized),
    ]
    one, several = times(large + small, assumed)
    step = assumed.step_seconds or TWO_CORES.get(name)
    return (
        name,
        f"{generator.parameters:,}",
        f"{discriminator.parameters:,}",
        f"{sum(large) / 1e6:.2f} MB",
        f"{sum(small) / 1e6:.3f} MB",
        f"{len(large)} + {len(small)}",
        _time(one, step),
        _time(several, step),
    )


def times(sizes, assumed):
    """Seconds of exchanges of so many bytes each: (on one machine, on all of them)."""
    devices, local = assumed.devices, assumed.local
    one = sum(ring(size, devices, local) for size in sizes)
    several = sum(
        two_rings(size, devices, local, assumed.machines, assumed.network) for size in sizes
    )
    return one, several


def _networks(config, assumed):
    """The `Network` of (G, D) of a recipe."""
    from lsgan_tf.networks import PAIRS
    from lsgan_tf.training import build

    shape = PAIRS[config.network].image_shape or (assumed.side, assumed.side, 3)
    class_names = tuple(map(str, range(assumed.classes))) if config.conditional else None
    return tuple(describe(network) for network in build.pair(config, shape, class_names))


def _time(seconds, step):
    share = f"{100 * seconds / step:.1f} %" if step else "not measured"
    return f"{1000 * seconds:.2f} ms ({share})"


def _define_flags():
    default = Assumptions()
    names = ["lsun_church", "hwdb", "digits_shift", "cifar10_dcgan"]
    flags.DEFINE_list("recipes", names, "Recipes of flags/.")
    flags.DEFINE_integer("side", default.side, "Of images where the pair leaves it open.", 1)
    flags.DEFINE_integer("classes", default.classes, "Classes of a conditional pair.", 1)
    flags.DEFINE_boolean("sync_batch_norm", True, "As in lsgan_tf.train.")
    flags.DEFINE_integer("devices", default.devices, "GPUs of each machine.", 1)
    flags.DEFINE_integer("machines", default.machines, "Machines of the larger case.", 1)
    low = 1e-9
    flags.DEFINE_float("local_gbytes", 300.0, "GB/s between the GPUs of a machine.", low)
    flags.DEFINE_float("local_hop_us", 5.0, "Microseconds from one GPU to the next.", 0.0)
    flags.DEFINE_float("bandwidth_gbits", 100.0, "Gbit/s of each machine's network link.", low)
    flags.DEFINE_float("hop_us", 20.0, "Microseconds from one machine to the next.", 0.0)
    text = "Seconds that a replica computes in an iteration, to compare with; 0: see above."
    flags.DEFINE_float("step_seconds", 0.0, text, 0.0)


def _assumptions(values):
    return Assumptions(
        devices=values.devices,
        machines=values.machines,
        local=Link(values.local_gbytes * 1e9, values.local_hop_us * 1e-6),
        network=Link(values.bandwidth_gbits * 1e9 / 8, values.hop_us * 1e-6),
        step_seconds=values.step_seconds,
        synchronized=values.sync_batch_norm,
        side=values.side,
        classes=values.classes,
    )


def main():
    chosen = configs(flags.FLAGS.recipes)
    command_line.start_tensorflow()
    print("\n".join(report(chosen, _assumptions(flags.FLAGS))))


if __name__ == "__main__":
    _define_flags()
    command_line.run(main)
