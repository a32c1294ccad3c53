"""Which stages a stage rests on. No jax here: whoever reads a run asks, too."""

from implicit_inference.config import Config, run_id

PARENTS = {
    "pretrain": (),
    "scratch": (),
    "finetune": ("pretrain",),
    "student": ("pretrain", "finetune"),
    "tune": ("pretrain",),
    "steer": ("tune",),
    "probe": ("pretrain", "finetune", "scratch"),
}


def parents_of(stage: str, config: Config) -> tuple[str, ...]:
    """Names the stages that a stage starts from, learns from or measures; training starts from the first one."""
    if stage == "student" and config.lesson.teacher != "finetuned":
        return ("pretrain",)
    return PARENTS[stage]


def parent_ids(stage: str, config: Config) -> list[str]:
    """Names the runs of those stages, in the same order."""
    return [run_id(parent, config) for parent in parents_of(stage, config)]
