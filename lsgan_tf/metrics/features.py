"""Which features scores compare: what `--features` and its companions choose."""

import dataclasses
from pathlib import Path

from lsgan_tf.metrics import classifier, inception, pretrained
from lsgan_tf.metrics.extractor import FeatureNetwork
from lsgan_tf.utils.errors import UserError

CLASSIFIER = "classifier"


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which features; the flags of the same names."""

    # inception-2015, keras:NAME, classifier, or the path of a SavedModel or .keras file
    features: str = inception.NAME
    features_file: str = ""  # the graph of inception-2015, or the weights of keras:NAME
    features_sha256: str = ""  # what the checksum must be
    features_dtype: str = "float32"  # or "bfloat16"
    data_dir: str = "data"  # where downloads and classifiers are kept

    def load(self, dataset: str) -> FeatureNetwork:
        """Loads the network; call it within the scope of the strategy it is to run under.

        Args:
            dataset: the name of the data set, whose classifier `classifier` means.

        Raises:
            UserError: it is unknown, missing, damaged or of another checksum.
        """
        given = Path(self.features_file) if self.features_file else None
        data_dir, sha256 = Path(self.data_dir), self.features_sha256
        if self.features == inception.NAME:
            return inception.load(given, data_dir, sha256)
        if self.features.startswith(pretrained.KERAS_PREFIX):
            name = self.features.removeprefix(pretrained.KERAS_PREFIX)
            return pretrained.load_application(name, given, sha256)
        if given:
            raise UserError(
                f"--features_file goes with --features={inception.NAME} and keras:NAME; "
                f"--features={self.features} names its file itself."
            )
        if self.features == CLASSIFIER:
            return classifier.load(classifier.path(data_dir, dataset), sha256)
        chosen = Path(self.features)
        if classifier.is_one(chosen):
            return classifier.load(chosen, sha256)
        return pretrained.load_file(chosen, sha256)
