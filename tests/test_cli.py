import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "data" / "sample"

OFFLINE = """
import os, socket

def refuse(*_):
    os.write(2, b"asks the network")
    os._exit(9)  # of a thread too

socket.socket.connect = socket.getaddrinfo = refuse
import htr.training.augmentation
from htr import cli, recognize
cli.run(recognize.main)
"""


def python(program, *words):
    return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)


def test_what_is_told_reaches_the_screen_once():
    done = python(
        "import logging\n"
        "from htr import cli\n"
        "log = logging.getLogger('htr.corpora')\n"
        "cli.run(lambda: [log.warning('%d lines are set aside', count) for count in (2, 2, 3)] and 0)"
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "2 lines are set aside\n3 lines are set aside\n"


def test_to_read_and_to_augment_nobody_is_asked():
    done = python(OFFLINE, "--line", "--language", "none", str(SAMPLE / "page.png"))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_output_that_nobody_reads_any_more_ends_in_silence_and_counts_as_undone():
    program = "from htr import cli\ncli.run(lambda: [print(line, flush=True) for line in range(100_000)] and 0)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        command.stdout.readline()
        command.stdout.close()
        assert command.stderr.read() == b""
    assert command.returncode == 141
