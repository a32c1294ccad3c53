"""Ray and Slurm: what is handed over, by stubs; and the real ones where they are installed."""

import sys
from importlib import import_module
from types import ModuleType, SimpleNamespace

import pytest

from implicit_inference.config.errors import UserError
from implicit_inference.engines.processes import Ended, run


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


@pytest.fixture
def ray_stub(monkeypatch):
    """A package `ray` that records what it is told and answers as `answers` says."""
    calls, answers = [], {}
    stub, faults = ModuleType("ray"), ModuleType("ray.exceptions")
    faults.RayError, faults.RayTaskError = RayError, RayTaskError

    def get(task):
        if isinstance(answer := answers[task], Exception):
            raise answer
        return answer

    def options(**given):
        calls.append(("options", given))
        return SimpleNamespace(remote=lambda *given: calls.append(("submit", given)) or given[0])

    stub.init = lambda **given: calls.append(("init", given["address"]))
    stub.cluster_resources = lambda: {"CPU": 3.0}
    stub.remote = lambda function: SimpleNamespace(options=options, function=calls.append(("remote", function)))
    stub.wait = lambda tasks, num_returns: (tasks[:num_returns], tasks[num_returns:])
    stub.get = get
    stub.cancel = lambda task, force: calls.append(("cancel", task, force))
    stub.shutdown = lambda: calls.append(("shutdown",))
    stub.exceptions = faults
    monkeypatch.setitem(sys.modules, "ray", stub)
    monkeypatch.setitem(sys.modules, "ray.exceptions", faults)
    monkeypatch.delitem(sys.modules, "implicit_inference.engines.ray", raising=False)
    yield SimpleNamespace(calls=calls, answers=answers, ray=stub)
    sys.modules.pop("implicit_inference.engines.ray", None)


def test_ray_gets_each_job_once_with_its_needs_and_tells_how_it_ended(ray_stub, tmp_path):
    from implicit_inference.engines.ray import started

    engine = started("host:6379", 2**30, tmp_path)
    assert engine.places == 3
    assert ray_stub.calls[:2] == [("init", "host:6379"), ("remote", run)]
    needs = ray_stub.calls[2][1]
    assert (needs["num_cpus"], needs["memory"], needs["max_retries"]) == (1, 2**30, 0)
    ray_stub.answers |= {"a": Ended("a"), "b": RayTaskError(), "c": RayError()}
    for id in "abcd":
        engine.submit(id, f"text {id}")
    assert [call for call in ray_stub.calls if call[0] == "submit"] == [
        ("submit", (id, f"text {id}", 1)) for id in "abcd"
    ]
    found = [ended for _ in range(3) for ended in engine.gather()]
    assert found == [Ended("a"), Ended("b", "Ray: RayTaskError"), Ended("c", "Ray: RayError", lost=True)]
    engine.close()
    assert ray_stub.calls[-2:] == [("cancel", "d", True), ("shutdown",)]


def test_a_ray_cluster_that_is_gone_is_told_in_one_line(ray_stub, tmp_path):
    engines = import_module("implicit_inference.engines.ray")

    def gone(*arguments, **given):
        raise ConnectionError("nobody\nis there")

    engine = engines.started("", 1, tmp_path)
    engine.submit("a", "")
    ray_stub.ray.wait = gone
    with pytest.raises(UserError, match=r"the cluster is gone .*the same command resumes"):
        engine.gather()
    ray_stub.ray.init = gone
    with pytest.raises(UserError, match=r"on = 'ray:host': Ray does not start \(nobody\)"):
        engines.started("host", 1, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")
def test_a_real_ray_cluster_of_two_workers_tells_how_jobs_end(tmp_path):
    ray = pytest.importorskip("ray")
    from implicit_inference.engines.ray import Ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    engine = Ray(2**26)
    try:
        for id in ("0", "1", "2"):
            engine.submit(id, "{}")
        found = []
        while len(found) < 3:
            found += engine.gather()
    finally:
        engine.close()
    assert sorted(ended.id for ended in found) == ["0", "1", "2"]
    assert {ended.fault for ended in found} == {"KeyError: 'config'"}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")
def test_submitit_runs_jobs_by_its_local_executor_and_writes_a_job_script(tmp_path, monkeypatch):
    submitit = pytest.importorskip("submitit")
    from implicit_inference.engines import slurm

    engine = slurm.started("", 2**31, tmp_path, "local")
    engine.submit("0", "{}")
    (ended,) = engine.gather()
    assert ended == Ended("0", "KeyError: 'config'")
    assert engine.gather() == []
    monkeypatch.setattr(submitit.SlurmExecutor, "affinity", classmethod(lambda executor: 1))
    executor = slurm.started("", 2**31, tmp_path)._executor._executor
    script = executor._make_submission_file_text("python job.py", "1")
    for line in ("--cpus-per-task=1", "--mem=2GB", "--time=1440", "--job-name=implicit-inference"):
        assert f"#SBATCH {line}" in script


@pytest.mark.slow
def test_slurm_without_a_cluster_is_told_in_one_line(tmp_path):
    pytest.importorskip("submitit")
    from implicit_inference.engines import slurm

    with pytest.raises(UserError, match=r"on = 'slurm': .*start it where sbatch is"):
        slurm.started("", 2**30, tmp_path)
