"""Activations in a store give the report that local files give; no failure there costs more than one line."""

import json
import os
import subprocess
import sys
from threading import Barrier

import fsspec
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sandbox.activations import activations, stores
from sandbox.activations.ahead import AT_ONCE, read_ahead
from sandbox.errors import InputError
from sandbox.system.text import without_credentials
from tests.helpers.runs import D, N, assert_same, report_of, sandbox, tokens, write_files
from tests.helpers.web_server import serving

SECRETS = ("hunter2", "AKIASECRET", "5ec2e7")
SIGNED = "?X-Amz-Signature=5ec2e7&X-Amz-Credential=AKIASECRET"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    write_files(folder)
    (folder / "shards").mkdir()
    for at, part in zip((1, 2, 10), tokens().split([100, 3500, 2400]), strict=True):
        save_file({"x": part.contiguous()}, folder / "shards" / f"part-{at}.safetensors")
    return folder


@pytest.fixture
def web(folder, monkeypatch):
    monkeypatch.setattr(stores, "PAUSES", (0.0, 0.0))
    with serving(folder) as server:
        yield server


@pytest.fixture
def s3(folder, monkeypatch):
    """The folder in a bucket of a real S3 server on this machine."""
    import boto3  # here, because both take a second
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "AKIASECRET",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    for file in folder.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), "bucket", str(file.relative_to(folder)))
    yield client
    server.stop()


def measured(folder, source, *more, documents=None):
    command = ["measure", "--sae", folder / "sae-0", "--activations", source, "--device", "cpu", "--batch-size", 64]
    chosen = [] if documents is None else ["--documents", documents]
    return sandbox(*command, *chosen, "--published", 32, "--json", "-", *more)


def refused(done) -> str:
    assert done.returncode == 2, done.stderr
    assert not done.stdout
    assert not any(secret in done.stderr for secret in SECRETS), done.stderr
    *warnings, line = done.stderr.strip().splitlines()
    assert all("warning: " in warning for warning in warnings), warnings
    return line


@pytest.mark.parametrize("source", ["x.npy", "shards/part-*.safetensors", "shards"])
def test_the_report_from_s3_is_that_from_local_files(folder, s3, source):
    local = measured(folder, folder / source, documents=folder / "ids.npy")
    stored = measured(folder, f"s3://bucket/{source}", documents="s3://bucket/ids.npy")
    assert report_of(stored) == report_of(local)


def test_a_missing_bucket_or_key_or_credentials_on_s3_is_one_line(folder, s3, monkeypatch):
    for source in ("s3://bucket/none.npy", "s3://nowhere/x.npy"):
        assert f"{source}: there is no such object" in refused(measured(folder, source))
    assert "s3://bucket/none-*: no activations" in refused(measured(folder, "s3://bucket/none-*"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "s3://bucket/x.npy cannot be read: no credentials" in refused(measured(folder, "s3://bucket/x.npy"))


def test_an_object_replaced_on_s3_is_noticed_by_its_etag(folder, s3):
    opened = activations("s3://bucket/x.npy")
    (file,) = opened.files
    s3.put_object(Bucket="bucket", Key="x.npy", Body=b"\0" * file.size)
    with pytest.raises(InputError, match="was replaced"):
        list(opened.chunks(1000))


@pytest.mark.parametrize("source", [f"x.npy{SIGNED}", "shards/"])
def test_the_report_over_http_is_that_from_local_files(folder, web, source):
    local = measured(folder, folder / source.partition("?")[0], documents=folder / "ids.npy")
    stored = measured(folder, web.url(source), documents=web.url("ids.npy", "user:hunter2@"))
    assert report_of(stored) == report_of(local)
    assert not any(secret in stored.stdout + stored.stderr for secret in SECRETS)


def test_a_range_and_the_sample_are_those_of_the_local_file(folder, web):
    stored, local = activations(web.url("x.npy")), activations(folder / "x.npy")
    assert torch.equal(stored.sample(500), local.sample(500))
    for size, start, stop in ((64, 0, None), (7, 100, 1000), (10_000, 5999, None), (64, 50, 50)):
        pairs = zip(stored.chunks(size, start, stop), local.chunks(size, start, stop), strict=True)
        assert all(torch.equal(one.x, other.x) for one, other in pairs)


def test_only_the_header_and_the_sample_are_read_before_the_pass(folder, web):
    activations(web.url("x.npy")).sample(100)
    assert len(web.asked) <= 13  # one byte to see that ranges work, the header, 10 runs


@pytest.mark.parametrize(
    ("status", "words"), [(403, "denies access"), (404, "there is no such object"), (500, "HTTP status 500")]
)
def test_what_a_server_refuses_is_one_line_without_credentials(folder, web, status, words):
    web.status = status
    line = refused(measured(folder, web.url(f"x.npy{SIGNED}", "user:hunter2@")))
    assert words in line
    assert web.url("x.npy") in line


def test_a_server_without_ranges_is_refused_before_it_sends_everything(folder, web):
    web.ranges = False
    assert "no ranges" in refused(measured(folder, web.url("x.npy")))


def test_a_failed_request_is_repeated(folder, web):
    opened = activations(web.url("x.npy"))
    web.fail_next = 2
    assert sum(len(chunk.x) for chunk in opened.chunks(1000)) == N


def test_a_server_that_dies_costs_one_line_and_the_run_resumes(folder, web, tmp_path, monkeypatch):
    monkeypatch.setattr("sandbox.activations.windows.RANGE", 20_000)  # 29 requests
    state = tmp_path / "state"
    whole = report_of(measured(folder, web.url("x.npy"), "--checkpoint", tmp_path / "whole"))
    web.lives = len(web.asked) - 10
    line = refused(measured(folder, web.url(f"x.npy{SIGNED}"), "--checkpoint", state))
    assert f"run the same command to resume from {state}" in line
    assert not any(secret.encode() in state.read_bytes() for secret in SECRETS)
    web.lives = None
    resumed = measured(folder, web.url("x.npy?X-Amz-Signature=another"), "--checkpoint", state)
    assert "resumed at token" in resumed.stderr
    assert_same(report_of(resumed), whole)


def test_a_run_over_a_replaced_object_is_not_resumed(folder, web, tmp_path):
    np.save(folder / "copy.npy", tokens().numpy())
    state = tmp_path / "state"
    assert measured(folder, web.url("copy.npy"), "--checkpoint", state).returncode == 0
    os.utime(folder / "copy.npy", (1, 1))
    assert "is the state of another run" in refused(measured(folder, web.url("copy.npy"), "--checkpoint", state))


def test_reads_go_on_at_the_same_time_and_come_in_order():
    together = Barrier(AT_ONCE, timeout=60)

    def read(number):
        if number < AT_ONCE:
            together.wait()  # passes only if all of them have begun
        if number == 30:
            raise InputError("gone")
        return number

    ahead = read_ahead(read, range(100))
    assert [next(ahead) for _ in range(30)] == list(range(30))
    with pytest.raises(InputError, match="gone"):
        next(ahead)


def test_reading_ahead_is_bounded_and_stops_when_closed():
    begun = []
    ahead = read_ahead(begun.append, range(1000))
    for _ in range(5):
        next(ahead)
    ahead.close()
    assert len(begun) <= 5 + AT_ONCE


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://user:hunter2@host/x.npy", "https://host/x.npy"),
        (f"https://host:80/a@b.npy{SIGNED}", "https://host:80/a@b.npy"),
        ("s3://AKIASECRET:hunt/er2@bucket/x?.npy", "s3://bucket/x?.npy"),
        ("simplecache::https://hunter2@host/x?5ec2e7", "simplecache::https://host/x"),
        ("abfs://container@account.dfs/x", "abfs://container@account.dfs/x"),
        ("s3://bucket/a@b/[0-9]?.npy", "s3://bucket/a@b/[0-9]?.npy"),
    ],
)
def test_credentials_in_a_url_are_not_printed(url, public):
    assert without_credentials(url) == public
    assert str(InputError(f"{url}: x")) == f"{public}: x"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nope://user:hunter2@bucket/x.npy", "nope://bucket/x.npy: fsspec has no protocol nope"),
        ("memory://bucket/none.npy", "memory://bucket/none.npy: there is no such object"),
        ("memory://bucket/none*", "found nothing"),
        ("memory://stores/x.pt", "are read from this machine only"),
        ("memory://stores/two.safetensors", "holds 2 tensors (a, b)"),
        ("memory://stores/short.safetensors", "bytes instead of"),
        ("memory://stores/short.npy", "is cut short"),
        ("memory://stores/words.safetensors", "cannot be read as safetensors"),
        ("memory://stores/empty.npy", "is not a .npy file"),
    ],
)
def test_what_cannot_be_read_from_a_store_is_one_line(tmp_path, url, words):
    x = torch.ones(5, D)
    torch.save(x, tmp_path / "x.pt")
    save_file({"a": x, "b": x.clone()}, tmp_path / "two.safetensors")
    save_file({"x": x}, tmp_path / "short.safetensors")
    np.save(tmp_path / "short.npy", x.numpy())
    (tmp_path / "words.safetensors").write_text("words, words, words")
    (tmp_path / "empty.npy").touch()
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        fsspec.filesystem("memory").pipe(f"/stores/{file.name}", content[:-4] if "short" in file.name else content)
    with pytest.raises(InputError) as refusal:
        activations(url)
    assert words in str(refusal.value)
    assert not any(secret in str(refusal.value) for secret in SECRETS)


def test_without_fsspec_or_the_protocols_package_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(InputError, match=r"gs://bucket/x.npy: the package .* missing: .*gcsfs"):
        activations("gs://bucket/x.npy")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InputError, match=r"pip install 'shrinkage-sandbox\[stores\]'"):
        activations("gs://bucket/x.npy")


MEMORY = """
import resource, sys
from sandbox.activations import activations
opened = activations(sys.argv[1])
opened.sample(64)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert sum(len(chunk.x) for chunk in opened.chunks(4096)) == opened.tokens
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_stays_flat_on_an_object_larger_than_it_may_grow(tmp_path):
    size = 384 * 2**20
    with open(tmp_path / "large.npy", "wb") as file:  # sparse: zeros that take no disk
        header = {"descr": "<f4", "fortran_order": False, "shape": (size // 4096, 1024)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + size)
    with serving(tmp_path) as server:
        command = [sys.executable, "-c", MEMORY, server.url("large.npy")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) < 160 * 2**10  # KiB; 8 ranges of 4 MiB, as received and as numbers
