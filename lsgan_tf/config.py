"""Every flag of a run, once; the frozen `Config` that a recipe and a command line resolve to."""

import contextlib
import dataclasses
import math

from lsgan_tf.utils import settings
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.score_directions import BEST_SCORES

# What a run directory keeps of its configuration; `runs.run_directory` writes both.
CONFIG_FILE = "config.json"
RECIPE_FILE = "recipe.flags"
DEFAULT_DATASET = "printed_digits"
# The default of each setting of a penalty, and the penalties that have it.
_PENALTY_SETTINGS = {
    "penalty_weight": (0.0, ("lsgan_gp", "dragan", "wgan_gp", "r1")),
    "penalty_width": (0.0, ("lsgan_gp", "dragan")),
    "penalty_target": (1.0, ("lsgan_gp", "dragan", "wgan_gp")),
    "penalty_every": (1, ("lsgan_gp", "dragan", "wgan_gp", "r1")),
}
OF_THIS_MACHINE = ("run_dir", "data_dir", "features_file")  # where things are, not what they are


@contextlib.contextmanager
def _as_user_error(prefix):
    """Within it a `ValueError` of a shared check becomes a `UserError` that names the flag."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{prefix}{error}") from None


def _option(default, help, *, choices=None, low=None, high=None, may_change=False):
    """A field of `Config` and the flag of the same name.

    `may_change`: a resumed run may be given another value without --allow_config_change, because
    the weights it passes through stay the same, for `distribution` and `logical_devices` but for
    the rounding of sums.
    """
    facts = {"help": help, "choices": choices, "low": low, "high": high, "may_change": may_change}
    return dataclasses.field(default=default, metadata=facts)


@dataclasses.dataclass(frozen=True)
class Config:
    """A run, resolved. One field per flag; bounds are checked when the flags are parsed.

    Raises:
        UserError: if two flags contradict each other.
    """

    # What to learn from.
    dataset: str = _option(
        DEFAULT_DATASET,
        "Data set: an embedded one (printed_digits, digits_shift, digits_rotate), a converted one "
        "under --data_dir, or tfds:NAME.",
    )
    data_dir: str = _option("data", "Where converted data sets are.", may_change=True)
    image_size: int = _option(
        0, "Crop to a square and resize to this side while reading; 0 keeps the size.", low=0
    )
    mirror: bool = _option(
        False, "Flip half of the training images left-right, other ones in each epoch."
    )
    conditional: bool = _option(False, "Condition both networks on the labels.")
    # What to train.
    network: str = _option("dcgan", "Pair of networks; --list_networks names them.")
    discriminator_norm: str = _option(
        "pair",
        "Normalisation of D in the pairs dcgan, dcgan_no_bn, scene, digit and light; pair: as the "
        "pair has it.",
        choices=("pair", *settings.DISCRIMINATOR_NORMS),
    )
    base_channels: int = _option(
        0,
        "Channels of both networks beside the image, of the pairs dcgan and dcgan_no_bn; 0: 64.",
        low=0,
    )
    init_from: str = _option(
        "",
        "RUN, RUN@STEP or RUN@best: a new run starts from the weights of its newest checkpoint, of "
        "that step or of its best, instead of random ones. Both must have the same networks.",
    )
    freeze_discriminator: int = _option(
        0,
        "Keep the weights of D's first convolutions or linear layers, so many of them, and of the "
        "norms that follow them.",
        low=0,
    )
    augment: str = _option(
        "",
        "What to change at random in all images that D sees, real and generated, separated by "
        f"commas: {', '.join(settings.AUGMENTATIONS)}. For few images.",
    )
    objective: str = _option(
        "least_squares",
        "What to minimise. least_squares has the labels below; pearson and binary are least "
        "squares with (a, b, c) = (-1, 1, 0) and (0, 1, 1).",
        choices=settings.OBJECTIVES,
    )
    label_a: float = _option(0.0, "Least squares: D's target for generated images.")
    label_b: float = _option(1.0, "Least squares: D's target for real images.")
    label_c: float = _option(1.0, "Least squares: the value G wants from D.")
    penalty: str = _option(
        "none",
        "Penalty on D's gradient: around the real images (lsgan_gp, dragan), between real and "
        "generated ones (wgan_gp) or at the real ones (r1). D must be without batch norm.",
        choices=("none", *_PENALTY_SETTINGS["penalty_weight"][1]),
    )
    penalty_weight: float = _option(
        0.0, "Lambda, for losses that are means; 0: as published (150/64, 10, 10, 10).", low=0.0
    )
    penalty_width: float = _option(
        0.0, "Reach of the noise around real images; 0: as published (30, 0.5).", low=0.0
    )
    penalty_target: float = _option(1.0, "The slope of D that costs nothing.", low=0.0)
    penalty_every: int = _option(1, "Add the penalty in every N-th step of D only, times N.", low=1)
    schedule: str = _option(
        "alternating",
        "alternating: G's step goes through the updated D; simultaneous: both from the same "
        "weights.",
        choices=settings.SCHEDULES,
    )
    n_critic: int = _option(1, "Steps of D to one of G, each on a batch of its own.", low=1)
    shared_latents: bool = _option(True, "G's step takes the latents of D's (last) step.")
    optimizer: str = _option("adam", "Optimizer of both networks.", choices=("adam", "rmsprop"))
    learning_rate: float = _option(2e-4, "Learning rate of both networks.", low=0.0)
    discriminator_learning_rate: float = _option(
        0.0, "Learning rate of D; 0: that of both.", low=0.0
    )
    learning_rate_schedule: str = _option(
        "constant",
        "What both rates do: stay, or fall to zero along a line or half a period of a cosine.",
        choices=settings.LEARNING_RATE_SCHEDULES,
    )
    warmup_steps: int = _option(0, "Steps in which both rates rise from zero, along a line.", low=0)
    decay_steps: int = _option(
        0,
        "linear, cosine: the step at which the rates have fallen to zero; 0: --train_steps. The "
        "run keeps this number: to resume it with another --train_steps, repeat it.",
        low=0,
    )
    beta_1: float = _option(0.5, "Adam's decay of the mean gradient.", low=0.0, high=1.0)
    beta_2: float = _option(0.999, "Adam's decay of the mean square.", low=0.0, high=1.0)
    loss_scale: float = _option(
        1.0,
        "Multiplies the losses' gradients; the batch size makes of means the sums of the authors' "
        "code, which matters with rmsprop.",
        low=0.0,
    )
    batch_size: int = _option(64, "Images per step, over all replicas together.", low=1)
    train_steps: int = _option(
        20_000, "Step to stop at, counted from the run's beginning.", low=1, may_change=True
    )
    seed: int = _option(
        0,
        "Of the initial weights, the latents and the order of the data.",
        low=0,
        high=2**32 - 1,
    )
    ema_decay: float = _option(
        0.0, "Decay of an average of G to draw pictures with; 0 for none.", low=0.0, high=1.0
    )
    # How to run it.
    dtype_policy: str = _option(
        "float32",
        "Precision of the computation. mixed_bfloat16 needs nothing else; mixed_float16 scales "
        "both losses, since small gradients would vanish.",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    distribution: str = _option(
        "mirrored",
        "mirrored: all local devices together; one_device: the first one; multi_worker: those of "
        "all workers that TF_CONFIG names; tpu: the TPU of --tpu (never tried).",
        choices=("mirrored", "one_device", "multi_worker", "tpu"),
        may_change=True,
    )
    logical_devices: int = _option(
        1, "Split the CPU into so many devices, to try replicas out.", low=1, may_change=True
    )
    tpu: str = _option(
        "local", "Name or address of the TPU for --distribution=tpu.", may_change=True
    )
    worker_timeout: int = _option(
        300,
        "multi_worker: seconds to wait for the other workers at the start.",
        low=1,
        may_change=True,
    )
    sync_batch_norm: bool = _option(
        True,
        "Batch norm over the images of all replicas: the same mathematics on any number of them. "
        "Else each replica normalises its own part of the batch, which is faster and trains "
        "differently; the statistics saved are then the mean of all replicas'. One replica: no "
        "difference.",
    )
    steps_per_execution: int = _option(
        0, "Steps per call of the graph; 0: as many as take half a second.", low=0, may_change=True
    )
    jit_compile: bool = _option(
        False,
        "Compile the step with XLA; one replica only. It draws other latents for the same seed, "
        "and is slower than without on CPUs.",
    )
    # What to keep.
    run_dir: str = _option("", "Run directory; default runs/RECIPE.", may_change=True)
    log_every: int = _option(100, "Steps between log lines.", low=1, may_change=True)
    sample_every: int = _option(1000, "Steps between sample grids.", low=1, may_change=True)
    checkpoint_every: int = _option(1000, "Steps between checkpoints.", low=1, may_change=True)
    keep_checkpoints: int = _option(
        3, "Checkpoints to keep; at least two: one may be damaged.", low=2, may_change=True
    )
    keep_best: str = _option(
        "none",
        "Keep the checkpoint that is best by this score as well; needs --eval_every.",
        choices=("none", *BEST_SCORES),
        may_change=True,
    )
    # How to score it meanwhile.
    eval_every: int = _option(0, "Steps between scores; 0: none.", low=0, may_change=True)
    eval_images: int = _option(
        10_000, "Images a score is taken over, generated and real.", low=2, may_change=True
    )
    features: str = _option(
        "inception-2015",
        "Features to score by: inception-2015, keras:NAME, classifier (of this data set, from "
        "lsgan_tf.train_classifier), or the path of a SavedModel or .keras file.",
        may_change=True,
    )
    features_file: str = _option(
        "",
        "The graph of inception-2015 or the weights of keras:NAME; else fetched.",
        may_change=True,
    )

    def __post_init__(self):
        self._check_numbers()
        self._check_objective()
        self._check_augmentation()
        self._check_schedule()
        self._check_rates()
        self._check_scores()
        if self.logical_devices > 1 and self.distribution != "mirrored":
            raise UserError("--logical_devices above 1 needs --distribution=mirrored.")

    def _check_numbers(self):
        for name, value in vars(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"--{name}={value} is not a finite number.")
        for name in ("ema_decay", "beta_1", "beta_2"):
            if getattr(self, name) >= 1.0:
                raise UserError(
                    f"--{name}={getattr(self, name)} would never move; it must be below 1, "
                    "e.g. 0.999."
                )
        if self.loss_scale == 0.0:
            raise UserError("--loss_scale=0 would train nothing; 1 leaves the losses as they are.")

    def _check_objective(self):
        if self.objective in settings.LABEL_PRESETS:
            self._resolve_labels()
        if self.objective == "least_squares":
            with _as_user_error(""):
                names = ("--label_a", "--label_b")
                settings.check_labels(self.label_a, self.label_b, names=names)
        if self.objective == "wasserstein" and self.penalty == "none":
            raise UserError(
                "--objective=wasserstein without a penalty has no lower bound: D's logits would "
                "grow without end. Add --penalty=wgan_gp, and a pair without batch norm in D."
            )
        for setting, (default, penalties) in _PENALTY_SETTINGS.items():
            value = getattr(self, setting)
            if value != default and self.penalty not in penalties:
                raise UserError(
                    f"--{setting}={value} goes with --penalty={' or '.join(penalties)}, not with "
                    f"--penalty={self.penalty}."
                )

    def _check_augmentation(self):
        if self.augment:
            with _as_user_error(f"--augment={self.augment}: "):
                settings.check_augmentations(self.augment.split(","))

    def _check_schedule(self):
        with _as_user_error("--"):  # the message begins with the name of the setting
            settings.check_schedule(self.schedule, self.n_critic, self.shared_latents)

    def _check_rates(self):
        falling = self.learning_rate_schedule != "constant"
        if falling and not self.decay_steps:
            object.__setattr__(self, "decay_steps", self.train_steps)  # this is what is recorded
        with _as_user_error("--"):
            settings.check_learning_rate_schedule(
                self.learning_rate_schedule, self.warmup_steps, self.decay_steps
            )
        if falling and self.train_steps > self.decay_steps:
            raise UserError(
                f"--train_steps={self.train_steps} goes beyond --decay_steps={self.decay_steps}, "
                f"where the rates are zero. Add --decay_steps={self.train_steps}, which a run that "
                "has begun takes with --allow_config_change."
            )

    def _check_scores(self):
        if self.keep_best == "none":
            return
        if not self.eval_every:
            raise UserError(
                f"--keep_best={self.keep_best} needs scores; add --eval_every=1000, for example."
            )
        if self.keep_best == "class_accuracy" and not self.conditional:
            raise UserError(
                "--keep_best=class_accuracy needs --conditional: no class is asked for."
            )

    def _resolve_labels(self):
        """Replaces a preset, which is a name for labels, by them: these are what is recorded."""
        labels = settings.LABEL_PRESETS[self.objective]
        for name, value in zip(("label_a", "label_b", "label_c"), labels, strict=True):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "objective", "least_squares")

    def to_flagfile(self) -> str:
        """The flags that repeat this run, one a line, without the directories of this machine."""
        fields = (f.name for f in dataclasses.fields(self) if f.name not in OF_THIS_MACHINE)
        return "".join(f"--{name}={_spell(getattr(self, name))}\n" for name in fields)


def differences(old: dict, new: dict) -> tuple[dict, dict]:
    """What distinguishes two configurations, as dictionaries: ({name: (old, new)} that changes
    the training, the same for what may change freely). A name that one lacks counts as None."""
    free = {f.name for f in dataclasses.fields(Config) if f.metadata["may_change"]}
    changed = {
        name: (old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }
    return (
        {name: pair for name, pair in changed.items() if name not in free},
        {name: pair for name, pair in changed.items() if name in free},
    )


def _spell(value):
    return str(value).lower() if isinstance(value, bool) else str(value)
