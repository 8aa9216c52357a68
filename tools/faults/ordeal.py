"""Runs that meet a fault time and again, and go on each time."""

import itertools

from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import UserError
from tools.faults import comparing
from tools.faults.outcomes import Outcome
from tools.faults.strikes import Scene, unfinished
from tools.faults.trainers import Trainers

_SET_BACK = 2 * 24 * 3600  # seconds, at each start, against the one before
_EARLIEST, _LATEST = 0.02, 0.9  # of the steps: when to hit


class Ordeal:
    """Hits runs with one fault until it has struck often enough.

    Args:
      name: of the fault.
      fault: the `Fault`.
      reference: the `Reference` of as many workers.
      train_flags: flags of lsgan_tf.train.
      directory: where the runs go.
      chance: a `random.Random` of the moments.
    """

    def __init__(self, name, fault, reference, train_flags, directory, chance):
        self._fault, self._reference, self._train_flags = fault, reference, train_flags
        self._directory, self._chance = directory, chance
        self._outcome = Outcome(name)
        self._pending = []  # hits that no start has gone on from yet
        self._resumed_at = []
        self._starts = 0

    def undergo(self, repeats):
        """Hits so often, in as many runs as it takes; returns the `Outcome`."""
        self._directory.mkdir()
        try:
            for number in itertools.count():
                before = self._outcome.hits
                self._one_run(self._directory / f"run-{number}", repeats - before)
                if self._outcome.hits == repeats:
                    break
                if self._outcome.hits == before:
                    raise UserError("a run ended before it could be hit; give it more steps")
        except UserError as error:
            self._lose(str(error))
        return self._outcome

    def _one_run(self, run_dir, repeats):
        """One run from its first step to its last, and what it is worth."""
        self._starts, self._resumed_at = 0, []
        steps = self._reference.config.train_steps
        moments = (self._chance.uniform(_EARLIEST, _LATEST) * steps for _ in range(repeats))
        ended = False
        for target in sorted(moments):
            before = self._outcome.hits
            while not ended and self._outcome.hits == before:  # it may miss
                ended = self._strike(run_dir, target)
        if not ended:
            with self._start(run_dir) as trainers:
                trainers.finish(self._reference.patience)
                self._account(trainers)
        self._compare(run_dir)

    def _start(self, run_dir):
        back = self._starts * _SET_BACK if self._fault.sets_clock_back else 0
        self._starts += 1
        workers = self._reference.workers
        return Trainers(run_dir, self._starts, self._train_flags, workers, back)

    def _strike(self, run_dir, target):
        """Starts the run and hits it; returns whether it came to its end instead."""
        with self._start(run_dir) as trainers:
            scene = Scene(
                *(run_dir, trainers, self._reference, target, self._outcome.hits, self._chance)
            )
            hit = self._fault.strike(scene)
            self._account(trainers)
            if hit is None:
                return not any(trainers.statuses)
        self._outcome.hits += 1
        self._pending.append(hit)
        self._outcome.seconds += [] if hit.seconds is None else [hit.seconds]
        for sentence in hit.wrong:
            self._lose(sentence)
        return False

    def _account(self, trainers):
        """Notes what the hits so far have cost a start, if it came to say where it goes on."""
        step = trainers.begun_at
        if step is None:
            return
        for hit in self._pending:
            repeated = max(0, hit.reached - step)
            self._outcome.repeated.append(repeated)
            wrong = list(self._wrong_start(hit, step, repeated, trainers))
            self._outcome.resumed += not wrong
            for sentence in wrong:
                self._lose(sentence)
            print(
                f"{self._outcome.fault} {len(self._outcome.repeated)}: hit after step "
                f"{hit.reached}, went on from {step}",
                flush=True,
            )
        self._pending.clear()
        self._resumed_at.append(step)

    def _wrong_start(self, hit, step, repeated, trainers):
        most = self._fault.intervals * self._reference.config.checkpoint_every
        if step != hit.kept:
            yield f"hit after step {hit.reached}, went on from step {step} instead of {hit.kept}"
        if repeated > most:
            yield f"{repeated} steps had to be done again, more than {most}"
        if hit.warning and hit.warning not in trainers.output(0):
            yield f"no warning that {hit.warning}"

    def _compare(self, run_dir):
        whole, config = self._reference.run_dir, self._reference.config
        variables = comparing.compare_checkpoints(whole, run_dir)
        self._outcome.total += variables.total
        self._outcome.equal += variables.total - len(variables.different)
        if variables.different:
            self._lose(f"different variables: {', '.join(variables.different[:3])}")
        for sentence in (
            *comparing.compare_metrics(whole, run_dir, config.log_every, self._resumed_at),
            *comparing.compare_samples(whole, run_dir),
        ):
            self._lose(sentence)
        if unfinished(run_dir):
            self._lose("unfinished files are left at the end")
        if self._fault.sets_clock_back and not _time_fell(run_dir):
            self._lose("the clock was never back in metrics.jsonl: nothing was tried")

    def _lose(self, sentence):
        if sentence not in self._outcome.lost:
            self._outcome.lost.append(sentence)


def _time_fell(run_dir):
    times = [line["time"] for line in Run(run_dir).read_metrics()]
    return any(time > following for time, following in zip(times, times[1:], strict=False))
