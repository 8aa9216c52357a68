"""Commands in processes of their own that spare the import of TensorFlow, half of a test's time.

A server that has imported it forks them. They see nothing else of the tests: modules of the project
are imported anew.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")


def run(module: str, *arguments: str) -> subprocess.CompletedProcess:
    """Runs `python -m MODULE` to its end."""
    _SERVER.set_forkserver_preload(["tensorflow", "keras"])
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ("stdout", "stderr")]
        arguments = list(map(str, arguments))
        arguments_of_process = (module, arguments, dict(os.environ), outputs)
        process = _SERVER.Process(target=_command, args=arguments_of_process)
        process.start()
        process.join()
        stdout, stderr = (path.read_text() for path in outputs)
    return subprocess.CompletedProcess([module, *arguments], process.exitcode, stdout, stderr)


def _command(module, arguments, environment, outputs):
    import tensorflow as tf

    tf.config.list_physical_devices()  # complains of a missing GPU, which the commands withhold
    for descriptor, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out
