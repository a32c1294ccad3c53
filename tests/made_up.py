"""A probe whose numbers are made up, so that each is known: its table, and its directory with all that a page shows."""

import itertools

import numpy as np

import implicit_inference as ii
from implicit_inference.bayes.attribution import GATE_EDGES
from implicit_inference.config.changes import PRESETS, base, override
from implicit_inference.config.identity import run_id
from implicit_inference.measure.lookup import UNTRAINED
from implicit_inference.measure.probe import COLUMNS
from implicit_inference.measure.records import curve_records, position_records
from implicit_inference.measure.summary import summarise
from implicit_inference.runs.drafts import owned
from implicit_inference.runs.environment import environment
from implicit_inference.runs.store import Run

TINY = override(
    PRESETS["smoke"],
    {
        "model": {"width": 8, "layers": 1, "heads": 2},
        "pretrain": {"steps": 40, "warmup": 5, "optimizer": "adam", "target": "label"},
        "finetune": {"steps": 20, "warmup": 2, "keep_every": 10},
        "probe": {"scratch_steps": 40},
    },
)
"""An experiment that trains in a second."""

CONFIG = override(
    base(), {"seeds": [3, 5, 8], "tasks.dim": 2, "prompts.length": 6, "probe.label_scales": [0.5, 2.0, 3.0]}
)
PREDICTORS = [
    "pretrained",
    "finetuned",
    "scratch",
    *UNTRAINED,
    "bayes_pretraining",
    "bayes_finetuning",
    "ridge",
    "discrete_posterior",
    "oracle",
    "bayes_effective_pretrained",
    "bayes_effective_finetuned",
]
LEVEL = {"pretrained": 1.0, "finetuned": 2.0, "scratch": 4.0, **dict.fromkeys(UNTRAINED, 3.0)}
SCALED = {0.5: 2.5, 2.0: 1.2, 3.0: 1.6}
ON_CHOICE = {0.5: 2.5, 2.0: 1.3, 3.0: 1.2}


def table(forgetting=1.0, config=CONFIG):
    """Losses that are constant over prompts and positions, and differ between seeds by an offset they all share."""
    records = []

    def add(level, split, family, predictor, conjugation="identity", strength=None):
        offsets = np.linspace(-0.1, 0.1, len(config.seeds)).reshape(-1, 1, 1)
        errors = np.broadcast_to(level + offsets, (len(config.seeds), 4, config.prompts.length))
        labels = {"quantity": "loss", "split": split, "family": family, "predictor": predictor}
        labels |= {"conjugation": conjugation, "strength": strength}
        records.extend(COLUMNS | record for record in position_records(errors, config.seeds, **labels))

    for family in ("gaussian", "discrete"):
        for name in PREDICTORS:
            level = LEVEL.get(name, 0.9)
            if name == "finetuned":
                level = 1.0 + forgetting if family == "gaussian" else 0.4
            if name == "bayes_effective_finetuned":
                level = 1.9
            add(level, "report", family, name)
            for scale in config.probe.label_scales:
                conjugated = {"finetuned": SCALED.get(scale, 1.5), "bayes_effective_finetuned": 1.4}.get(name, level)
                add(conjugated, "report", family, name, "label_scale", scale)
                add(ON_CHOICE.get(scale, 1.5), "tuning", family, name, "label_scale", scale)
        for name in LEVEL:
            add(1.0 if name == "pretrained" else 1.75, "report", family, name, "shrink_only")
            add(2.0, "tuning", family, name)
    records += [COLUMNS | record for record in _attribution_records(forgetting, config)]
    records += [
        COLUMNS | {"seed": seed, "quantity": quantity, "predictor": name, "mean": value}
        for seed in config.seeds
        for name in ("pretrained", "finetuned")
        for quantity, value in (("prior_logit", 1.5), ("prior_residual", 0.1), ("prior_bound", 0))
    ]
    return records


PARTS = {"pretrained": (0.1, 0.1), "finetuned": (0.85, 0.35), "scratch": (2.1, 0.6), **dict.fromkeys(UNTRAINED, (1, 1))}
"""predictor -> its distance to ridge, on the line to the discrete posterior and off it"""
ACCOUNTS = {"unchanged": 0.0, "constant_pull": 0.8, "prior_shift": 1.2, "prior_and_weight": 1.0, "lapse": 0.9}
"""account -> the forgetting that it says, of 1"""
NET = {0.5: 0.25, 2.0: 0.5, 3.0: 0.75}
"""label scale -> the net recovery that every account but the null says; the null says half of it"""
NUMBERS = {
    "prior_shift_odds": (0.0, 3.0),
    "prior_and_weight_odds": (0.0, 1.0),
    "prior_and_weight_weight": (0.8, 0.2),
    "lapse_odds": (0.0, 2.0),
    "lapse_lapse": (0.0, 0.3),
}
RANGE_GATE = {"pretrained": 0.2, "finetuned": 0.6}
GATE = {
    "pretrained": 0.3,
    "finetuned": 0.6,
    "scratch": 0.9,
    "bayes_pretraining": 0.25,
    "bayes_effective_finetuned": 0.5,
}
MOVED = {0.5: -1.0, 2.0: 2.0, 3.0: 3.0}


def _attribution_records(forgetting, config):
    """A rise of 0.75 of 1 on the line; gates that are the same in every bin but the last, thin one."""
    shape = (len(config.seeds), 4, config.prompts.length)
    plain = {"split": "report", "family": "gaussian", "conjugation": "identity", "strength": None}
    for name, parts in PARTS.items():
        for quantity, level in zip(("on_line", "off_line"), parts, strict=True):
            yield from curve_records(
                np.full(shape[::2], level), config.seeds, **plain, quantity=quantity, predictor=name
            )
    yield from _account_records(config, plain)
    cases = [("identity", None), *(("label_scale", scale) for scale in config.probe.label_scales)]
    for conjugation, strength in cases:
        labels = {"split": "report", "conjugation": conjugation, "strength": strength}
        conjugated = np.full(shape, MOVED.get(strength, 0.0))
        yield from position_records(conjugated, config.seeds, **labels, quantity="moved_odds", family="gaussian")
        labels |= {"quantity": "gate", "family": "both", "stderr": 0.01, "n": 7}
        for name, level in GATE.items():
            for seed in config.seeds:
                level = 0.4 if (name, strength) == ("finetuned", 3.0) else GATE[name]
                for b in range(len(GATE_EDGES) + (seed == config.seeds[0])):
                    yield labels | {"predictor": name, "seed": seed, "bin": b, "mean": level}
    for name in ("pretrained", "finetuned", "bayes_effective_pretrained", "bayes_effective_finetuned"):
        labels = {"quantity": "loss", "split": "report", "family": "gaussian", "predictor": name}
        labels |= {"conjugation": "identity", "n": 9, "mean": 1.0, "stderr": 0.1}
        yield from (labels | {"seed": seed, "bin": b} for seed in config.seeds for b in (0, 3))


def _account_records(config, plain):
    """Accounts that say more or less of the forgetting, and gates of which a scale closes NET."""
    cases = [("identity", None), *(("label_scale", scale) for scale in config.probe.label_scales)]
    for where, seed in itertools.product(("all", "early", "late"), config.seeds):
        labels = plain | {"range": where, "seed": seed}
        for part, value in (("odds", 0.6), ("weight", 0.4)):
            yield labels | {"quantity": f"shapley_{part}", "mean": value}
        for quantity, values in NUMBERS.items():
            for name, value in zip(("pretrained", "finetuned"), values, strict=True):
                own = {"quantity": quantity, "predictor": name, "split": "tuning", "mean": value}
                yield labels | own | {"family": None, "conjugation": None}
        for conjugation, strength in cases:
            labels |= {"conjugation": conjugation, "strength": strength}
            for name, as_text in ACCOUNTS.items():
                net = NET.get(strength, 0.0) / (2 if name == "constant_pull" else 1)
                yield labels | {"quantity": "account_loss", "predictor": name, "mean": 1.0 + as_text * (1 - net)}
                residual = {"unchanged": 0.5, "constant_pull": 0.3}.get(name, 0.1)
                yield labels | {"quantity": "account_residual", "predictor": name, "mean": residual}
            for name, level in RANGE_GATE.items():
                level = level - (NET.get(strength, 0.0) * 0.4 if name == "finetuned" else 0.0)
                yield labels | {"quantity": "range_gate", "predictor": name, "mean": level}


def finished(run, config, parents=(), files=None):
    """The run, brought to its end with these files: rows of tables, or plain values, by name; nothing is trained."""
    if run.finished:
        return run
    with owned(run) as draft:
        draft.begin(config, [parent.id for parent in parents])
        for name, content in (files or {}).items():
            (draft.write_table if name.endswith(".parquet") else draft.write_json)(name, content)
        draft.finish(environment(12.25))
    return run


def probe_run(runs, config=CONFIG, summary=None):
    """A finished probe of `config` in the directory `runs`, with the stages that it rests on."""
    stages = [Run(runs / run_id(stage, config)) for stage in ("pretrain", "finetune", "scratch")]
    for stage in stages:
        records = [
            {"step": step, "seed": seed, "family": family, "predictor": predictor, "mean": 1.0 - step / 100}
            for step in (0, 10)
            for seed in config.seeds
            for family in ("discrete", "gaussian")
            for predictor in ("network", "bayes")
        ]
        finished(stage, config, stages[:1] if stage.stage == "finetune" else [], {"training.parquet": records})
    probe = Run(runs / run_id("probe", config))
    records = table(config=config)
    result = {"id": probe.id, "summary": summary or summarise(records, config)}
    return finished(probe, config, stages, {"table.parquet": records, "result.json": result})


def agree_with_the_table(run, name):
    """Holds a predictor of a probe, as it is and under doubled labels, to the losses that the table has of it."""
    for seed in run.config.seeds:
        batch, predictor = run.held_out("gaussian", seed), run.predictor(name, seed)
        shown = {"identity": predictor, "label_scale": ii.conjugated(predictor, ii.ScaleLabels(2.0))}
        for conjugation, shown_to in shown.items():
            found = np.mean((np.asarray(shown_to(batch.prompts), np.float64) - batch.clean_labels) ** 2, axis=0)
            labels = {"quantity": "loss", "split": "report", "family": "gaussian", "predictor": name, "seed": seed}
            labels |= {"conjugation": conjugation} | ({"strength": 2.0} if conjugation == "label_scale" else {})
            records = run.table[run.table["position"].notna()]
            for column, label in labels.items():
                records = records[records[column] == label]
            np.testing.assert_allclose(found, records.sort_values("position")["mean"], rtol=1e-4)
