"""Runs on engines that are there already: Dask's scheduler, and ranks that the environment numbers."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from test_batch_runs import JOB, LONG, PROGRAM, batch, contents

from nanobragg_py import NanoBraggError
from nanobragg_py.batch import Output, rank_of_environment, run, run_dask, verify

pytest.importorskip("h5py", reason="h5py is not installed")

# ---- ranks ---------------------------------------------------------------------------------------------------------

ENVIRONMENTS = {
    "srun": ({"SLURM_PROCID": "3", "SLURM_NTASKS": "8"}, (3, 8)),
    "mpirun, Open MPI": ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"}, (1, 4)),
    "mpirun, MPICH": ({"PMI_RANK": "0", "PMI_SIZE": "2"}, (0, 2)),
    "mpirun within Slurm": (
        {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"},
        (1, 4),
    ),
    "array": (
        {
            "SLURM_ARRAY_TASK_ID": "7",
            "SLURM_ARRAY_TASK_MIN": "1",
            "SLURM_ARRAY_TASK_STEP": "2",
            "SLURM_ARRAY_TASK_COUNT": "5",
        },
        (3, 5),
    ),
    "srun within an array": (
        {
            "SLURM_ARRAY_TASK_ID": "2",
            "SLURM_ARRAY_TASK_COUNT": "4",
            "SLURM_PROCID": "1",
            "SLURM_NTASKS": "3",
        },
        (7, 12),
    ),
}


@pytest.mark.parametrize(("environment", "expected"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_ranks_of_environments(environment, expected):
    assert rank_of_environment(environment) == expected


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "the environment has no rank"),
        ({"SLURM_PROCID": "x", "SLURM_NTASKS": "2"}, "SLURM_PROCID is 'x'"),
        ({"PMI_RANK": "2", "PMI_SIZE": "2"}, "rank 2 of 2 cannot be"),
        ({"SLURM_ARRAY_TASK_ID": "2"}, "SLURM_ARRAY_TASK_COUNT is None"),
    ],
)
def test_environments_without_a_rank(environment, message):
    with pytest.raises(NanoBraggError, match=message):
        rank_of_environment(environment)


def test_ranks_at_the_same_time(tmp_path):
    """Every rank takes its part, and whichever is last writes the manifest."""
    (tmp_path / "job.toml").write_text(JOB)
    run(tmp_path / "job.toml", Output(tmp_path / "calm", per_file=2), workers=1)
    words = ["--out", "out", "--per-file", "2", "--rank", "env", "--workers", "1"]
    ranks = [
        subprocess.Popen(
            [*PROGRAM, "job.toml", *words],
            cwd=tmp_path,
            env={**os.environ, "SLURM_PROCID": str(rank), "SLURM_NTASKS": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(3)
    ]
    said = [rank.communicate() for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0, 0], said
    assert any("14 images in out" in out for out, _ in said)
    assert contents(tmp_path / "out") == contents(tmp_path / "calm")


# ---- Dask ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def distributed():
    return pytest.importorskip("distributed", reason="distributed is not installed")


def test_workers_of_dask_die_and_join(distributed, tmp_path):
    job = tmp_path / "job.toml"
    job.write_text(LONG)
    assert batch(job, "--out", tmp_path / "calm", "--per-file", 4).returncode == 0
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    steps = iter(("join", "die"))

    def progress(images):
        step = next(steps, None)
        if step == "join":
            cluster.scale(2)
        elif step == "die":
            os.kill(cluster.workers[0].process.pid, signal.SIGKILL)

    with cluster:
        output = Output(tmp_path / "out", per_file=4)
        assert run_dask(job, output, cluster.scheduler_address, progress=progress) == 0
        assert next(steps, None) is None
        # the same workers can go on with the run, whose journals are gone
        (tmp_path / "out/images_000003.h5").unlink()
        assert run_dask(job, output, cluster.scheduler_address) == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "calm")


def test_a_mistake_on_dask_is_told(distributed, tmp_path):
    """An image that cannot be, found by a worker, ends the run with the sentence of any other run."""
    job = tmp_path / "job.toml"
    job.write_text(JOB + '"beam.fluence" = { normal = [1e27, 0.9e27] }\n')
    with (
        distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        pytest.raises(NanoBraggError, match=r"job\.toml, image \d+: beam.fluence is -"),
    ):
        run_dask(job, Output(tmp_path / "out", per_file=1), cluster.scheduler_address)


def test_a_cluster_of_this_machine(distributed, tmp_path):
    job = tmp_path / "job.toml"
    job.write_text(JOB)
    done = batch(job, "--out", tmp_path / "out", "--per-file", 7, "--dask", "local")
    assert (done.returncode, len(done.said)) == (0, 1), done.said
    assert "Dask's ports on this machine ask nobody who they are" in done.said[0]
    assert verify(tmp_path / "out") == 14


def test_a_cluster_of_this_machine_logs_nothing(distributed, capfd):
    """What its processes log is of Dask, and tracebacks on a busy machine; what is the matter is said in a sentence."""
    from nanobragg_py.batch.engines import connected

    def log():
        import logging

        for name in ("distributed.worker", "distributed.nanny", "distributed.core"):
            logging.getLogger(name).error("of Dask")
        print("of the task", file=sys.stderr, flush=True)

    with connected(distributed, "local", 1) as client:
        client.submit(log).result()
    said = capfd.readouterr().err
    assert "of the task" in said and "of Dask" not in said


def test_a_cluster_with_certificates(distributed, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    job, cert, key = (tmp_path / name for name in ("job.toml", "cert.pem", "key.pem"))
    job.write_text(JOB)
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*words, "-keyout", key, "-out", cert], check=True, capture_output=True)
    dask = ("--per-file", 7, "--dask", "local", "--dask-security")
    done = batch(job, "--out", tmp_path / "out", *dask, cert, cert, key)
    assert (done.returncode, done.said) == (0, [])
    assert verify(tmp_path / "out") == 14
    done = batch(job, "--out", tmp_path / "other", *dask, cert, cert, job)
    assert done.returncode == 2 and "for TLS" in done.said[0] and not (tmp_path / "other").exists()
    done = batch(job, "--out", tmp_path / "other", "--dask-security", cert, cert, key)
    assert done.returncode == 2 and "give that as well" in done.said[0]


def test_a_scheduler_that_is_not_there(distributed, tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "1s")
    (tmp_path / "job.toml").write_text(JOB)
    done = batch(tmp_path / "job.toml", "--out", tmp_path / "out", "--dask", "tcp://127.0.0.1:9")
    assert (done.returncode, len(done.said)) == (2, 1)
    assert "cannot reach a Dask scheduler at tcp://127.0.0.1:9" in done.said[0]
    assert not (tmp_path / "out").exists()


def test_an_address_that_is_none(distributed, tmp_path):
    (tmp_path / "job.toml").write_text(JOB)
    with pytest.raises(NanoBraggError, match="cannot reach a Dask scheduler at nowhere"):
        run_dask(tmp_path / "job.toml", Output(tmp_path / "out"), "nowhere")


def test_dask_is_an_extra(tmp_path):
    """Without it, one sentence says how to install it."""
    (tmp_path / "job.toml").write_text(JOB)
    code = (
        "import sys; sys.modules['distributed'] = None; from nanobragg_py.cli.main import main; "
        "sys.exit(main(['batch', 'job.toml', '--out', 'out', '--dask', 'local']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("need distributed: pip install 'nanobragg-py[dask]'")
