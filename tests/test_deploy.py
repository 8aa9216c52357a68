"""What lies in deploy/: the names in it agree, and its scripts do what they say, with a stand-in
for Python where workers would train."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from lsgan_tf import config, recipes
from lsgan_tf.training.rendezvous import Task

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
SCRIPTS = [*sorted(DEPLOY.glob("*.sh")), DEPLOY.parent / "tools" / "gpu_check.sh"]
UNDONE = 75  # kubernetes_worker.sh: there is more to do

# Stands in for the interpreter: what is no training command goes to the real one.
PYTHON = """#!/bin/sh
case $1 in
    -u) exec "$REAL" -I -S "$WORKER" "$@" ;;
    *) exec "$REAL" -I -S "$@" ;;
esac
"""
# Stands in for a worker: prints what it was given, then does as the environment says.
WORKER = """
import json, os, signal, sys, time

def setting(name):
    of_this_worker = name + "_" + str(json.loads(os.environ["TF_CONFIG"])["task"]["index"])
    return os.environ.get(of_this_worker, os.environ.get(name, ""))

def stop(*_):
    print("SIGTERM: saved step 7.", flush=True)
    time.sleep(0.1)
    sys.exit(int(setting("STOPPED") or 0))

signal.signal(signal.SIGTERM, stop)
print(json.dumps([sys.argv[1:], os.environ["TF_CONFIG"]]), flush=True)
if setting("WAIT"):
    open(setting("WAIT") + str(os.getpid()), "w").close()
    time.sleep(30)
print(setting("SAY"))
print("to stderr", file=sys.stderr)
sys.exit(int(setting("STATUS") or 0))
"""


@pytest.fixture
def environment(tmp_path):
    python, worker = tmp_path / "python", tmp_path / "worker.py"
    python.write_text(PYTHON)
    python.chmod(0o755)
    worker.write_text(WORKER)
    inherited = {k: v for k, v in os.environ.items() if k not in ("TF_CONFIG", "BASE_PORT")}
    return {**inherited, "PYTHON": str(python), "REAL": sys.executable, "WORKER": str(worker)}


def run(script, *arguments, **environment):
    command = [str(DEPLOY / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)


def interrupted(script, *arguments, ready, count, number=signal.SIGTERM, **environment):
    """Sends a signal once so many workers are `ready`, a folder; returns (status, lines)."""
    ready.mkdir()
    given = {**environment, "WAIT": f"{ready}/"}
    command = [str(DEPLOY / script), *arguments]
    with subprocess.Popen(
        command, env=given, stdout=subprocess.PIPE, text=True, preexec_fn=_heed_interrupts
    ) as process:
        while len(list(ready.iterdir())) < count and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    return process.returncode, output.splitlines()


def _heed_interrupts():
    """A shell cannot trap what was ignored when it started, as of a job in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def task_of(tf_config, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config)
    return Task.from_environment()


# The scripts themselves.


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound(script):
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", script], check=True)
    if not shutil.which("shellcheck"):
        pytest.skip("sh -n passed; shellcheck is not installed")
    subprocess.run(["shellcheck", script], check=True)


# Several workers on this machine.


def test_local_workers_wants_a_number():
    missing = run("local_workers.sh", PATH=os.environ["PATH"])
    assert missing.returncode != 0
    assert "usage: deploy/local_workers.sh NUMBER_OF_WORKERS [flags" in missing.stderr
    for wrong in ("two", "0", "-1", "--dataset=photos"):
        done = run("local_workers.sh", wrong, PATH=os.environ["PATH"])
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"error: {wrong} is no number of workers\n"


def test_local_workers_are_given_flags_and_each_other(environment, monkeypatch):
    done = run("local_workers.sh", "2", "--dataset=photos", "--seed=1 2", SAY="ä", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    ports = []
    for index in (0, 1):
        first, *others = (
            line.removeprefix(f"[{index}] ") for line in lines if line[:4] == f"[{index}] "
        )
        assert sorted(others) == ["to stderr", "ä"]
        arguments, tf_config = json.loads(first)
        assert arguments == [
            *("-u", "-m", "lsgan_tf.train", "--distribution=multi_worker"),
            *("--dataset=photos", "--seed=1 2"),
        ]
        task = task_of(tf_config, monkeypatch)
        assert task.index == index and len(task.addresses) == 2
        ports.append(task.addresses)
    assert len(lines) == 6 and ports[0] == ports[1]


def test_local_workers_take_the_ports_that_are_asked_for(environment, monkeypatch):
    done = run("local_workers.sh", "3", BASE_PORT="23456", **environment)
    line = next(line for line in done.stdout.splitlines() if line.startswith("[2] [["))
    task = task_of(json.loads(line.removeprefix("[2] "))[1], monkeypatch)
    assert task.addresses == ("127.0.0.1:23456", "127.0.0.1:23457", "127.0.0.1:23458")


@pytest.mark.parametrize("failing", [0, 1])
def test_local_workers_return_the_status_of_one_that_failed(environment, failing):
    done = run("local_workers.sh", "2", **{f"STATUS_{failing}": "3"}, **environment)
    assert done.returncode == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stopped", [0, 4])
def test_local_workers_pass_signals_on_and_wait(environment, number, stopped, tmp_path):
    more = {"number": number, "STOPPED_1": str(stopped), **environment}
    status, lines = interrupted("local_workers.sh", "2", ready=tmp_path / "on", count=2, **more)
    assert status == stopped
    saved = [line for line in lines if "SIGTERM" in line]
    assert sorted(saved) == ["[0] SIGTERM: saved step 7.", "[1] SIGTERM: saved step 7."]


# Kubernetes.


@pytest.fixture(scope="module")
def manifest():
    """{kind: object} of deploy/kubernetes.yaml."""
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    objects = {document["kind"]: document for document in documents}
    assert len(objects) == len(documents)
    return objects


@pytest.fixture(scope="module")
def job(manifest):
    return manifest["Job"]["spec"]


@pytest.fixture(scope="module")
def pod(job):
    return job["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod):
    (only,) = pod["containers"]
    return only


@pytest.fixture(scope="module")
def flags(container):
    return dict(flag.removeprefix("--").split("=", 1) for flag in container["args"])


@pytest.fixture(scope="module")
def variables(container):
    return {variable["name"]: variable["value"] for variable in container["env"]}


def test_the_manifest_holds_together(manifest, job, pod, container, variables):
    service, name = manifest["Service"], manifest["Job"]["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert pod["subdomain"] == service["metadata"]["name"] == variables["SERVICE"]
    assert variables["JOB_NAME"] == name
    of_the_job = {"batch.kubernetes.io/job-name": name}
    assert service["spec"]["selector"] == of_the_job
    policy = manifest["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == of_the_job
    assert policy["ingress"] == [{"from": [{"podSelector": {"matchLabels": of_the_job}}]}]
    ports = [service["spec"]["ports"][0]["port"], container["ports"][0]["containerPort"]]
    assert ports == [int(variables["PORT"])] * 2
    assert job["completionMode"] == "Indexed"
    assert job["completions"] == job["parallelism"] == int(variables["WORKERS"])


def test_the_job_ends_with_worker_0_and_replaces_what_was_stopped(job, pod, container):
    assert job["successPolicy"] == {"rules": [{"succeededIndexes": "0"}]}
    assert pod["restartPolicy"] == "Never" and job["podReplacementPolicy"] == "Failed"
    disruption, undone = job["podFailurePolicy"]["rules"]
    assert disruption["onPodConditions"] == [{"type": "DisruptionTarget"}]
    assert undone["onExitCodes"]["values"] == [UNDONE]
    assert undone["onExitCodes"]["containerName"] == container["name"]
    assert {disruption["action"], undone["action"]} == {"Ignore"}


def test_the_mounts_have_their_volumes(pod, container, flags):
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    assert flags["data_dir"] == mounts["data"]
    assert Path(flags["run_dir"]).parent == Path(mounts["runs"])


def test_the_manifest_gives_flags_that_there_are(container, flags, variables):
    fields = {field.name for field in config.dataclasses.fields(config.Config)}
    assert flags.keys() <= fields
    assert (recipes.RECIPES / f"{flags['dataset']}.flags").is_file()
    replicas = int(variables["WORKERS"]) * container["resources"]["limits"]["nvidia.com/gpu"]
    assert int(flags["batch_size"]) % replicas == 0


def test_the_manifest_is_no_root(pod, container):
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 1000
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert not pod["automountServiceAccountToken"]


@pytest.fixture
def worker(environment, variables):
    """Runs kubernetes_worker.sh as a pod of the manifest would, but for some variables."""

    def call(index, *arguments, how=run, **changes):
        given = {**environment, **variables, "JOB_COMPLETION_INDEX": str(index), **changes}
        return how("kubernetes_worker.sh", *arguments, **given)

    return call


@pytest.mark.parametrize("index", [0, 1])
def test_a_pod_knows_its_place(worker, index, manifest, monkeypatch):
    done = worker(index, "--dataset=photos", "--seed=1 2", WORKERS="3")
    first, *_ = done.stdout.splitlines()
    arguments, tf_config = json.loads(first)
    assert arguments[1:4] == ["-m", "lsgan_tf.train", "--distribution=multi_worker"]
    assert arguments[4:] == ["--dataset=photos", "--seed=1 2"]
    job, service = (manifest[kind]["metadata"]["name"] for kind in ("Job", "Service"))
    task = task_of(tf_config, monkeypatch)
    assert task.addresses == tuple(f"{job}-{i}.{service}:5000" for i in range(3))
    assert task.index == index
    assert done.stderr == "to stderr\n"


FINISHED = "finished at step 20. Look at runs/x/samples, or go on:"
NOTHING = "runs/x is at step 20, and --train_steps=20: nothing to do. A larger --train_steps"
OWED = "SIGTERM: the score of step 20 is given up; the same command makes up for it.\n"


@pytest.mark.parametrize(
    ("index", "output", "status", "expected"),
    [
        (0, FINISHED, 0, 0),
        (0, NOTHING, 0, 0),
        (0, "SIGTERM: saved step 7. Resume with:", 0, UNDONE),
        (0, OWED + FINISHED, 0, UNDONE),
        (1, "", 0, UNDONE),
        (0, "", 1, 1),
        (1, "", 1, 1),
        (0, FINISHED, 3, 3),
    ],
)
def test_the_status_of_a_pod(worker, index, output, status, expected):
    done = worker(index, SAY=output, STATUS=str(status))
    assert done.returncode == expected
    assert done.stdout.splitlines()[1:] == output.splitlines() or not output


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_pod_that_is_stopped_saves_and_is_not_done(worker, stopped, tmp_path):
    how = functools.partial(interrupted, ready=tmp_path / "on", count=1)
    status, lines = worker(0, how=how, STOPPED=str(stopped))
    assert (status, lines[1:]) == (UNDONE, ["SIGTERM: saved step 7."])


def test_the_lines_of_a_pod_come_at_once(worker, tmp_path):
    def how(script, **given):
        with subprocess.Popen([DEPLOY / script], env=given, stdout=subprocess.PIPE) as process:
            line = process.stdout.readline()
            still_at_work = process.poll() is None
            process.terminate()
        return line, still_at_work

    line, still_at_work = worker(0, how=how, WAIT=f"{tmp_path}/")
    assert b"lsgan_tf.train" in line and still_at_work


@pytest.mark.parametrize("name", ["JOB_COMPLETION_INDEX", "WORKERS", "JOB_NAME", "SERVICE"])
def test_a_pod_without_its_place_says_so(worker, name):
    done = worker(0, **{name: ""})
    assert done.returncode != 0
    assert f"{name}: " in done.stderr


def test_the_words_it_listens_for_are_the_recorders():
    recorder = (DEPLOY.parent / "lsgan_tf" / "training" / "recorder.py").read_text()
    for words in ("finished at step {", ": nothing to do. ", " is given up; "):
        assert words in re.sub(r'"\n\s*f?"', "", recorder)


# The image.


def test_what_the_image_copies_is_there():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY ")]
    assert {"lsgan_tf", "flags", "deploy", "requirements.txt"} <= set(copied)
    assert all((DEPLOY.parent / path).exists() for path in copied)
    assert "USER 1000:1000" in lines
