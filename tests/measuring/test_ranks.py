"""torchrun: several processes give the report of a single process."""

import json
import subprocess
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from sandbox.activations import activations
from sandbox.errors import InputError
from sandbox.measuring.norms import Norms
from sandbox.measuring.ranks import Ranks
from sandbox.measuring.resume import State
from sandbox.measuring.token_means import TokenMeans
from sandbox.measuring.totals import Totals
from sandbox.moments.moments import GROUPS, Moments
from tests.helpers.runs import arguments, assert_same, by_torchrun, report_of, sandbox, write_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("run")
    write_files(made)
    return made


@pytest.fixture(scope="module")
def whole(folder):
    """The report of a single, uninterrupted process."""
    return report_of(sandbox(*arguments(folder, "--documents", folder / "ids.npy")))


def test_shares_are_whole_batches_and_all_of_them():
    for tokens in (1, 63, 64, 65, 6000):
        source = activations(torch.ones(tokens, 1))
        for world in (1, 2, 3, 7):
            shares = [Ranks(rank, world).share(source, 64) for rank in range(world)]
            covered = [token for share in shares for token in range(tokens)[share.start : share.stop]]
            assert covered == list(range(tokens))
            assert all(share.start % 64 == 0 for share in shares if share.stop is None or share.start < share.stop)


@pytest.fixture
def one_thread():
    """One thread, as in torchrun's processes: with more, float32 products differ in their last digits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


KINDS = ("scalar", "per-latent", "joint", "decoder", "from-l1")


def rescaling(folder: Path, kind: str, out: Path) -> list[str]:
    """The command; from-l1 needs an SAE that obeys the law, and so a real one."""
    real = kind == "from-l1"
    files = [f"embedded:{name}" for name in ("minilm-relu", "activations", "documents")]
    sae, x, ids = files if real else (folder / "sae-0", folder / "x.npy", folder / "ids.npy")
    command = ["rescale", "--sae", sae, "--activations", x, "--documents", ids, "--kind", kind, "--device", "cpu"]
    return [*map(str, [*command, "--batch-size", 512 if real else 64, "--json", "-", "--out", out])]


@pytest.fixture(scope="module")
def of_two(folder):
    """A report and a correction of each kind, from two processes that one torchrun starts."""
    commands = {kind: rescaling(folder, kind, folder / f"{kind} of two") for kind in KINDS}
    commands["directions"] = arguments(folder, "--documents", folder / "ids.npy", "--directions")
    commands["report"] = arguments(folder, "--documents", folder / "ids.npy")
    (folder / "commands.json").write_text(json.dumps([*commands.values()]), "utf-8")
    done = by_torchrun(2, [str(folder / "commands.json")], program="tests.helpers.several")
    assert done.returncode == 0, done.stderr
    runs = (subprocess.CompletedProcess([], *run) for run in json.loads(done.stdout))
    return dict(zip(commands, runs, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_the_correction_of_two_processes_is_that_of_one(kind, folder, tmp_path, of_two, one_thread):
    alone = sandbox(*rescaling(folder, kind, tmp_path))
    assert alone.returncode == 0, alone.stderr
    assert_same(json.loads(alone.stdout), json.loads(of_two[kind].stdout))
    weights = [load_file(path / "sae_weights.safetensors") for path in (tmp_path, folder / f"{kind} of two")]
    torch.testing.assert_close(*weights, rtol=1e-6, atol=0)


def test_the_report_of_two_processes_is_that_of_one(whole, of_two):
    assert_same(whole, report_of(of_two["report"]))


def test_the_directions_of_two_processes_are_those_of_one(folder, of_two):
    alone = report_of(sandbox(*arguments(folder, "--documents", folder / "ids.npy", "--directions")))
    (bands, whole), (bands_of_two, whole_of_two) = (
        (report["directions"]["bands"], report["directions"]["whole"])
        for report in (alone, report_of(of_two["directions"]))
    )
    for band, other in zip([*bands, whole], [*bands_of_two, whole_of_two], strict=True):
        assert_same(band, other, 1e-9)


@pytest.mark.slow
def test_the_report_of_three_processes_is_that_of_one(folder, whole):
    assert_same(whole, report_of(by_torchrun(3, arguments(folder, "--documents", folder / "ids.npy"))))


@pytest.mark.slow
def test_a_rank_without_data_adds_nothing(folder):
    command = arguments(folder, "--batch-size", 4096)  # two batches for three processes
    alone = report_of(sandbox(*command))
    assert_same(alone, report_of(by_torchrun(3, command)))


@pytest.mark.slow
def test_each_may_have_a_file_of_its_own(folder):
    """Uneven shards: the blocks are those of the whole data set, so the intervals agree."""
    alone = report_of(sandbox(*arguments(folder, "--published", 0, source="x.npy")))
    apart = report_of(by_torchrun(3, arguments(folder, "--published", 0, source="part-{rank}.npy")))
    assert_same(alone["raw"], apart["raw"])
    assert_same(alone["centred"], apart["centred"])


def test_a_rank_that_fails_ends_the_run_with_its_error(folder):
    begun = time.monotonic()
    done = by_torchrun(2, arguments(folder, source="part-{rank}0.npy"))  # part-10.npy is nowhere, nor is part-00
    assert done.returncode != 0
    assert "part-10.npy: there is no such file" in done.stderr
    assert time.monotonic() - begun < 60


def test_two_ranks_on_pretended_gpus_make_the_report_of_one_on_the_cpu(folder, whole):
    """The code path for NCCL: each rank's device, its totals there, and one sum over all ranks."""
    command = [part for part in arguments(folder, "--documents", folder / "ids.npy") if part not in ("--device", "cpu")]
    done = by_torchrun(2, [*command, "--device", "cuda"], program="tests.pretend")
    there = report_of(done)
    assert there["device"] == "a pretended GPU"
    for origin in ("raw", "centred", "decoder_bias", "statistics"):
        assert_same(whole[origin], there[origin], 1e-5)  # products of float32 in another order


TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "here", "MASTER_PORT": "1"}


def test_a_process_is_alone_unless_torchrun_says_everything(monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert Ranks.here() == Ranks(rank=3, world=4, local=1)
    for name in TORCHRUN:
        with monkeypatch.context() as without:
            without.delenv(name)
            assert Ranks.here() == Ranks(0, 1, 0)
    monkeypatch.setenv("LOCAL_RANK", "one")
    with pytest.raises(InputError, match="'LOCAL_RANK': 'one'}: set whole numbers"):
        Ranks.here()


def test_the_first_rank_speaks():
    assert [Ranks(rank, 3).first for rank in range(3)] == [True, False, False]
    assert Ranks().gather("alone") == ["alone"]
    assert Ranks().broadcast("alone") == "alone"


@pytest.mark.parametrize(
    ("gpus", "ranks", "requested", "expected"),
    [
        (0, Ranks(), "auto", "auto"),  # it may find another accelerator
        (0, Ranks(1, 2, 1), "auto", "cpu"),
        (0, Ranks(1, 2, 1), "cuda", "cuda"),  # refused elsewhere
        (2, Ranks(), "auto", "auto"),
        (2, Ranks(), "cuda", "cuda"),
        (2, Ranks(3, 4, 3), "auto", "cuda:1"),
        (2, Ranks(2, 4, 2), "cuda", "cuda:0"),
        (2, Ranks(3, 4, 3), "cuda:0", "cuda:0"),
        (2, Ranks(3, 4, 3), "cpu", "cpu"),
    ],
)
def test_each_rank_has_a_gpu_of_its_own(gpus, ranks, requested, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert ranks.device(requested) == expected


def state(tokens: int, documents: set[int]) -> State:
    if not tokens:
        return State()
    x = torch.arange(2.0 * tokens, dtype=torch.float64).reshape(-1, 2)
    index = torch.arange(tokens)
    moments, dots = Moments.with_dots(x, x / 2, index, apart_above=9.0)
    totals = Totals(
        moments, TokenMeans.from_dots(dots, None, index % GROUPS, GROUPS), Norms.from_dots(dots), None, None
    )
    return State(tokens, (totals,), documents)


@pytest.mark.parametrize(
    ("mine", "theirs"), [((3, {1, 2}), (5, {2, 7})), ((0, set()), (5, {2})), ((3, {1}), (0, set()))]
)
def test_the_total_is_the_sum_of_every_ranks_state(mine, theirs, monkeypatch):
    """Two ranks in one process: the other rank's values and totals are computed here."""
    here, there = state(*mine), state(*theirs)

    def gather(values, value):
        monkeypatch.undo()
        other = [totals.to("meta") for totals in there.totals]
        values[:] = [value, (other, sorted(there.documents), there.position)]
        monkeypatch.setattr(dist, "all_reduce", lambda flat: flat.add_(added))

    added = torch.cat([t.flatten() for t in there.totals[0].tensors().values()]) if there.totals else 0
    monkeypatch.setattr(dist, "all_gather_object", gather)
    total = Ranks(0, 2).total(here, torch.device("cpu"))
    assert total.position == mine[0] + theirs[0]
    assert total.documents == mine[1] | theirs[1]
    parts = [rank.totals[0].tensors() for rank in (here, there) if rank.totals]
    for name, tensor in total.totals[0].tensors().items():
        assert torch.equal(tensor, sum(part[name] for part in parts))


def test_alone_the_total_is_the_state_itself():
    alone = state(3, {1})
    assert Ranks().total(alone, torch.device("cpu")) is alone
