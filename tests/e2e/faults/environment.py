"""Faults of the environment: signals, streams, limits, and what a machine may lack."""

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tests.e2e.commands import ONE_CORE, bytes_of, command, sets
from tests.e2e.faults.place import SAME, Done, Fault, Place, small_disk

_TRIPLES = ("triples",)
# Between Spark's heartbeat (10 s) and its network timeout (120 s), as a minute is.
_STOPPED_SECONDS = 20
_ANOTHER_USER = 65_534


def _build(place: Place, *, targets: tuple[str, ...] = _TRIPLES, **options: object) -> Done:
    words = command("build-corpus", *targets, "--out", place.out, *sets(*ONE_CORE))
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


def _signalled(place: Place, number: int, ready: Callable[[psutil.Process], bool]) -> Done:
    """Send a signal to the command and all that it started, once `ready`; nothing of it may be left."""
    words = command("build-corpus", *_TRIPLES, "--out", place.out, *sets(*ONE_CORE))
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_signals,  # noqa: PLW1509 (this process has no thread at work)
    ) as build:
        process = psutil.Process(build.pid)
        while not ready(process):
            assert build.poll() is None
            time.sleep(0.02)
        os.killpg(build.pid, number)
        said, errors = build.communicate(timeout=120)
    deadline = time.monotonic() + 30
    while left := [each for each in psutil.process_iter() if _group(each) == build.pid]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    place.ends_alike(*_TRIPLES)
    return Done(words, build.returncode, said, errors)


def _heed_signals() -> None:
    """Undo what a shell without a terminal does to background jobs: they ignore these signals."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _group(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid) if process.status() != psutil.STATUS_ZOMBIE else 0
    except (ProcessLookupError, psutil.Error):
        return 0


def _starts_java(process: psutil.Process) -> bool:
    return any(child.name() in ("java", "bash", "spark-submit") for child in process.children())


def early_interrupt(place: Place) -> Done:
    return _signalled(place, signal.SIGINT, _starts_java)


def late_interrupt(place: Place) -> Done:
    return _signalled(place, signal.SIGINT, lambda _: any(place.out.glob("tables/triples/*")))


def closed_terminal(place: Place) -> Done:
    return _signalled(place, signal.SIGHUP, lambda _: (place.out / "spark.log").exists())


def stopped_and_continued(place: Place) -> Done:
    words = command("build-corpus", *_TRIPLES, "--out", place.out, *sets(*ONE_CORE))
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as build:
        while not (place.out / "spark.log").exists():
            time.sleep(0.05)
        time.sleep(2)
        os.killpg(build.pid, signal.SIGSTOP)
        time.sleep(_STOPPED_SECONDS)
        os.killpg(build.pid, signal.SIGCONT)
        said, errors = build.communicate()
    place.ends_alike(*_TRIPLES)
    return Done(words, build.returncode, said, errors)


def few_open_files(place: Place) -> Done:
    return _build(place, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))


def bare_environment(place: Place) -> Done:
    kept = {name: os.environ[name] for name in ("PATH", "JAVA_HOME") if name in os.environ}
    environment = {**kept, "LC_ALL": "C", "LANG": "C", "TMPDIR": str(place.folder / "absent")}
    done = _build(place, env=environment, umask=0o077)
    place.ends_alike(*_TRIPLES)
    return done


def full_temporary_folder(place: Place) -> Done:
    with _full_disk(place) as disk:
        return _build(place, env={**os.environ, "TMPDIR": str(disk)})


def full_scratch_folder(place: Place) -> Done:
    with _full_disk(place) as disk:
        return _build(place, env={**os.environ, "SPARK_LOCAL_DIRS": str(disk)})


@contextlib.contextmanager
def _full_disk(place: Place) -> Iterator[Path]:
    """A disk without a free byte; the build ends with the finished one's bytes once it is gone."""
    with small_disk(place) as disk:
        with contextlib.suppress(OSError), open(disk / "full", "wb", buffering=0) as stream:
            while stream.write(bytes(1 << 16)):
                pass
        yield disk
    place.ends_alike(*_TRIPLES)


def folder_of_another_user(place: Place) -> Done:
    """As root without its privileges: another user's files can be read and not written."""
    before = bytes_of(place.copy())
    subprocess.run(["chown", "-R", str(_ANOTHER_USER), place.out], check=True, capture_output=True)
    words = command("build-corpus", *_TRIPLES, "--force", "--out", place.out, *sets(*ONE_CORE))
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run([*bare, *words], capture_output=True, text=True, check=False)
    shown = subprocess.run(
        [*bare, *command("inspect", "triples", "--out", place.out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert bytes_of(place.out) == before
    return done


def lock_of_another_host(place: Place) -> Done:
    """`.lock` names a process that is alive here but is another host's: nobody holds the lock itself."""
    (place.copy() / ".lock").write_text(str(os.getpid()))
    done = place.build(*_TRIPLES, "--force")
    assert (place.out / ".lock").read_text() != str(os.getpid())
    assert bytes_of(place.out) == bytes_of(place.built)
    return done


def modules_in_the_working_directory(place: Place) -> Done:
    for name in ("pyspark", "pyarrow", "numpy", "kgcorpus", "pipelines"):
        (place.folder / f"{name}.py").write_text(f"open({str(place.folder / 'ran')!r}, 'w')\n")
    # As the script `kgcorpus` starts Python, without the working directory on the path.
    words = command("build-corpus", *_TRIPLES, "--out", place.out, *sets(*ONE_CORE))
    words.insert(1, "-P")
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=place.folder)
    assert not (place.folder / "ran").exists()
    place.ends_alike(*_TRIPLES)
    return done


def clock_set_back(place: Place) -> Done:
    ahead = time.time() + 86_400
    for path in place.copy().rglob("*"):
        os.utime(path, (ahead, ahead))
    done = place.build()
    assert bytes_of(place.out) == bytes_of(place.built)
    return done


def closed_streams(place: Place) -> Done:
    words = command("build-corpus", *_TRIPLES, "--out", place.out, *sets(*ONE_CORE))
    line = 'exec "$@" <&- >&- 2>&-'
    done = subprocess.run(["bash", "-c", line, "bash", *words], capture_output=True, text=True, check=False)
    place.ends_alike(*_TRIPLES)
    return done


def reader_gone(place: Place) -> Done:
    words = command("build-corpus", *_TRIPLES, "--out", place.out, *sets(*ONE_CORE))
    line = '"$@" | true; exit ${PIPESTATUS[0]}'
    done = subprocess.run(["bash", "-c", line, "bash", *words], capture_output=True, text=True, check=False)
    place.ends_alike(*_TRIPLES)
    return done


def read_only_out(place: Place) -> Done:
    out = place.copy()
    (out / "tables" / "triples").rename(place.folder / "aside")
    subprocess.run(["mount", "--bind", out, out], check=True, capture_output=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", out], check=True, capture_output=True)
        return _build(place)
    finally:
        subprocess.run(["umount", "--lazy", out], check=True)


def read_only_installation(place: Place) -> Done:
    """Without a home; a kernel is compiled, in a mount namespace of its own."""
    package = Path(__file__).parents[3]
    words = command("build-corpus", "cycles", "--out", place.out, *sets(*ONE_CORE))
    line = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    environment = {**os.environ, "HOME": "/proc/nope", "XDG_CACHE_HOME": "", "TMPDIR": str(place.folder)}
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", line, package, *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert list(place.folder.glob(f"kgcorpus-{os.geteuid()}/numba/*/*.nbi"))
    place.ends_alike("cycles")
    return done


_ALL = "to all processes of it"
_STAYS = "its files stay, and are read"
_GONE = f"no process is left; {SAME}"

FAULTS = (
    Fault("Ctrl-C while Java starts", f"SIGINT {_ALL}", 130, early_interrupt, _GONE),
    Fault("Ctrl-C while Spark works", f"SIGINT {_ALL}", 130, late_interrupt, _GONE),
    Fault("a closed terminal", f"SIGHUP {_ALL}", 129, closed_terminal, _GONE),
    Fault(
        "a stopped build",
        f"SIGSTOP {_ALL} for {_STOPPED_SECONDS} s",
        0,
        stopped_and_continued,
        "same bytes",
    ),
    Fault("few open files", "`ulimit -n 64`", 4, few_open_files),
    Fault(
        "a bare environment",
        "no HOME, `LC_ALL=C`, TMPDIR that is not there, umask 077",
        0,
        bare_environment,
        "same bytes",
    ),
    Fault(
        "a full temporary folder",
        "TMPDIR on a disk without room",
        0,
        full_temporary_folder,
        "another is used; same bytes",
    ),
    Fault(
        "a full scratch folder",
        "SPARK_LOCAL_DIRS on a disk without room",
        4,
        full_scratch_folder,
        SAME + " once there is room",
    ),
    Fault("a folder of another user", "OUT may be read and not written", 4, folder_of_another_user, _STAYS),
    Fault(
        "a lock of another host",
        "`OUT/.lock` names a process that is alive here too",
        0,
        lock_of_another_host,
        "taken over; same bytes",
    ),
    Fault(
        "modules in the working directory",
        "`pyspark.py`, `numpy.py` and others there",
        0,
        modules_in_the_working_directory,
        "they are not run; same bytes",
    ),
    Fault("a clock set back", "all files of OUT a day ahead", 0, clock_set_back, "same bytes"),
    Fault("closed streams", "`<&- >&- 2>&-`", 0, closed_streams, "same bytes"),
    Fault("a reader that goes away", "into `true`", 0, reader_gone, "same bytes"),
    Fault("a read-only OUT", "mounted so, a table missing", 4, read_only_out, "the other tables stay"),
    Fault(
        "a read-only installation",
        "mounted so, without a home",
        0,
        read_only_installation,
        "kernels are cached in TMPDIR; same bytes",
    ),
)
