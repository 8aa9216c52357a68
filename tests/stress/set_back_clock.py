"""Runs a module with Python's clock set back.

python -m tests.stress.set_back_clock 172800 lsgan_tf.train --dataset=printed_digits
"""

import runpy
import sys
import time


def set_back(seconds):
    """Sets back time.time and time.time_ns by whole seconds.

    TensorFlow's own code still reads the true time: with libfaketime, which sets back both, its
    waits fail or hang.
    """
    true_time, true_time_ns = time.time, time.time_ns
    time.time = lambda: true_time() - seconds
    time.time_ns = lambda: true_time_ns() - seconds * 10**9


if __name__ == "__main__":
    set_back(int(sys.argv[1]))
    module = sys.argv[2]
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
