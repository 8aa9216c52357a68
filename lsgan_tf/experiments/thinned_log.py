"""The raw log of a run in a few kilobytes: its flags, its losses thinned out, all its scores."""

import json
from pathlib import Path

from lsgan_tf.experiments.jobs import write_json_lines
from lsgan_tf.runs import json_lines
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import UserError

_LINES = 40  # of losses
_DIGITS = 4  # that are kept of each
_LEFT_OUT = ("time", "scores", "d_learning_rate", "g_learning_rate", "images_per_second")


def write(path: Path, run: Run) -> None:
    """Writes the thinned log of a run.

    Raises:
        UserError: it cannot be written.
    """
    config, _ = run.read()
    metrics = [record for record in run.read_metrics() if "d_loss" in record]
    scores = {}
    for record in run.read_scores():
        key = record["step"], record["extractor"]["name"].partition(" ")[0]
        scores.setdefault(key, {})[record["title"]] = record["value"]
    write_json_lines(
        path,
        [
            {"flags": config.to_flagfile().split()},
            *(
                {name: _shorten(record[name]) for name in record if name not in _LEFT_OUT}
                for record in json_lines.thin(metrics, _LINES)
            ),
            *(
                {"step": step, "features": features, "scores": values}
                for (step, features), values in scores.items()
            ),
        ],
    )


def read_scores(path: Path, title: str) -> list[tuple[int, float]]:
    """(step, value) of a score in a thinned log, in order; none if there is no log.

    Raises:
        UserError: the log is damaged.
    """
    if not path.exists():
        return []
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        scored = [record for record in records if title in record.get("scores", {})]
        return sorted((int(one["step"]), float(one["scores"][title])) for one in scored)
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(
            f"{path} is damaged: {error}. Restore it from the history, or remove it: the report "
            "then draws no curve of this run."
        ) from error


def _shorten(value):
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
