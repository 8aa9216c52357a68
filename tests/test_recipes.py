"""Every recipe: its header, its settings, its place in the list and the README."""

import dataclasses
import itertools
import re
from pathlib import Path

import pytest

from lsgan_tf import recipes
from lsgan_tf.config import Config
from lsgan_tf.utils import flagfile
from lsgan_tf.utils.errors import UserError

README = Path(__file__).resolve().parent.parent / "README.md"
FIELDS = ["Source", "Command", "Deviations", "Cost", "Expected"]
DIFFICULT = ("dcgan", "constant", "mlp", "no_norm", "gated", "tanh", "residual")
ALL = {path.stem: path for path in recipes.paths()}

# What each recipe trains with: from the papers' and the authors' settings, not from flags/.
BINARY = {"objective": "least_squares", "label_a": 0, "label_b": 1, "label_c": 1}
PEARSON = {"objective": "least_squares", "label_a": -1, "label_b": 1, "label_c": 0}
SIGMOID = {"objective": "sigmoid"}
USUAL = {
    **{"image_size": 0, "conditional": False, "penalty": "none", "penalty_weight": 0},
    **{"penalty_width": 0, "penalty_target": 1, "schedule": "alternating", "n_critic": 1},
    **{"shared_latents": True, "optimizer": "adam", "learning_rate": 2e-4},
    **{"discriminator_learning_rate": 0, "beta_1": 0.5, "beta_2": 0.999, "loss_scale": 1},
    **{"learning_rate_schedule": "constant", "warmup_steps": 0, "mirror": False},
    **{"batch_size": 64, "ema_decay": 0, "discriminator_norm": "pair", "base_channels": 0},
    **{"augment": "", "penalty_every": 1},
}
OWN_PICTURES = {
    **{"base_channels": 32, "discriminator_norm": "none", "augment": "color,translation"},
    **{"penalty": "r1", "penalty_weight": 1, "penalty_every": 4},
    **{"learning_rate": 5e-4, "ema_decay": 0.999},
}


def _settings(dataset, network, loss, train_steps, **others):
    named = {"dataset": dataset, "network": network, "train_steps": train_steps}
    return {**USUAL, **loss, **named, **others}


def _scene(scene, loss=BINARY):
    return _settings(f"lsun_{scene}", "scene", loss, 1_000_000, learning_rate=1e-3)


def _stability(norm, optimizer, loss):
    """The regular GAN's losses are means, LSGAN's sums over the batch."""
    scale = 1 if loss is SIGMOID else 64
    others = {"optimizer": optimizer, "loss_scale": scale}
    return _settings("lsun_bedroom_64", f"stability_{norm}", loss, 5_000_000, **others)


def _lsgan_gp(name, n_critic=1):
    others = {"penalty": "lsgan_gp", "n_critic": n_critic, "shared_latents": False}
    adam = {"learning_rate": 1e-4, "beta_1": 0.5, "beta_2": 0.9}
    return _settings("lsun_bedroom_64", f"difficult_{name}", BINARY, 500_000, **others, **adam)


def _wgan_gp(name):
    loss = {"objective": "wasserstein", "penalty": "wgan_gp"}
    others = {"n_critic": 5, "shared_latents": False}
    adam = {"learning_rate": 1e-4, "beta_1": 0, "beta_2": 0.9}
    return _settings("lsun_bedroom_64", f"difficult_{name}", loss, 200_000, **others, **adam)


def _report(network, loss):
    """200 epochs of 60,000 images in batches of 64."""
    others = {"image_size": 32, "schedule": "simultaneous"}
    return _settings("fashion_mnist", network, loss, 187_500, **others)


def _comparison(network, loss):
    return _settings("fashion_mnist", network, loss, 20_000)


def _blog(network):
    others = {"n_critic": 3, "shared_latents": False, "batch_size": 32}
    adam = {"learning_rate": 1e-3, "beta_1": 0.9}
    return _settings("mnist", network, BINARY, 1_000_000, **others, **adam)


SETTINGS = {
    "printed_digits": _settings(
        *("printed_digits", "light", PEARSON, 4_500),
        **{"conditional": True, "learning_rate": 1e-3, "discriminator_learning_rate": 5e-4},
        ema_decay=0.999,
    ),
    "fashion_mnist": _settings("fashion_mnist", "digit", PEARSON, 20_000, ema_decay=0.999),
    "default": _settings(None, "dcgan", PEARSON, 20_000, **OWN_PICTURES),
    "few_pictures": _settings(None, "dcgan", PEARSON, 20_000, mirror=True, **OWN_PICTURES),
    "lsun_bedroom": _scene("bedroom"),
    "lsun_bedroom_gan": _scene("bedroom", SIGMOID),
    "lsun_church": _scene("church"),
    "lsun_conference_room": _scene("conference_room"),
    "lsun_dining_room": _scene("dining_room"),
    "lsun_kitchen": _scene("kitchen"),
    "hwdb": _settings("hwdb", "character", BINARY, 1_000_000, conditional=True),
    "stability_bn_g_adam_lsgan": _stability("bn_g", "adam", BINARY),
    "stability_bn_g_adam_gan": _stability("bn_g", "adam", SIGMOID),
    "stability_bn_g_rmsprop_lsgan": _stability("bn_g", "rmsprop", BINARY),
    "stability_bn_g_rmsprop_gan": _stability("bn_g", "rmsprop", SIGMOID),
    "stability_bn_gd_adam_lsgan": _stability("bn_gd", "adam", PEARSON),
    "stability_bn_gd_adam_gan": _stability("bn_gd", "adam", SIGMOID),
    "stability_bn_gd_rmsprop_lsgan": _stability("bn_gd", "rmsprop", PEARSON),
    "stability_bn_gd_rmsprop_gan": _stability("bn_gd", "rmsprop", SIGMOID),
    "cifar10": _settings("cifar10", "dcgan", PEARSON, 100_000, ema_decay=0.999),
    "cifar10_binary": _settings("cifar10", "dcgan", BINARY, 100_000, ema_decay=0.999),
    "cifar10_dcgan": _settings("cifar10", "dcgan", SIGMOID, 100_000, ema_decay=0.999),
    "cats": _settings("cats", "dcgan", PEARSON, 1_000_000),
    "cats_binary": _settings("cats", "dcgan", BINARY, 1_000_000),
    "cats_gan": _settings("cats", "dcgan", SIGMOID, 1_000_000),
    "digits_shift": _settings("digits_shift", "digit", PEARSON, 50_001),
    "digits_shift_gan": _settings("digits_shift", "digit", SIGMOID, 50_001),
    "digits_rotate": _settings("digits_rotate", "digit", PEARSON, 50_001),
    "digits_rotate_labels": _settings(
        *("digits_rotate", "light", PEARSON, 2_000),
        **{"conditional": True, "learning_rate": 5e-4, "ema_decay": 0.999},
    ),
    "digits_rotate_gan": _settings("digits_rotate", "digit", SIGMOID, 50_001),
    **{f"gp_{name}_lsgan": _lsgan_gp(name) for name in DIFFICULT},
    "gp_residual_lsgan": _lsgan_gp("residual", n_critic=2),
    **{f"gp_{name}_wgan": _wgan_gp(name) for name in DIFFICULT},
    "gp_residual_wgan": _wgan_gp("residual_fifth"),
    "fashion_gan_no_bn": _report("fashion", SIGMOID),
    "fashion_gan_bn90": _report("fashion_bn90", SIGMOID),
    "fashion_gan_bn95": _report("fashion_bn95", SIGMOID),
    "fashion_lsgan_no_bn": _report("fashion_sigmoid", BINARY),
    "fashion_lsgan_bn90": _report("fashion_bn90_sigmoid", BINARY),
    "fashion_lsgan_bn95": _report("fashion_bn95_sigmoid", BINARY),
    "fashion_lsgan_deep": _report("fashion_deep_sigmoid", BINARY),
    "infogan_lsgan_sigmoid": _comparison("infogan_sigmoid", BINARY),
    "infogan_lsgan": _comparison("infogan", BINARY),
    "infogan_lsgan_pearson": _comparison("infogan", PEARSON),
    "infogan_gan": _comparison("infogan", SIGMOID),
    "mnist_mlp": _blog("mlp"),
    "mnist_mlp_tf": _blog("mlp_tf"),
}


def test_every_recipe_has_its_line_in_the_table_above():
    assert ALL.keys() == SETTINGS.keys()


@pytest.mark.parametrize("name", ALL)
def test_the_settings_are_the_specified_ones(name):
    recipe = recipes.read(ALL[name])
    resolved = {**vars(recipe.config), "dataset": recipe.dataset}
    assert {field: resolved[field] for field in SETTINGS[name]} == SETTINGS[name]


@pytest.mark.parametrize("name", ALL)
def test_the_header_says_what_it_is_and_how_to_run_it(name):
    text = ALL[name].read_text(encoding="utf-8")
    lines = text.splitlines()
    title, *header = itertools.takewhile(lambda line: line.startswith("#"), lines)
    assert re.fullmatch("# [A-Z].*\\.", title)
    fields = [re.match(r"# (\w+): \S", line) for line in header]
    assert [field[1] for field in fields if field] == FIELDS
    assert all(field or line.startswith("#   ") for field, line in zip(fields, header, strict=True))
    reads_it = [f"--flagfile=flags/{name}.flags", f"--dataset={name}"]
    if recipes.read(ALL[name]).dataset is None:
        reads_it = [f"--flagfile=flags/{name}.flags --dataset=NAME", "--dataset=NAME"]
        options = reads_it[1:] if name == "default" else reads_it[:1]
    else:
        options = reads_it
    assert any(f"# Command: python -m lsgan_tf.train {option}" in header for option in options)
    assert "COST?" not in text and "not measured yet" not in text


@pytest.mark.parametrize("name", ALL)
def test_every_flag_is_one_of_a_run_and_given_once(name):
    for part in flagfile.read(ALL[name]).walk():
        given = [re.match(r"--(no)?(\w+)", line)[2] for line in part.own]
        assert len(set(given)) == len(given)
        assert set(given) <= {field.name for field in dataclasses.fields(Config)}
        repeated = {line for file in part.included for line in file.arguments} & set(part.own)
        assert not repeated, f"{part.path} includes these already: {repeated}"


def test_what_recipes_share_is_used_by_two_of_them_and_has_a_source():
    shared = {path.resolve(): 0 for path in recipes.RECIPES.rglob("*.flags")}
    for path in recipes.RECIPES.rglob("*.flags"):
        for included in flagfile.read(path).included:
            shared[included.path.resolve()] += 1
    for path, users in shared.items():
        if path.parent.name == "common":
            assert users >= 2, path
            assert re.match("# [A-Z].*\\.\n# Source: ", path.read_text(encoding="utf-8")), path
        else:
            assert users == 0, f"{path} is a recipe: what it shares belongs into flags/common"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Mine.\n--lerning_rate=1\n", "mine.flags cannot be used: Unknown command line flag"),
        ("# Mine.\n--batch_size=few\n", "mine.flags cannot be used: flag --batch_size=few"),
        ("# Mine.\n--label_a=1\n", "mine.flags cannot be used: --label_a and --label_b are both"),
        ("# Mine.\nbatch_size=4\n", "mine.flags cannot be used: 'batch_size=4' is not a flag"),
        ("--batch_size=4\n", "mine.flags cannot be used: its first line is not '# ' and a title"),
    ],
)
def test_a_malformed_recipe_is_named(text, message, tmp_path, monkeypatch):
    (tmp_path / "mine.flags").write_text(text)
    monkeypatch.setattr(recipes, "RECIPES", tmp_path)
    with pytest.raises(UserError, match=message):
        recipes.table()


def test_a_recipe_that_is_no_text_is_named(tmp_path):
    (tmp_path / "mine.flags").write_bytes(b"# \xff\n")
    with pytest.raises(UserError, match="mine.flags cannot be used"):
        recipes.read(tmp_path / "mine.flags")


def test_the_list_has_a_line_for_each_in_columns(tmp_path, monkeypatch):
    (tmp_path / "a.flags").write_text(
        "# First.\n--dataset=cats\n--network=light\n--objective=pearson\n--penalty=dragan\n"
    )
    (tmp_path / "second.flags").write_text(
        "# Second.\n--optimizer=rmsprop\n--label_a=0.5\n--train_steps=1500000\n"
    )
    monkeypatch.setattr(recipes, "RECIPES", tmp_path)
    assert recipes.table() == [
        "recipe  data set   network  objective                      optimizer  steps      what",
        "a       cats       light    pearson + dragan               adam       20,000     First.",
        "second  any other  dcgan    least_squares (0.5, 1.0, 1.0)  rmsprop    1,500,000  Second.",
    ]


def test_every_recipe_is_listed():
    assert len(recipes.table()) == len(ALL) + 1


def _expand(pattern):
    """The names that a shell makes of `a_{b,c}`."""
    parts = re.split(r"\{(.*?)\}", pattern)
    return ["".join(choice) for choice in itertools.product(*(part.split(",") for part in parts))]


def test_the_readme_names_every_recipe_once():
    section = README.read_text(encoding="utf-8").split("\n## Recipes\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    patterns = re.findall("`(.*?)`", " ".join(cells))
    named = [name for pattern in patterns for name in _expand(pattern)]
    assert sorted(named) == sorted(ALL)
