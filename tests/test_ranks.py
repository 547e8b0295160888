"""torchrun: the report of several processes is that of one."""

import sys
import time

import pytest

from sandbox.sae.ranks import Ranks
from tests.runs import arguments, assert_same, by_torchrun, found, run, write_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("run")
    write_files(made)
    return made


@pytest.fixture(scope="module")
def whole(folder):
    """The report of one unbroken process."""
    return found(run([sys.executable, "-m", "sandbox", *arguments(folder, "--documents", folder / "ids.npy")]))


def test_shares_are_whole_batches_and_all_of_them():
    for tokens in (1, 63, 64, 65, 6000):
        for world in (1, 2, 3, 7):
            shares = [Ranks(rank, world).share(tokens, 64) for rank in range(world)]
            covered = [token for start, stop in shares for token in range(start, stop)]
            assert covered == list(range(tokens))
            assert all(start % 64 == 0 for start, stop in shares if start < stop)


@pytest.mark.parametrize("processes", [2, 3])
def test_the_report_is_that_of_one_process(processes, folder, whole):
    done = by_torchrun(processes, arguments(folder, "--documents", folder / "ids.npy"))
    assert_same(whole, found(done))


def test_a_rank_without_data_adds_nothing(folder):
    command = arguments(folder, "--batch-size", 4096)  # two batches for three processes
    alone = found(run([sys.executable, "-m", "sandbox", *command]))
    assert_same(alone, found(by_torchrun(3, command)))


def test_each_may_have_a_file_of_its_own(folder):
    """Uneven shards: the blocks of tokens that are clusters are those of the whole, and so the intervals agree."""
    alone = found(run([sys.executable, "-m", "sandbox", *arguments(folder, "--published", 0, source="x.npy")]))
    apart = found(by_torchrun(3, arguments(folder, "--published", 0, source="part-{rank}.npy")))
    assert_same(alone["raw"], apart["raw"])
    assert_same(alone["centred"], apart["centred"])


def test_a_rank_that_fails_ends_the_run_with_its_error(folder):
    begun = time.monotonic()
    done = by_torchrun(2, arguments(folder, source="part-{rank}0.npy"))  # part-10.npy is nowhere, nor is part-00
    assert done.returncode != 0
    assert "part-10.npy: there is no such file" in done.stderr
    assert time.monotonic() - begun < 60


def test_two_ranks_on_pretended_gpus_make_the_report_of_one_on_the_cpu(folder, whole):
    """The code that NCCL needs: each rank's device, its totals there, and one sum over all."""
    command = [part for part in arguments(folder, "--documents", folder / "ids.npy") if part not in ("--device", "cpu")]
    done = by_torchrun(2, [*command, "--device", "cuda"], program="tests.pretend")
    there = found(done)
    assert there["device"] == "a pretended GPU"
    for origin in ("raw", "centred", "decoder_bias", "statistics"):
        assert_same(whole[origin], there[origin], 1e-5)  # products of float32 in another order
