"""Which steps of a run are due for a log line, a sample, a checkpoint, a score."""

from lsgan_tf.config import Config


class Cadences:
    """The multiples of `--log_every`, `--sample_every`, `--checkpoint_every` and `--eval_every`.

    Steps count from the beginning of the run, so a resumed run keeps its cadences. At the last
    step everything is due. Without `--eval_every` no score ever is.

    Args:
        config: the `Config`.
    """

    def __init__(self, config: Config):
        self._config = config

    def log_is_due(self, step: int) -> bool:
        """Whether a line of metrics is due at a step."""
        return self._is_due(step, self._config.log_every)

    def sample_is_due(self, step: int) -> bool:
        """Whether a grid of samples is due at a step."""
        return self._is_due(step, self._config.sample_every)

    def checkpoint_is_due(self, step: int) -> bool:
        """Whether a checkpoint is due at a step."""
        return self._is_due(step, self._config.checkpoint_every)

    def score_is_due(self, step: int) -> bool:
        """Whether a score of the generator is due at a step."""
        return self._is_due(step, self._config.eval_every)

    def anything_is_due(self, step: int) -> bool:
        """Whether one of these is due at a step."""
        return any(self._is_due(step, every) for every in self._intervals())

    def next_due(self, step: int) -> int:
        """The first step after `step` at which something is due."""
        multiples = (step - step % every + every for every in self._intervals() if every)
        return min(*multiples, self._config.train_steps)

    def _is_due(self, step, every):
        return every > 0 and (step == self._config.train_steps or step % every == 0)

    def _intervals(self):
        config = self._config
        return config.log_every, config.sample_every, config.checkpoint_every, config.eval_every
