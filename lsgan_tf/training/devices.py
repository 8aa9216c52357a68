"""Which devices, and which processes, a run is spread over."""

import tensorflow as tf

from lsgan_tf.training import cluster
from lsgan_tf.utils.errors import UserError, first_line


def strategy(config):
    """The `tf.distribute` strategy of `--distribution`, in this process alone.

    Raises:
      UserError: if it is that of several workers, if the batch does not divide by the number of
        replicas, or if TF_CONFIG names workers that would be left out.
    """
    if config.distribution == "multi_worker":
        raise UserError("--distribution=multi_worker needs a training run; it has no other use.")
    if config.distribution == "tpu":
        return _checked(_tpu(config.tpu), config)
    _check_nobody_is_left_out(config)
    one_device = config.distribution == "one_device"
    return _checked(local_strategy(config.logical_devices, one_device=one_device), config)


def strategy_and_workers(config):
    """The strategy of a training run, and its `cluster.Cluster` or `cluster.Alone`. With several
    workers it waits for all of them.

    Raises:
      UserError: as `strategy`; if TF_CONFIG is missing or malformed, or if this worker's port is
        taken.
    """
    if config.distribution != "multi_worker":
        return strategy(config), cluster.Alone()
    task = cluster.Task.from_environment()
    _check_divisible(config, len(task.addresses), "workers")
    chosen = cluster.meet(task, config.worker_timeout)
    return _checked(chosen, config), cluster.Cluster(chosen, task)


def local_strategy(logical_devices=1, *, one_device=False):
    """A strategy over all GPUs of this machine, or over so many parts of its CPU without any; or
    over the first of these devices.

    Raises:
      UserError: if TensorFlow has started with fewer parts.
    """
    _split_cpu(logical_devices)
    devices = _devices(logical_devices)
    if one_device:
        return tf.distribute.OneDeviceStrategy(devices[0])
    return tf.distribute.MirroredStrategy(devices, _reduction(devices))


def spread(strategy, pipeline):
    """The data set of a strategy: of `pipeline(tf.distribute.InputContext)`, which gives a worker's
    `tf.data.Dataset` of slices, one for each replica in turn."""
    one_of_this_process = isinstance(
        strategy, (tf.distribute.MirroredStrategy, tf.distribute.OneDeviceStrategy)
    )
    if one_of_this_process and strategy.num_replicas_in_sync == 1:
        (device,) = strategy.extended.worker_devices
        if "CPU" in device:  # there is nothing to copy to; what would do it takes 4 % of a step
            return pipeline(tf.distribute.InputContext())
    return strategy.distribute_datasets_from_function(pipeline)


def _checked(chosen, config):
    replicas = chosen.num_replicas_in_sync
    _check_divisible(config, replicas, "replicas")
    if config.jit_compile and replicas > 1:
        raise UserError(
            f"--jit_compile goes with one replica, and there are {replicas}: XLA cannot compile "
            "what they exchange. Leave it out, or add --distribution=one_device."
        )
    return chosen


def _check_divisible(config, count, noun):
    if config.batch_size % count:
        raise UserError(
            f"--batch_size={config.batch_size} does not divide by {count} {noun}. Take a multiple "
            f"of {count}: it counts the images of all replicas together."
        )


def _check_nobody_is_left_out(config):
    """Workers that do not know of each other would each train a model of its own."""
    try:
        workers = len(cluster.Task.from_environment().addresses)
    except UserError:
        return  # there is none, or it is for something else
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
    found = gpus or tf.config.list_logical_devices("CPU")[:logical_devices]
    return [device.name for device in found]


def _reduction(devices):
    """How replicas sum: NCCL, TensorFlow's choice, on GPUs. On CPUs its choice is a collective
    whose group cannot change its size within a process; adding on one device can."""
    return None if "GPU" in devices[0] else tf.distribute.ReductionToOneDevice()


def _tpu(address):
    """The strategy of a TPU, "local" or its name or grpc address. Never run: for want of one."""
    if address.startswith("grpc://") and not cluster.reachable(address.removeprefix("grpc://")):
        raise UserError(f"Nobody listens at --tpu={address}. Is the TPU running?")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
        if address != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        raise UserError(
            f"There is no TPU to be had at --tpu={address}: {first_line(error)}. Give its name or "
            "grpc://host:port, or 'local' on a TPU machine."
        ) from error
