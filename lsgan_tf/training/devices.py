"""Which devices, and which processes, a run is spread over."""

import collections
import os
from collections.abc import Callable

import tensorflow as tf

from lsgan_tf.config import Config
from lsgan_tf.training import rendezvous
from lsgan_tf.training.cluster import Alone, Cluster
from lsgan_tf.utils.errors import UserError, first_line
from lsgan_tf.utils.processor import processor_name


def strategy(config: Config) -> tf.distribute.Strategy:
    """The strategy of `--distribution`, in this process alone.

    Raises:
        UserError: it is that of several workers, the batch does not divide by the number of
            replicas, or TF_CONFIG names workers that would be left out.
    """
    if config.distribution == "multi_worker":
        raise UserError("--distribution=multi_worker needs a training run; it has no other use.")
    if config.distribution == "tpu":
        return _check(_tpu(config.tpu), config)
    _check_no_worker_is_left_out(config)
    one_device = config.distribution == "one_device"
    return _check(local_strategy(config.logical_devices, one_device=one_device), config)


def strategy_and_workers(config: Config) -> tuple[tf.distribute.Strategy, Cluster | Alone]:
    """The strategy and the workers of a training run; waits for all of them.

    Raises:
        UserError: as `strategy`; or TF_CONFIG is missing or malformed, or this worker's port is
            taken.
    """
    if config.distribution != "multi_worker":
        return strategy(config), Alone()
    task = rendezvous.Task.from_environment()
    _check_divisible(config, len(task.addresses), "workers")
    of_all_workers = rendezvous.connect(task, config.worker_timeout)
    return _check(of_all_workers, config), Cluster(of_all_workers, task)


def local_strategy(logical_devices: int = 1, *, one_device: bool = False) -> tf.distribute.Strategy:
    """A strategy over all GPUs of this machine; without any, over so many parts of its CPU.

    Args:
        logical_devices: into how many devices the CPU is split.
        one_device: take the first device alone.

    Raises:
        UserError: TensorFlow has started with fewer logical devices, or computes on a GPU.
    """
    _split_cpu(logical_devices)
    devices = _devices(logical_devices)
    if one_device or len(devices) == 1:  # on one GPU XLA cannot compile what MirroredStrategy runs
        return tf.distribute.OneDeviceStrategy(devices[0])
    return tf.distribute.MirroredStrategy(devices, _reduction(devices))


def numerics() -> dict[str, str]:
    """What rounds the sums of this process, beside the number of replicas and the libraries."""
    threads = tf.config.threading.get_intra_op_parallelism_threads() or _default_threads()
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower() not in ("0", "false")
    return {
        "threads": str(threads),
        "oneDNN": "on" if onednn else "off",
        "device": details[0].get("device_name", "GPU") if gpus else processor_name(),
    }


def describe() -> str:
    """The devices of this process, for people: the names of its GPUs, or that of its processor."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        threads = numerics()["threads"]
        return f"{processor_name()}, {threads} thread{'s' if threads != '1' else ''}"
    details = map(tf.config.experimental.get_device_details, gpus)
    names = collections.Counter(one.get("device_name", "GPU") for one in details)
    return " and ".join(f"{count} x {name}" for name, count in names.items())


def _default_threads():
    """As many as TensorFlow takes for one operation unless it is told otherwise."""
    told = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if told.isdecimal() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def spread(
    strategy: tf.distribute.Strategy,
    make_slices: Callable[[tf.distribute.InputContext], tf.data.Dataset],
) -> tf.data.Dataset:
    """The data set of a strategy.

    Args:
        strategy: the strategy.
        make_slices: makes a worker's data set of slices, one for each of its replicas in turn.
    """
    if isinstance(strategy, tf.distribute.OneDeviceStrategy):
        (device,) = strategy.extended.worker_devices
        if "CPU" in device:  # nothing to copy: a distributed data set takes 4 % of a step
            return make_slices(tf.distribute.InputContext())
    return strategy.distribute_datasets_from_function(make_slices)


def _check(chosen, config):
    replicas = chosen.num_replicas_in_sync
    _check_divisible(config, replicas, "replicas")
    if config.jit_compile and replicas > 1:
        raise UserError(
            f"--jit_compile goes with one replica, and there are {replicas}: XLA cannot compile "
            "what replicas exchange. Leave it out, or add --distribution=one_device."
        )
    return chosen


def _check_divisible(config, count, noun):
    if config.batch_size % count:
        raise UserError(
            f"--batch_size={config.batch_size} does not divide by {count} {noun}. Take a multiple "
            f"of {count}: it counts the images of all replicas together."
        )


def _check_no_worker_is_left_out(config):
    """Workers that do not know of each other would each train a model of its own."""
    try:
        workers = len(rendezvous.Task.from_environment().addresses)
    except UserError:
        return  # there is no TF_CONFIG, or it is meant for another program
    if workers > 1:
        raise UserError(
            f"TF_CONFIG names {workers} workers, and --distribution={config.distribution} trains "
            "on this one alone. Add --distribution=multi_worker, or unset TF_CONFIG."
        )


def _split_cpu(count):
    cpu = tf.config.list_physical_devices("CPU")[0]
    split = tf.config.get_logical_device_configuration(cpu) or [None]
    if len(split) >= count:
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        )
    except RuntimeError as error:
        raise UserError(
            "--logical_devices must be set before TensorFlow has started in this process."
        ) from error


def _devices(logical_devices):
    """The names of all GPUs, or of the logical CPUs where there is none."""
    gpus = tf.config.list_logical_devices("GPU")
    if gpus and logical_devices > 1:
        raise UserError(
            f"--logical_devices={logical_devices} splits the CPU, and this machine has a GPU. "
            "Leave it out, or hide the GPU: CUDA_VISIBLE_DEVICES=-1."
        )
    chosen = gpus or tf.config.list_logical_devices("CPU")[:logical_devices]
    return [device.name for device in chosen]


def _reduction(devices):
    """How replicas sum: on GPUs as TensorFlow chooses (NCCL), on CPUs on one device.

    TensorFlow's choice for CPUs is a collective whose group cannot change its size in a process.
    """
    return None if "GPU" in devices[0] else tf.distribute.ReductionToOneDevice()


def _tpu(address):
    """The strategy of a TPU: "local", its name or its grpc address. Never run: no TPU was there."""
    host = address.removeprefix("grpc://")
    if host != address and not rendezvous.is_reachable(host):
        raise UserError(f"No process listens at --tpu={address}. Is the TPU running?")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
        if address != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        raise UserError(
            f"No TPU is available at --tpu={address}: {first_line(error)}. Give its name or "
            "grpc://host:port, or 'local' on a TPU machine."
        ) from error
