"""Other readers, run beside ours, each in an environment of its own: `python -m htr.benchmark.peers` installs them."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from htr.cli import run
from htr.errors import InputError
from htr.files import write_whole

FOLDER = Path(".peers")
"""Where the environments lie if nothing else is said."""

RUNNERS = Path(__file__).parent / "runners"

COMMAND = "python -m htr.benchmark.peers"


@dataclass(frozen=True)
class Peer:
    """Another reader.

    Attributes:
        name: of its environment, and of its runner: `runners/run_<name>.py`.
        title: what messages and reports call it.
        task: `lines`, reading single lines, or `finding`, finding the lines of pages.
        packages: what pip installs, each with its version.
        needs: commands of the system, each with the Debian packages that bring it and its data.
        licence: of the program and of its models.
        home: its page.
    """

    name: str
    title: str
    task: str
    packages: tuple[str, ...]
    needs: tuple[tuple[str, str], ...]
    licence: str
    home: str


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "tesseract",
            "Tesseract 5",
            "lines",
            ("tesserocr==2.13.0", "pillow==13.0.0"),
            (("tesseract", "tesseract-ocr tesseract-ocr-eng tesseract-ocr-fra"),),
            "Apache-2.0",
            "https://github.com/tesseract-ocr/tesseract",
        ),
        Peer(
            "rapidocr",
            "RapidOCR (PP-OCRv6 small)",
            "lines",
            ("rapidocr==3.10.0", "onnxruntime==1.32.0", "opencv-python-headless==5.0.0.93"),
            (),
            "Apache-2.0",
            "https://github.com/RapidAI/RapidOCR",
        ),
        Peer(
            "easyhtr",
            "EasyHTR",
            "lines",
            # It reads its models through pkg_resources, which later setuptools no longer have.
            ("easyhtr==0.1.1", "setuptools==80.9.0"),
            (),
            "not stated",
            "https://pypi.org/project/easyhtr",
        ),
        Peer(
            "kraken",
            "kraken 7 (blla)",
            "finding",
            ("kraken==7.1.1",),
            (),
            "Apache-2.0",
            "https://kraken.re",
        ),
    )
}


class Unreadable(InputError):
    """A peer that still runs cannot read a picture."""


class PeerReading(NamedTuple):
    """What a peer read in a line, and the seconds that it took, opening of the file not included."""

    text: str
    seconds: float


class PeerFinding(NamedTuple):
    """The polygons of the lines that a peer found on a page, x and y in pixels of it, in its reading order, and the seconds, opening
    of the file not included."""

    polygons: list[list[tuple[float, float]]]
    seconds: float


def installed(peer: Peer, folder: Path = FOLDER) -> bool:
    """Whether a peer lies in a folder of environments as it is wanted here, and the system has the commands it needs."""
    try:
        listed = _marker(peer, folder).read_text()
    except OSError:
        return False
    return listed == _listing(peer) and not _missing(peer)


def install(peer: Peer, folder: Path = FOLDER) -> None:
    """Makes a peer's environment anew in `folder/<name>`, and starts the peer once.

    Raises:
        InputError: a command that it needs is missing, the folder cannot be used, pip fails, or the peer does not start;
            half an environment is not left behind.
    """
    _demand_commands(peer)
    environment = folder / peer.name
    if environment.exists() and not (environment / "pyvenv.cfg").exists():
        raise InputError(f"{environment}: is there and is no Python environment; choose another with --folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for words in (
            [sys.executable, "-m", "venv", "--clear", environment],
            [_python(peer, folder), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.packages],
        ):
            made = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
            if made.returncode:
                why = _complaint(made.stderr or made.stdout)
                raise InputError(f"{peer.title}: cannot be installed ({why}); put that right and try again")
        write_whole(_marker(peer, folder), _listing(peer))
        with PeerProcess(peer, 1, folder):
            pass
    except OSError as error:
        shutil.rmtree(environment, ignore_errors=True)
        raise InputError(f"{folder}: cannot be written to ({error.strerror}); choose another with --folder") from None
    except BaseException:
        shutil.rmtree(environment, ignore_errors=True)
        raise


class PeerProcess:
    """A peer at work, in a process of its own: a context manager that starts and ends it.

    It stays between calls, so that peers can take turns and be timed warm.

    Args:
        peer: which one; it must be installed.
        threads: at most so many compute at a time.
        folder: of the environments.
        language: Tesseract's name of the language, such as `eng` or `fra`; other peers have one model for all.

    Attributes:
        facts: name, title, licence, home and threads of the peer, `seconds_to_start`, and what its runner tells: `versions`,
            `models` with checksums, `notes`. Known once it has started.

    Raises:
        InputError: on starting, the peer is not installed or does not start.
    """

    def __init__(self, peer: Peer, threads: int, folder: Path = FOLDER, language: str = "eng") -> None:
        self.peer = peer
        self.facts: dict[str, Any] = {}
        self._threads, self._folder, self._language = threads, folder, language

    def __enter__(self) -> PeerProcess:
        peer = self.peer
        _demand_commands(peer)
        if not installed(peer, self._folder):
            raise InputError(f"{peer.title}: is not installed in {self._folder}; {self._command()}")
        self._chatter = tempfile.TemporaryFile()  # no pipe, which would stop the peer once it is full
        began = time.perf_counter()
        try:
            self._process = subprocess.Popen(
                [
                    _python(peer, self._folder).absolute(),
                    RUNNERS / f"run_{peer.name}.py",
                    json.dumps({"threads": self._threads, "language": self._language}),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._chatter,
                env=_environment(self._threads),
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            self._chatter.close()
            raise InputError(f"{peer.title}: does not start ({error.strerror}); {self._anew()}") from None
        try:
            answer = self._answer()
            if "error" in answer:
                raise InputError(f"{peer.title}: does not start ({answer['error']}); put that right and try again")
            if not isinstance(answer.get("facts"), dict):
                raise self._rubbish(answer)
        except BaseException:
            self.__exit__()
            raise
        self.facts = {
            "name": peer.name,
            "title": peer.title,
            "licence": peer.licence,
            "home": peer.home,
            "threads": self._threads,
            "seconds_to_start": round(time.perf_counter() - began, 2),
            **answer["facts"],
        }
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # it has ended already
            self._process.stdin.close()  # which ends it
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._chatter.close()

    def read(self, files: Sequence[Path]) -> list[PeerReading]:
        """Reads pictures of single lines, one at a time.

        Raises:
            InputError: the peer cannot read a picture (`Unreadable`), stops, or answers with what is no reading.
        """
        return [PeerReading(*self._work(file, _text)) for file in files]

    def find(self, file: Path) -> PeerFinding:
        """Finds the lines of a picture of a page.

        Raises:
            InputError: the peer cannot read the picture, stops, or answers with what are no lines.
        """
        return PeerFinding(*self._work(file, _polygons))

    def peak_mb(self) -> float:
        """The most memory that the peer has held so far, in MB.

        Raises:
            InputError: the peer has stopped.
        """
        answer = self._answer({"peak": True})
        try:
            return float(answer["peak_mb"])
        except (KeyError, TypeError, ValueError):
            raise self._rubbish(answer) from None

    def _work(self, file: Path, understood: Callable[[Any], Any]) -> tuple[Any, float]:
        answer = self._answer({"file": str(Path(file).absolute())})
        if "error" in answer:
            raise Unreadable(
                f"{self.peer.title}: cannot read {file} ({answer['error']}); leave out the file or the peer"
            )
        try:
            return understood(answer["result"]), float(answer["seconds"])
        except (KeyError, TypeError, ValueError):
            raise self._rubbish(answer) from None

    def _answer(self, request: dict[str, Any] | None = None) -> dict[str, Any]:
        """The peer's answer to a request, or what it says first of all."""
        line = ""
        with suppress(OSError):  # it has stopped
            if request:
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            self._chatter.seek(0)
            last = _complaint(self._chatter.read().decode(errors="replace"))
            raise InputError(f"{self.peer.title}: has stopped ({last}); {self._anew()}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = line
        if not isinstance(answer, dict):
            raise self._rubbish(answer)
        return answer

    def _rubbish(self, answer: object) -> InputError:
        shown = str(answer).strip()[:60]
        return InputError(f"{self.peer.title}: gave an answer that makes no sense ({shown}); {self._anew()}")

    def _anew(self) -> str:
        return f"remove {self._folder / self.peer.name} and {self._command()}"

    def _command(self) -> str:
        return f"run {COMMAND} {self.peer.name}" + (f" --folder {self._folder}" if self._folder != FOLDER else "")


def _environment(threads: int) -> dict[str, str]:
    """The variables of a peer's process: threads are bounded, and no packages are seen but its own."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    bounds = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**kept, **dict.fromkeys(bounds, str(threads)), "PYTHONNOUSERSITE": "1"}


def _text(result: object) -> str:
    if not isinstance(result, str):
        raise TypeError
    return result


def _polygons(result: list[list[list[float]]]) -> list[list[tuple[float, float]]]:
    return [[(float(x), float(y)) for x, y in polygon] for polygon in result]


def _python(peer: Peer, folder: Path) -> Path:
    return folder / peer.name / "bin" / "python"


def _marker(peer: Peer, folder: Path) -> Path:
    """The file that says that an environment is whole, and what is in it."""
    return folder / peer.name / "installed"


def _listing(peer: Peer) -> str:
    return "\n".join(peer.packages) + "\n"


def _missing(peer: Peer) -> tuple[str, str] | None:
    """The first command that the peer needs and the system lacks, with its Debian packages."""
    return next((need for need in peer.needs if not shutil.which(need[0])), None)


def _demand_commands(peer: Peer) -> None:
    if missing := _missing(peer):
        raise InputError(f"{peer.title}: needs the command {missing[0]}; install it: apt-get install {missing[1]}")


def _complaint(output: str) -> str:
    """The last line of a program's output that names an error, or just the last one."""
    rows = [row.strip() for row in output.splitlines() if row.strip()] or ["without a word"]
    return next((row for row in reversed(rows) if row.startswith("ERROR:")), rows[-1])


def main() -> int:
    parser = argparse.ArgumentParser(
        prog=COMMAND, description="Installs readers to compare ours with, each in an environment of its own."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(PEERS)} (default: all)")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, metavar="DIR", help=f"of the environments (default: {FOLDER})"
    )
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in PEERS:
            raise InputError(f"{name}: there is no such peer; choose from {', '.join(PEERS)}")
    there = 0
    for name in arguments.names or PEERS:
        peer = PEERS[name]
        try:
            if not installed(peer, arguments.folder):
                print(f"{name}: being installed", flush=True)
                install(peer, arguments.folder)
        except InputError as error:
            print(f"{name}: left out: {error}", file=sys.stderr, flush=True)
            continue
        there += 1
        print(f"{name}: installed in {arguments.folder / name}", flush=True)
    return 0 if there else 2


if __name__ == "__main__":
    run(main)
