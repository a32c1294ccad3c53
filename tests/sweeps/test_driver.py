"""Every job ends once: order, lost ones tried again, failed ones listed while the others go on; by stubs."""

import json
import os
import random
import signal
import sys
import threading
from collections import Counter

import pytest
from made_up import CONFIG, TINY

from implicit_inference.config.identity import run_id
from implicit_inference.engines.local import Local
from implicit_inference.engines.processes import Ended
from implicit_inference.sweeps import overhead
from implicit_inference.sweeps.axes import Sweep
from implicit_inference.sweeps.driver import TRIES, drive
from implicit_inference.sweeps.plan import Plan

AXES = {"finetune.replay": [0.0, 0.2, 0.4], "tasks.n_discrete": [2, 4]}


class Answers:
    """An engine that answers as it is told, and keeps the order in which jobs were started."""

    def __init__(self, fault=lambda id, tries: None, places=2):
        self.places, self.started, self._fault, self._running = places, [], fault, []

    def submit(self, id, text):
        assert len(self._running) < self.places
        self.started.append(id)
        self._running.append(id)

    def gather(self):
        id = self._running.pop(0)
        return [self._fault(id, self.started.count(id)) or Ended(id)]

    def close(self):
        pass


def plan_of(tmp_path, axes=AXES, **given):
    return Plan.of(Sweep.of(TINY, axes, **given), tmp_path)


def told(plan, engine):
    """Drives a plan to its end, and holds the reported fractions to rise to 1."""
    fractions = []
    failed = drive(plan, engine, lambda fraction, text: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)
    return failed


def test_what_runs_share_is_a_job_of_its_own_and_comes_first(tmp_path):
    plan, engine = plan_of(tmp_path), Answers()
    assert Counter(job.stages for job in plan.jobs.values()) == {
        ("pretrain",): 2,
        ("scratch",): 2,
        ("finetune", "probe"): 6,
    }
    assert told(plan, engine) == {}
    assert sorted(engine.started) == sorted(plan.jobs)
    for id, job in plan.jobs.items():
        assert {parent.split("-")[0] for parent in job.needs} == (
            {"pretrain", "scratch"} if "probe" in job.stages else set()
        )
        assert all(engine.started.index(parent) < engine.started.index(id) for parent in job.needs)


def test_variants_that_are_one_run_are_one_job(tmp_path):
    plan = plan_of(tmp_path, {"adapt.rank": [1, 2]})  # which nothing reads
    assert plan.variants == 2
    assert [job.stages for job in plan.jobs.values()] == [("pretrain",), ("scratch",), ("finetune",), ("probe",)]


def test_a_lost_job_is_tried_again_and_others_go_on_where_one_fails(tmp_path):
    plan = plan_of(tmp_path)
    lost, wrong, hopeless = [id for id, job in plan.jobs.items() if "probe" in job.stages][:3]

    def fault(id, tries):
        if id == lost and tries < TRIES:
            return Ended(id, "killed", lost=True)
        return {wrong: Ended(wrong, "diverged"), hopeless: Ended(hopeless, "killed", lost=True)}.get(id)

    engine = Answers(fault)
    assert told(plan, engine) == {wrong: "diverged", hopeless: f"killed, {TRIES} times"}
    counts = Counter(engine.started)
    assert {id for id, count in counts.items() if count > 1} == {lost, hopeless}
    assert counts[lost] == counts[hopeless] == TRIES
    assert set(counts) == set(plan.jobs)


def test_what_rests_on_a_failed_job_is_not_started(tmp_path):
    plan = plan_of(tmp_path)
    wrong = next(id for id, job in plan.jobs.items() if job.stages == ("pretrain",))
    engine = Answers(lambda id, tries: Ended(id, "diverged") if id == wrong else None)
    failed = told(plan, engine)
    rests = {id for id, job in plan.jobs.items() if wrong in job.needs}
    assert len(rests) == 3
    assert failed == {wrong: "diverged"} | dict.fromkeys(rests, f"rests on {wrong}, which failed")
    assert sorted(engine.started) == sorted(plan.jobs.keys() - rests)


STUB = """
import json, os, sys, time
job = json.loads(sys.stdin.readline())
name = str(job["config"]["finetune"]["replay"]) + str(job["config"]["tasks"]["n_discrete"]) + job["stages"][-1]
with open(job["runs"] + "/" + name, "a+") as file:
    file.write("began\\n")
    file.flush()
    time.sleep(0.05)
    file.seek(0)
    if "ended" not in file.read():
        file.write("ended\\n")
"""
"""A job that ends once, however often it is begun, as a run does: one may be killed between its end and its exit."""


def test_processes_that_are_killed_at_random_lose_nothing_and_double_nothing(tmp_path):
    """Where a job is killed too often, the same call once more brings it to its end."""
    plan = plan_of(tmp_path)
    cores = (min(os.sched_getaffinity(0)),)
    engine, over, chance = Local([cores] * 2, (sys.executable, "-S", "-c", STUB)), threading.Event(), random.Random(0)
    killed = []

    def kill():
        while not over.wait(0.08):
            if running := [process for process, _ in [*engine._running.values()]]:
                process = chance.choice(running)
                if process._process.poll() is None:
                    os.kill(process.pid, signal.SIGKILL)
                    killed.append(process.id)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        failed = drive(plan, engine, lambda fraction, text: None)
    finally:
        over.set()
        killer.join()
    assert killed
    left = Plan(plan.sweep, tmp_path, {id: plan.jobs[id] for id in plan.jobs if id in failed})
    assert drive(left, engine, lambda fraction, text: None) == {}
    told = [path.read_text() for path in tmp_path.iterdir()]
    assert [text.count("ended") for text in told] == [1] * len(plan.jobs)
    assert sum(text.count("began") for text in told) <= len(plan.jobs) + len(killed)  # none begun again without a cause


def test_a_job_holds_its_whole_configuration(tmp_path):
    texts = []
    engine = Answers()
    engine.submit = lambda id, text: (texts.append(json.loads(text)), engine._running.append(id))
    plan = Plan.of(Sweep.of(CONFIG, {"finetune.replay": [0.5]}), tmp_path)
    drive(plan, engine, lambda fraction, text: None)
    (text,) = texts
    assert (text["runs"], text["stages"]) == (str(tmp_path), ["pretrain", "scratch", "finetune", "probe"])
    assert text["config"]["finetune"]["replay"] == 0.5
    assert [*plan.jobs] == [run_id("probe", next(plan.sweep.configs()))]


def test_the_overhead_is_measured_part_by_part():
    values = dict(zip(overhead.COLUMNS, overhead.measured(20), strict=True))
    assert values["runs"] == "20"
    assert float(values["CSV, MB"]) == pytest.approx(20 * 30 * 40e-6, rel=0.5)  # 30 rows a run, some 40 bytes each
    assert all(float(value) >= 0 for value in values.values())
