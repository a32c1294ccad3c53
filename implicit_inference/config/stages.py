"""The stages, declared: what each starts from and reads. Ids, parents, commands and training derive from this.

How a stage trains is a record of functions of the same name, in training/stages.py. No jax here.
"""

from dataclasses import dataclass
from typing import Literal, get_args

Probed = Literal["finetune", "student", "steer"]
"""The stages that a probe can compare with the pretrained network."""


@dataclass(frozen=True)
class Plan:
    """Declares one stage."""

    parents: tuple[str, ...]
    """The stages that it rests on: training starts from the first; a command starts from a run of the last."""
    reads: tuple[str, ...]
    """The sections of the configuration that its result depends on, beside those that the last parent reads."""
    network: str = ""
    """The name of its network in tables; none: its network is not measured"""
    command: str = ""
    """Its command, told in --help; none: it has no command of its own"""


STAGES = {
    "pretrain": Plan((), ("pretrain",), "pretrained"),
    "scratch": Plan((), ("scratch",), "scratch"),
    "finetune": Plan(("pretrain",), ("finetune", "adapt"), "finetuned", "fine-tune a pretrain run"),
    "student": Plan(
        ("pretrain", "finetune"),
        ("lesson", "student"),
        "student",
        "train the network before fine-tuning on a teacher's answers",
    ),
    "tune": Plan(
        ("pretrain",), ("control", "tune"), command="tune one control for each preference on the frozen network"
    ),
    "steer": Plan(("tune",), ("steer",), "steered", "train tuned controls and their network together"),
    "probe": Plan(("pretrain", "scratch", "finetune"), ("probe",)),
}
"""name -> its declaration, in the order in which stages come to their end"""

PROBED: tuple[str, ...] = get_args(Probed)

NETWORK_TEACHERS = ("finetuned", "stranger", "account")
"""Teachers of a lesson that ask for a fine-tuned network"""

SHARED = ("world", "seeds", "worlds", "tasks", "prompts", "model")
"""The parts of the configuration that every stage reads."""

TRAININGS = tuple(name for name, plan in STAGES.items() if name in plan.reads and name not in ("scratch", "probe"))
"""The stages with a section of their own that says how they train."""


def parts_of(stage: str, probed: str = "finetune") -> tuple[str, ...]:
    """The parts of the configuration that a stage's result depends on; of a probe, also those of the `probed` stage."""
    plan = STAGES[stage]
    before = parts_of(plan.parents[-1]) if plan.parents else SHARED
    beside = parts_of(probed) if stage == "probe" else ()
    return tuple(dict.fromkeys((*before, *plan.reads, *beside)))
