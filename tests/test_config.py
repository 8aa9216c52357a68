"""Flags, recipes and what they resolve to."""

import dataclasses

import pytest
from absl import flags

from lsgan_tf import config, recipes
from lsgan_tf.config import Config
from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.score_directions import BETTER
from lsgan_tf.utils.settings import LABEL_PRESETS
from tests.commands import run_command


@pytest.fixture
def parse(monkeypatch):
    """Parses a command line as the training command does, on flags of its own."""
    values = flags.FlagValues()
    recipes.define_flags(values)
    monkeypatch.setattr(recipes.flags, "FLAGS", values)

    def run(*arguments):
        recipes.parse(["train", *arguments])
        return recipes.from_flags()

    return run


def test_no_flags_train_the_embedded_digits(parse):
    resolved = parse()
    assert (resolved.dataset, resolved.network) == ("printed_digits", "light")
    assert resolved.run_dir == "runs/printed_digits"


def test_dataset_reads_its_recipe_and_the_command_line_wins(parse):
    resolved = parse("--learning_rate=0.5", "--dataset", "lsun_church")
    assert (resolved.network, resolved.batch_size) == ("scene", 64)
    assert (resolved.label_a, resolved.label_b, resolved.label_c) == (0, 1, 1)
    assert resolved.learning_rate == 0.5
    assert resolved.run_dir == "runs/lsun_church"


def test_dataset_without_recipe_gets_the_default_one(parse):
    resolved = parse("--dataset=tfds:celeb_a", "--batch_size=32")
    assert (resolved.network, resolved.batch_size) == ("dcgan", 32)
    assert (resolved.label_a, resolved.label_c) == (-1, 0)
    assert resolved.run_dir == "runs/tfds_celeb_a"


def test_a_run_of_a_recipe_that_leaves_the_data_set_open_is_named_after_the_data_set(parse):
    few = parse(f"--flagfile={recipes.RECIPES}/few_pictures.flags", "--dataset=photos")
    assert (few.mirror, few.run_dir) == (True, "runs/photos")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ("r1", 1, 4, "none", 32)),
        (["--penalty=none"], ("none", 0, 1, "none", 32)),
        (["--penalty=dragan"], ("dragan", 0, 1, "none", 32)),
        (["--penalty=dragan", "--penalty_every=2"], ("dragan", 0, 2, "none", 32)),
        (["--penalty=r1", "--penalty_weight", "3"], ("r1", 3, 4, "none", 32)),
        (["--network=light"], ("r1", 1, 4, "pair", 0)),
        (["--network=light", "--discriminator_norm=none"], ("r1", 1, 4, "none", 0)),
    ],
)
def test_another_penalty_or_network_leaves_the_recipes_settings_of_the_former(
    parse, given, expected
):
    resolved = parse("--dataset=photos", *given)
    names = "penalty", "penalty_weight", "penalty_every", "discriminator_norm", "base_channels"
    assert tuple(getattr(resolved, name) for name in names) == expected


def test_flagfile_replaces_the_recipe(parse, tmp_path):
    recipe = tmp_path / "mine.flags"
    recipe.write_text("# my recipe\n--dataset=lsun_church\n--batch_size=4\n")
    resolved = parse(f"--flagfile={recipe}", "--train_steps=7")
    assert (resolved.dataset, resolved.batch_size, resolved.train_steps) == ("lsun_church", 4, 7)
    assert resolved.network == "dcgan"  # flags/lsun_church.flags was not read
    assert resolved.run_dir == "runs/mine"


def test_flagfile_of_a_config_resolves_to_it(parse, tmp_path):
    original = Config(dataset="cifar10", learning_rate=3e-5, conditional=True, ema_decay=0.5)
    recipe = tmp_path / "recipe.flags"
    recipe.write_text(original.to_flagfile())
    resolved = parse(f"--flagfile={recipe}", "--run_dir=elsewhere")
    assert resolved == dataclasses.replace(original, run_dir="elsewhere")


def test_run_dir_alone_resumes_with_its_own_recipe(parse, tmp_path):
    (tmp_path / "recipe.flags").write_text(Config(dataset="cifar10", seed=5).to_flagfile())
    resolved = parse(f"--run_dir={tmp_path}")
    assert (resolved.dataset, resolved.seed) == ("cifar10", 5)


def test_a_runs_own_recipe_means_that_run(parse, tmp_path):
    (tmp_path / "recipe.flags").write_text(Config().to_flagfile())
    (tmp_path / "config.json").write_text("{}")
    assert parse(f"--flagfile={tmp_path}/recipe.flags").run_dir == str(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lerning_rate=1"], "lerning_rate.*Did you mean: learning_rate.*Known flags:.*--seed"),
        (["--optimizer=sgd"], "optimizer.*adam|rmsprop"),
        (["--batch_size=0"], "batch_size"),
        (["--ema_decay=2"], "ema_decay"),
        (["--seed=5000000000"], "seed"),
        (["--train_steps=many"], "train_steps"),
        (["resume"], "not a flag: resume"),
    ],
)
def test_mistakes_end_with_a_sentence(parse, arguments, message):
    with pytest.raises(SystemExit, match=f"(?s)error: .*{message}"):
        parse(*arguments)


def test_contradictions_are_refused():
    with pytest.raises(UserError, match="label_a and --label_b are both"):
        Config(label_a=1.0, label_b=1.0)
    with pytest.raises(UserError, match="ema_decay=1.0 would never move"):
        Config(ema_decay=1.0)
    for value in (float("nan"), float("inf")):
        with pytest.raises(UserError, match="learning_rate=.* is not a finite number"):
            Config(learning_rate=value)
    for distribution in ("one_device", "multi_worker"):
        message = "--logical_devices above 1 needs.*distribution=mirrored"
        with pytest.raises(UserError, match=message):
            Config(logical_devices=2, distribution=distribution)
    for changes in ({"n_critic": 2}, {"shared_latents": False}):
        with pytest.raises(UserError, match="--schedule=simultaneous takes one step of each"):
            Config(schedule="simultaneous", **changes)
    for kind in ("none", "wgan_gp", "r1"):
        with pytest.raises(UserError, match=f"=lsgan_gp or dragan, not with --penalty={kind}"):
            Config(penalty=kind, penalty_width=3.0)
    for name, value in (("penalty_weight", 2.0), ("penalty_target", 0.0), ("penalty_every", 4)):
        with pytest.raises(UserError, match=f"--{name}={value} goes with --penalty=lsgan_gp or"):
            Config(**{name: value})
    with pytest.raises(UserError, match="--penalty_target=2.0 goes with .*not with --penalty=r1"):
        Config(penalty="r1", penalty_target=2.0)
    for value, fault in (("colour", "'colour' is unknown"), ("cutout,cutout", "named twice")):
        with pytest.raises(UserError, match=f"--augment={value}: .*{fault}"):
            Config(augment=value)
    with pytest.raises(UserError, match="wasserstein without a penalty.*Add --penalty=wgan_gp"):
        Config(objective="wasserstein")
    with pytest.raises(UserError, match="--loss_scale=0 would train nothing"):
        Config(loss_scale=0.0)
    for name in ("beta_1", "beta_2"):
        with pytest.raises(UserError, match=f"--{name}=1.0 would never move"):
            Config(**{name: 1.0})


def test_rates_fall_until_the_last_step_unless_told_otherwise(parse, tmp_path):
    assert Config(train_steps=500).decay_steps == 0
    resolved = Config(train_steps=500, learning_rate_schedule="cosine", warmup_steps=499)
    assert resolved.decay_steps == 500
    recipe = tmp_path / "recipe.flags"
    recipe.write_text(resolved.to_flagfile())
    shorter = parse(f"--flagfile={recipe}", "--train_steps=400")
    assert (shorter.train_steps, shorter.decay_steps) == (400, 500)
    longer = f"--flagfile={recipe}", "--train_steps=600"
    with pytest.raises(UserError, match="beyond --decay_steps=500.*Add --decay_steps=600"):
        parse(*longer)
    assert parse(*longer, "--decay_steps=600").decay_steps == 600


def test_numbers_of_steps_that_do_not_go_with_the_rates_are_refused():
    with pytest.raises(UserError, match="--warmup_steps=500 must be below decay_steps=500"):
        Config(learning_rate_schedule="linear", train_steps=500, warmup_steps=500)
    with pytest.raises(UserError, match="--decay_steps=9 goes with a learning_rate_schedule"):
        Config(decay_steps=9)


def test_a_preset_is_a_name_for_labels(parse):
    """The command line's preset replaces the recipe's labels, and the labels are recorded."""
    for name, (a, b, c) in LABEL_PRESETS.items():
        resolved = parse("--dataset=lsun_church", f"--objective={name}")
        assert (resolved.label_a, resolved.label_b, resolved.label_c) == (a, b, c)
        assert resolved.objective == "least_squares"
    assert Config(objective="pearson") == Config(label_a=-1.0, label_b=1.0, label_c=0.0)


def test_labels_beside_a_preset_are_refused(parse):
    with pytest.raises(UserError, match="=pearson brings its own labels; leave --label_a=0 out"):
        parse("--objective=pearson", "--label_a=0")


def test_labels_beside_a_preset_in_one_flagfile_are_refused(parse, tmp_path):
    recipe = tmp_path / "mine.flags"
    recipe.write_text("# Mine.\n--label_a=3\n--objective=pearson\n")
    with pytest.raises(UserError, match="mine.flags: --objective=pearson brings.*--label_a=3 out"):
        parse(f"--flagfile={recipe}")
    with pytest.raises(UserError, match="mine.flags cannot be used: --objective=pearson brings"):
        recipes.read(recipe)


def test_labels_of_a_flagfile_give_way_to_a_preset_of_the_command_line(parse, tmp_path):
    recipe = tmp_path / "mine.flags"
    recipe.write_text("# Mine.\n--label_a=3\n")
    resolved = parse(f"--flagfile={recipe}", "--objective=pearson")
    assert (resolved.label_a, resolved.label_b, resolved.label_c) == (-1, 1, 0)


def test_differences_tell_what_matters_from_what_does_not():
    old = dataclasses.asdict(Config(seed=1, train_steps=5))
    new = dataclasses.asdict(Config(seed=2, train_steps=9))
    assert config.differences(old, new) == ({"seed": (1, 2)}, {"train_steps": (5, 9)})
    assert config.differences({}, {"seed": 1}) == ({"seed": (None, 1)}, {})


def test_help_shows_every_flag():
    done = run_command("train", "--help")
    for field in dataclasses.fields(Config):
        assert f"--{field.name}" in done.stdout.replace("--[no]", "--"), field.name


def test_an_included_file_gives_way_to_what_includes_it(parse, tmp_path, monkeypatch):
    """From any working directory; the recipe that the run directory is named after is the outer."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "base.flags").write_text(
        "# Base.\n--label_a=3\n--seed=1\n--n_critic=2\n"
    )
    (tmp_path / "mine.flags").write_text("# Mine.\n--flagfile=shared/base.flags\n--seed=2\n")
    monkeypatch.chdir("/")
    resolved = parse(f"--flagfile={tmp_path}/mine.flags", "--batch_size=4")
    assert (resolved.label_a, resolved.seed, resolved.n_critic) == (3, 2, 2)
    assert (resolved.batch_size, resolved.run_dir) == (4, "runs/mine")
    assert "flagfile" not in resolved.to_flagfile()


def test_a_preset_replaces_the_labels_of_an_included_file_but_not_those_beside_it(parse, tmp_path):
    (tmp_path / "base.flags").write_text("# Base.\n--label_a=3\n")
    mine = tmp_path / "mine.flags"
    mine.write_text("# Mine.\n--flagfile=base.flags\n--objective=pearson\n")
    resolved = parse(f"--flagfile={mine}")
    assert (resolved.label_a, resolved.label_b, resolved.label_c) == (-1, 1, 0)
    assert recipes.read(mine).config.label_a == -1
    (tmp_path / "base.flags").write_text("# Base.\n--objective=pearson\n--label_a=3\n")
    with pytest.raises(
        UserError, match="mine.flags: in .*base.flags, --objective=pearson brings its own"
    ):
        parse(f"--flagfile={mine}")
    (tmp_path / "base.flags").write_text("# Base.\n--objective=pearson\n")
    mine.write_text("# Mine.\n--flagfile=base.flags\n--label_a=3\n")
    with pytest.raises(UserError, match="mine.flags: --objective=pearson.*leave --label_a=3 out"):
        parse(f"--flagfile={mine}")


def test_the_best_checkpoint_is_chosen_by_scores_that_have_a_direction():
    chosen = Config.__dataclass_fields__["keep_best"].metadata["choices"]
    assert chosen == (
        *("none", "fid", "kid", "inception_score", "precision", "recall", "coverage"),
        "class_accuracy",
    )
    assert set(chosen[1:]) < BETTER.keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "Unknown command line flag 'nonsense'"),
        (["--objective=pearson", "--label_a=0"], "--objective=pearson brings its own labels"),
        (["--label_a=1", "--label_b=1"], "--label_a and --label_b are both 1.0"),
        (["--flagfile=absent.flags"], "flagfile absent.flags cannot be read"),
    ],
)
def test_commands_print_no_traceback(arguments, message):
    done = run_command("train", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
