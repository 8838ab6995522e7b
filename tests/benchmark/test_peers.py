import shlex
import sys
from pathlib import Path

import pytest

from htr.benchmark import peers
from htr.benchmark.peers import PEERS, RUNNERS, Peer, PeerProcess, PeerReading, Unreadable
from htr.errors import InputError

STAND_IN = Peer("standin", "Stand-in", "lines", ("nothing==1.0",), (), "MIT", "https://example.org")

# Its pictures are text files: it reads their text, and finds a line as long as that.
RUNNER = """
import os, sys
sys.path.insert(0, {runners!r})
from serve import Runner, serve

def load(threads, language):
    print("chatter of loading")
    def work(text):
        print("chatter of Python")
        os.system("echo chatter of a program")
        if text == "die":
            print("Segmentation fault", file=sys.stderr)
            os._exit(1)
        if text == "page":
            return [[[0, 0], [9, 0], [9, 9]]]
        return 7 if text == "rubbish" else text.upper()
    bounds = [os.environ[name] for name in ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT")]
    return Runner(lambda file: open(file).read() or None, work, dict(versions=dict(threads=threads, language=language, bounds=bounds)))

serve(load)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of environments where the stand-in is installed; its runner uses this Python."""
    set_runner(tmp_path, RUNNER.format(runners=str(RUNNERS)))
    monkeypatch.setattr(peers, "RUNNERS", tmp_path)
    python = tmp_path / "standin" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "standin" / "installed").write_text("nothing==1.0\n")
    return tmp_path


def set_runner(folder, code):
    (folder / "run_standin.py").write_text(code)


def pictures(folder, *texts):
    files = [folder / f"{number} é.png" for number in range(len(texts))]
    for file, text in zip(files, texts):
        file.write_text(text)
    return files


def test_readings_come_in_order_whatever_the_library_prints(folder):
    files = pictures(folder, "one", "zwei", "trois")
    with PeerProcess(STAND_IN, 2, folder, "fra") as peer:
        assert peer.facts["title"] == "Stand-in" and peer.facts["threads"] == 2 and peer.facts["seconds_to_start"] > 0
        assert peer.facts["versions"] == {"threads": 2, "language": "fra", "bounds": ["2", "2"]}
        for _ in range(2):  # it stays between calls
            readings = peer.read(files)
            assert [reading.text for reading in readings] == ["ONE", "ZWEI", "TROIS"]
            assert all(isinstance(reading, PeerReading) and reading.seconds > 0 for reading in readings)
        assert 1 < peer.peak_mb() < 1000


def test_lines_are_found(folder):
    with PeerProcess(STAND_IN, 1, folder) as peer:
        found = peer.find(*pictures(folder, "page"))
    assert found.polygons == [[(0, 0), (9, 0), (9, 9)]] and found.seconds > 0


def test_a_peer_that_dies_says_its_last_words(folder):
    files = pictures(folder, "one", "die", "three")
    with PeerProcess(STAND_IN, 1, folder) as peer:
        for _ in range(2):  # the second time, it is dead from the start
            with pytest.raises(
                InputError, match=r"^Stand-in: has stopped \(Segmentation fault\); remove .*standin and run"
            ):
                peer.read(files)


def test_a_picture_that_cannot_be_opened_is_named_and_the_next_one_read(folder):
    empty, good = pictures(folder, "", "good")
    with PeerProcess(STAND_IN, 1, folder) as peer:
        for file in (empty, folder / "missing.png"):
            with pytest.raises(Unreadable, match=rf"^Stand-in: cannot read .*{file.name}"):
                peer.read([file])
        assert peer.read([good])[0].text == "GOOD"


def test_rubbish_is_refused(folder):
    with PeerProcess(STAND_IN, 1, folder) as peer:
        for texts, ask in ((["rubbish"], peer.read), (["page"], peer.read), (["one"], lambda files: peer.find(*files))):
            with pytest.raises(InputError, match="^Stand-in: gave an answer that makes no sense"):
                ask(pictures(folder, *texts))


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("print('Hello!')", r"gave an answer that makes no sense \(Hello!\)"),
        ("print('[1]')", "makes no sense"),
        ("print('{}')", "makes no sense"),
        ("", r"has stopped \(without a word\)"),
        ("import no_such_module", r"has stopped \(ModuleNotFoundError: .*no_such_module"),
        (
            RUNNER.replace("def load(threads, language):", "def load(threads, language):\n    1 / 0"),
            "does not start .ZeroDiv",
        ),
    ],
)
def test_a_peer_that_does_not_start_is_named(folder, code, complaint):
    set_runner(folder, code.replace("{runners!r}", repr(str(RUNNERS))))
    with pytest.raises(InputError, match=f"^Stand-in: .*{complaint}"), PeerProcess(STAND_IN, 1, folder):
        pass


def test_a_peer_that_is_not_installed_says_so(folder, tmp_path):
    (folder / "standin" / "installed").write_text("nothing==0.9\n")
    for place in (folder, tmp_path / "elsewhere"):
        assert not peers.installed(STAND_IN, place)
        with pytest.raises(
            InputError, match="Stand-in: is not installed in .*; run python -m htr.benchmark.peers standin"
        ):
            PeerProcess(STAND_IN, 1, place).__enter__()


def test_a_command_that_is_missing_is_named_with_its_package(folder):
    needy = Peer("standin", "Stand-in", "lines", ("nothing==1.0",), (("no-such-command", "some-package"),), "", "")
    assert not peers.installed(needy, folder)
    for attempt in (PeerProcess(needy, 1, folder).__enter__, lambda: peers.install(needy, folder)):
        with pytest.raises(
            InputError, match="needs the command no-such-command; install it: apt-get install some-package"
        ):
            attempt()


def test_the_command_line_says_what_is_there_and_what_is_left_out(folder, command_line, monkeypatch):
    needy = Peer("needy", "Needy", "lines", (), (("no-such-command", "some-package"),), "", "")
    monkeypatch.setattr(peers, "PEERS", {"standin": STAND_IN, "needy": needy})
    code, out, err = command_line(peers.main, "--folder", folder)
    assert code == 0
    assert f"standin: installed in {folder / 'standin'}\n" in out
    assert "needy: left out: Needy: needs the command no-such-command" in err
    assert command_line(peers.main, "needy", "--folder", folder)[0] == 2


def test_what_is_no_environment_is_not_overwritten(folder):
    (folder / "standin" / "installed").unlink()
    with pytest.raises(InputError, match="standin: is there and is no Python environment"):
        peers.install(STAND_IN, folder)
    assert (folder / "standin" / "bin" / "python").exists()


def test_an_unknown_name_is_refused(command_line, tmp_path):
    code, out, err = command_line(peers.main, "tesseract", "nobody", "--folder", tmp_path)
    assert (code, out) == (2, "")
    assert err == "error: nobody: there is no such peer; choose from tesseract, rapidocr, easyhtr, kraken\n"


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_known_peers_are_whole(peer):
    assert peer.task in ("lines", "finding") and all("==" in package for package in peer.packages)
    # A runner named like a package would be imported in its place.
    names = {package.partition("==")[0] for package in peer.packages}
    assert (RUNNERS / f"run_{peer.name}.py").exists() and not names & {file.stem for file in Path(RUNNERS).glob("*.py")}
