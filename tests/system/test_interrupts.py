"""A run that is stopped or killed goes on where it was, and ends as if it had never been."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from sandbox.cli import app
from sandbox.errors import InputError
from sandbox.measuring import measure as measure_module
from sandbox.measuring.measure import Stopped, measure, measure_pairs
from sandbox.measuring.resume import VERSION, State
from sandbox.system import interrupts as stopping
from tests.helpers.runs import N, arguments, assert_same, report_of, run, sandbox, tokens, write_files


@pytest.fixture(scope="module")
def x():
    return tokens()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("run")
    write_files(made)
    return made


NURSERY = """
import os, random, signal, sys, time
import numpy, torch
torch.set_num_threads(1)
from sandbox.cli import main
from sandbox.measuring.measure import measure
from sandbox.measuring.totals import Totals

x = torch.randn(500, 24)  # all that is loaded and compiled once is so before the children are born
measure(lambda t: 0.9 * t, x, documents=numpy.arange(500), published=32).to_dict()

counted = Totals.of
Totals.of = lambda *given: (time.sleep(0.02), counted(*given))[1]  # so that a run has a middle
chance, state = random.Random(0), sys.argv[1]
sys.argv = ["sandbox", *sys.argv[2:]]
for kill in range(20):
    before = os.stat(state).st_mtime_ns if os.path.exists(state) else 0
    child = os.fork()
    if not child:
        main()
    while not os.path.exists(state) or os.stat(state).st_mtime_ns == before:  # until it has gone on by a batch
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "it ended before it was killed"
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, "it ended before it was killed"
"""
"""Starts a run twenty times and kills it each time at a random point: before, in or after a saving."""


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times_ends_with_the_same_totals(folder, tmp_path):
    state = tmp_path / "state"
    command = arguments(folder, "--documents", folder / "ids.npy")
    resumed = [*command, "--checkpoint", str(state), "--every", "0"]
    killed = run([sys.executable, "-c", NURSERY, str(state), *resumed])
    assert killed.returncode == 0, killed.stderr
    whole, broken = (report_of(sandbox(*one)) for one in (command, resumed))
    assert_same(whole, broken, 0)


@pytest.mark.parametrize(
    "again", [None, *(pytest.param(seconds, marks=pytest.mark.slow) for seconds in (0.0, 0.02, 0.2))]
)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_state_and_prints_the_report_so_far(number, status, again, folder, tmp_path, x):
    """Also if the same signal comes again, so many seconds later, while the report is made."""
    long = tmp_path / "long.npy"
    np.save(long, x.repeat(60, 1).numpy())
    state = tmp_path / "state"
    given = ["--sae", folder / "sae-0", "--activations", long, "--device", "cpu", "--batch-size", 64]
    full = [*map(str, ["measure", *given, "--checkpoint", state, "--every", 0.2])]
    running = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *full], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not state.exists():
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.01)
    running.send_signal(number)
    if again is not None:
        time.sleep(again)
        running.send_signal(number)
    printed, said = running.communicate(timeout=60)
    assert running.returncode == status, said
    assert "stopped early" in printed
    assert f"run the same command to resume from {state}" in " ".join(said.split())
    assert "Traceback" not in said


STOPPED_RESCALE = """
import os, signal, sys
from sandbox import cli
from sandbox.measuring import one_pass

number, command = int(sys.argv.pop(1)), sys.modules["sandbox.cli.rescale"]
prefetch, say = one_pass.prefetch, command.say

def signalling(*source):
    for i, chunk in enumerate(prefetch(*source)):
        if i == 1:
            os.kill(os.getpid(), number)
        yield chunk

one_pass.prefetch = signalling
command.say = lambda message: (say(message), os.kill(os.getpid(), number))
cli.main()
"""
"""Sends the signal in the second batch, and again when the command says that it was stopped."""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_rescale_writes_nothing_and_keeps_its_status_if_the_signal_is_repeated(
    number, status, folder, tmp_path
):
    out = tmp_path / "out"
    command = ["rescale", "--sae", folder / "sae-0", "--activations", folder / "x.npy", "--device", "cpu"]
    command += ["--batch-size", 64, "--no-preflight", "--json", tmp_path / "r.json", "--out", out]
    done = run([sys.executable, "-c", STOPPED_RESCALE, str(int(number)), *map(str, command)])
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.splitlines()[0] == "sandbox: stopped"
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


STOPPED_WHILE_READING = """
import os, sys, time
from threading import Timer
import torch
from sandbox import cli
from sandbox.activations import prefetch

number, size = map(int, (sys.argv.pop(1), sys.argv.pop(1)))
x = torch.randn(size, size)

def computing(chunk, *_):
    Timer(0.5, os.kill, (os.getpid(), number)).start()
    while True:
        x @ x

prefetch._sent = computing
cli.main()
"""
"""The thread that reads ahead computes without end, as a model does, when the signal comes."""


@pytest.mark.parametrize("size", [200, 7000], ids=["short steps", "a step of seconds"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_thread_that_computes_when_the_program_ends_does_not_abort_it(number, status, size, folder):
    command = [STOPPED_WHILE_READING, int(number), size, *arguments(folder, "--no-preflight")]
    done = run([sys.executable, "-c", *map(str, command)])
    assert done.stderr == "sandbox: stopped: only a run with --checkpoint FILE can be resumed\n"
    assert done.returncode == status


STOPPED_BEFORE = """
import os, sys
from sandbox import cli
from sandbox.maths import derivations

number = int(sys.argv.pop())
derivations.prove = lambda name: os.kill(os.getpid(), number)
cli.main()
"""
"""Sends the signal while a command works that has nothing to save."""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_saves_nothing_says_that_it_was_stopped(number, status):
    done = run([sys.executable, "-c", STOPPED_BEFORE, "prove", "C1", str(int(number))])
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "sandbox: stopped\n")


def signalled(at: int, number: signal.Signals = signal.SIGINT):
    """An SAE that is sent a signal in the middle of its batch of that number, the trial of a few tokens not counted."""
    calls = []

    def sae(t):
        calls.append(len(t))
        if calls.count(1000) == at and len(t) == 1000:
            signal.raise_signal(number)
        return 0.9 * t

    return sae


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_batch_in_which_a_signal_comes_is_counted_to_its_end(number, x):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped:
        measure(signalled(3, number), x, batch_size=1000, published=0, look=False)
    assert stopped.value.by == number
    assert stopped.value.reports[0].tokens == 3000
    assert signal.getsignal(number) == before


def test_a_second_signal_while_the_report_is_made_does_not_lose_it(x, tmp_path, monkeypatch):
    made, saved = measure_module.summary, State.save

    def interrupted(function):
        return lambda *given, **named: (signal.raise_signal(signal.SIGINT), function(*given, **named))[1]

    monkeypatch.setattr(measure_module, "summary", interrupted(made))
    monkeypatch.setattr(State, "save", interrupted(saved))
    with pytest.raises(Stopped) as stopped:
        measure(signalled(2), x, batch_size=1000, published=0, look=False, checkpoint=tmp_path / "s")
    assert stopped.value.reports[0].tokens == 2000
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_stop_does_not_wait_for_a_batch_that_does_not_come(x):
    def slow():
        yield x[:5000]  # more than the look before the run reads
        threading.Timer(1, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]).start()
        time.sleep(20)
        yield x[5000:]

    begun = time.monotonic()
    with pytest.raises(Stopped) as stopped:
        measure(lambda t: 0.9 * t, slow, batch_size=1000, published=0, look=False)
    assert stopped.value.reports[0].tokens == 5000
    assert time.monotonic() - begun < 15


def test_a_batch_that_does_not_end_is_broken_off_by_a_later_signal(x, monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE", 0.05)
    calls = []

    def sae(t):
        calls.append(len(t))
        if calls.count(1000) == 2:
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.1)
            signal.raise_signal(signal.SIGINT)
        return 0.9 * t

    with pytest.raises(Stopped) as stopped:
        measure(sae, x, batch_size=1000, published=0, look=False)
    assert stopped.value.reports[0].tokens == 1000


def test_in_python_the_exception_holds_the_report_so_far(x):
    seen = []

    def stop_after_three(tokens):
        seen.append(tokens)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(Stopped) as stopped:
        measure(lambda t: 0.9 * t, x, batch_size=1000, progress=stop_after_three)
    (report,) = stopped.value.reports
    assert not report.complete
    assert report.tokens == 3000
    assert report.raw["relative_reconstruction_bias"].value == pytest.approx(0.9)


def test_a_finished_run_is_not_done_again(x, tmp_path):
    calls = []

    def sae(t):
        calls.append(len(t))
        return 0.9 * t

    settings = {"checkpoint": tmp_path / "state", "look": False, "batch_size": 1000}
    first = measure(sae, x, **settings)
    calls.clear()
    assert_same(first.to_dict(), measure(sae, x, **settings).to_dict())
    assert sum(calls) <= 2 * 64 + 8  # the few tokens that are tried first, together and some one by one


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"batch_size": 500}, "--batch-size was 1000, now 500"),
        ({"published": 10}, "--published was 0, now 10"),
        ({"documents": np.arange(N)}, f"the number of document ids was none, now {N}"),
        ({"exclude_outliers": True}, "--exclude-outliers was no, now yes"),
    ],
)
def test_the_state_of_another_run_is_refused_in_words(change, said, x, tmp_path):
    settings = {"checkpoint": tmp_path / "state", "look": False, "batch_size": 1000}
    measure(lambda t: 0.9 * t, x, **settings)
    assert measure(lambda t: 0.9 * t, x, **settings, name="other").tokens == N  # a name changes nothing in the sums
    with pytest.raises(InputError, match=f"the state of another run: {said}") as caught:
        measure(lambda t: 0.9 * t, x, **settings | change)
    assert "[" not in str(caught.value).partition("another run: ")[2]


def test_a_file_that_was_written_anew_is_another_run_whatever_changed_in_it(folder, tmp_path):
    """One token of 6000, far from both ends; and a copy with its time is the same run."""
    path, x = tmp_path / "x.npy", tokens().numpy()
    np.save(path, x)
    settings = {"checkpoint": tmp_path / "state", "look": False, "batch_size": 1000}
    measure(lambda t: 0.9 * t, path, **settings)
    before = path.stat()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert measure(lambda t: 0.9 * t, path, **settings).tokens == N
    x[3210] *= 50
    np.save(path, x)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 4_000_000))  # the least that a file system tells apart
    size = f"{before.st_size:,} bytes of "
    with pytest.raises(InputError, match=f"the state of another run: {path} was {size}.* UTC, now {size}.* UTC"):
        measure(lambda t: 0.9 * t, path, **settings)


def test_ids_in_a_file_that_was_written_anew_are_another_run(folder, tmp_path, x):
    path = tmp_path / "ids.npy"
    np.save(path, np.arange(N) // 37)
    settings = {"checkpoint": tmp_path / "state", "look": False, "documents": path}
    measure(lambda t: 0.9 * t, x, **settings)
    os.utime(path, (0, 0))
    with pytest.raises(InputError, match=r"ids.npy was .* UTC, now 48,128 bytes of 1970-01-01 00:00:00.000000 UTC"):
        measure(lambda t: 0.9 * t, x, **settings)


@pytest.mark.parametrize("kind", ["tensor", "array", "x_hat"])
def test_of_what_lies_in_memory_every_number_counts(kind, x, tmp_path):
    settings = {"checkpoint": tmp_path / "state", "look": False}
    other = x.clone()
    other[3210, 5] += 1e-3

    def run_on(given):
        if kind == "x_hat":
            return measure_pairs(x, given, **settings)
        return measure(lambda t: 0.9 * t, given.numpy() if kind == "array" else given, **settings)

    run_on(x)
    with pytest.raises(InputError, match="the state of another run: the digest of the activations was"):
        run_on(other)


def test_a_state_that_was_damaged_is_refused_or_was_not_harmed(x, tmp_path):
    """Cut short anywhere, with any byte changed, with words or numbers exchanged, of another version."""
    path = tmp_path / "state"
    settings = {"checkpoint": path, "look": False, "batch_size": 1000, "documents": np.arange(N) // 100}
    right = measure(lambda t: 0.9 * t, x, **settings).to_dict()
    good = path.read_bytes()
    header = int.from_bytes(good[:8], "little")
    random = np.random.default_rng(0)
    places = [*range(0, 8 + header, 41), *random.integers(8 + header, len(good), 60)]
    harmed = [good[:end] for end in (0, 7, 8, header, 8 + header, len(good) // 2, len(good) - 1)]
    harmed += [good[:at] + bytes([good[at] ^ 1 << int(random.integers(8))]) + good[at + 1 :] for at in places]
    with safe_open(path, "pt") as file:
        told, held = dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    other = {"0.moments.totals": held["0.moments.totals"] * 2, "0.moments.count": held["0.moments.count"][:1]}
    other["documents"] = held["documents"].float()
    told_otherwise = [{key: "3"} for key in told] + [{"format": "shrinkage-sandbox run, 1"}, {"run": "[]"}]
    harmed += [save(held | {key: value}, told) for key, value in other.items()]
    harmed += [save({name: held[name] for name in held if name != key}, told) for key in held]
    harmed += [save(held, told | changed) for changed in told_otherwise]
    harmed += [save(held, {name: told[name] for name in told if name != key}) for key in told]
    refused = 0
    for content in harmed:
        path.write_bytes(content)
        try:
            assert_same(right, measure(lambda t: 0.9 * t, x, **settings).to_dict(), 0)
        except InputError as error:
            refused += 1
            assert re.fullmatch(r".+ --checkpoint.*", str(error))  # one line  # noqa: PT017
        assert path.read_bytes() in (content, good)
    assert refused >= len(harmed) - 3  # a blank of the header may become another blank


def test_the_version_of_a_state_is_said(x, tmp_path):
    path = tmp_path / "state"
    path.write_bytes(save({"documents": torch.zeros(1)}, {"format": "shrinkage-sandbox run, 1"}))
    with pytest.raises(InputError, match=f"a run state of version 1, but this sandbox needs version {VERSION}: resume"):
        measure(lambda t: 0.9 * t, x, checkpoint=path)


def test_the_command_says_where_it_goes_on(folder, tmp_path, capsys):
    command = arguments(folder, "--checkpoint", tmp_path / "state", "--no-preflight")
    app(command, standalone_mode=False)
    assert capsys.readouterr().err == ""
    app(command, standalone_mode=False)
    assert capsys.readouterr().err == f"sandbox: resumed at token 6,000, from {tmp_path / 'state'}\n"


def test_going_on_is_said_with_the_place(x, tmp_path):
    said = []
    settings = {
        "checkpoint": tmp_path / "state",
        "look": False,
        "batch_size": 1000,
        "published": 0,
        "tell": said.append,
    }
    with pytest.raises(Stopped):
        measure(signalled(3), x, **settings)
    assert not said
    measure(signalled(99), x, **settings)
    assert said == [f"resumed at token 3,000, from {tmp_path / 'state'}"]


def test_other_data_under_the_same_names_are_another_run(x, tmp_path):
    """Another SAE without weights, other activations, other ids, another x̂: names and sizes are all the same."""
    settings = {"look": False, "batch_size": 1000, "documents": np.arange(N) // 100}
    first = {"sae": lambda t: 0.9 * t, "source": x, **settings}
    measure(**first, checkpoint=tmp_path / "one")
    for key, changed in {"sae": lambda t: 0.5 * t, "source": -x, "documents": np.arange(N) // 50}.items():
        with pytest.raises(InputError, match="the state of another run"):
            measure(**first | {key: changed}, checkpoint=tmp_path / "one")
    measure_pairs(x, 0.9 * x, checkpoint=tmp_path / "two", **settings)
    with pytest.raises(InputError, match="the state of another run: the digest of the activations was"):
        measure_pairs(x, 0.5 * x, checkpoint=tmp_path / "two", **settings)


def test_a_state_that_cannot_be_written_is_refused_before_the_run(x, tmp_path):
    calls = []
    with pytest.raises(InputError, match=r"cannot write .*nowhere"):
        measure(lambda t: 0.9 * t, x, checkpoint=tmp_path / "nowhere" / "s", progress=calls.append)
    assert not calls


def test_other_weights_are_another_run(x, folder, tmp_path):
    measure(folder / "sae-0", x, checkpoint=tmp_path / "state", device="cpu", name="sae")
    with pytest.raises(InputError, match="another run: SAE was sae-0, now sae-1; the digest of SAE was"):
        measure(folder / "sae-1", x, checkpoint=tmp_path / "state", device="cpu", name="sae")


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", None])
def test_another_file_is_refused_and_stays(content, x, folder, tmp_path):
    path = tmp_path / "state"
    path.write_bytes((folder / "sae-0" / "sae_weights.safetensors").read_bytes() if content is None else content)
    before = path.read_bytes()
    with pytest.raises(InputError, match="state of a run"):
        measure(lambda t: t, x, checkpoint=path)
    assert path.read_bytes() == before


def test_document_ids_survive_in_the_state(tmp_path, x):
    measure(lambda t: 0.9 * t, x, documents=np.arange(N) // 100, checkpoint=tmp_path / "s", batch_size=1000, look=False)
    with safe_open(tmp_path / "s", "pt") as file:
        told = json.loads(file.metadata()["run"])
    state = State.load(tmp_path / "s", told)
    assert state.position == N
    assert state.documents == set(range(60))


def test_a_block_that_asks_for_stops_puts_the_handlers_back_and_passes_the_signal_on():
    passed_on = []
    before = signal.signal(signal.SIGINT, lambda number, _: passed_on.append(number))
    at_term = signal.getsignal(signal.SIGTERM)
    try:
        own = signal.getsignal(signal.SIGINT)
        with stopping.stop_requested() as stop:
            assert not stop()
            signal.raise_signal(signal.SIGTERM)
            assert stop()
            assert not passed_on
        assert signal.getsignal(signal.SIGINT) is own
        assert signal.getsignal(signal.SIGTERM) is at_term
        assert passed_on == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_that_another_run_abandoned_does_not_end_the_tests_own_process():
    blocked = threading.Thread(target=threading.Event().wait, daemon=True)
    blocked.start()
    stopping.break_off(blocked)
    assert blocked.is_alive()
    assert sandbox("prove", "C99").returncode == 2
