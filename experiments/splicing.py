"""Where in the network does fine-tuning's change sit: the read-out, a block, one constant vector of the stream?

    python experiments/splicing.py --scale smoke|laptop|workstation|paper

Parts of the pretrained network are put into the fine-tuned one, and what that undoes of the forgetting is measured: its
read-out; its embedding and first blocks, which patches the residual stream behind a block at every token. Or the mean
change of the stream behind a block, one constant vector, is taken out.
"""

import sys

import numpy as np
from experiment import SCALES, main
from jax import Array

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.network.decoder import Params
from implicit_inference.network.interventions import mean_change, replaced, spliced, without
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES, by_range
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained


def measure(trained: Trained) -> list[Record]:
    """The rise of the loss on the forgotten family, above the pretrained network's, after each intervention."""
    held_out, records = HeldOut(trained), list[Record]()
    packed, family, config = held_out.packed, held_out.described.forgotten, trained.config
    before, after = (trained.params_of(stage) for stage in ("pretrain", "finetune"))
    plain = held_out.loss(trained.network("pretrain"), family)

    def add(params: Params, way: str, block: int | None = None) -> None:
        rise = held_out.loss(trained.programs.network(params), family) - plain
        records.extend(by_range(held_out, rise, quantity="rise", way=way, block=block))

    add(after, "nothing")
    add(packed.program(lambda old, new: replaced(old, new, "readout"))(before, after), "read-out")
    tuning = held_out.batch(family, "tuning").prompts
    change = packed.program(lambda old, new, prompts: mean_change(config, old, new, prompts))(before, after, tuning)

    def joined(old: Params, new: Params, block: Array) -> Params:
        return spliced(old, new, block + 1)

    for block in range(config.model.layers):
        at = packed.repeated(np.int32(block))
        add(packed.program(joined)(before, after, at), "stream", block)
        add(packed.program(without)(after, change, at), "constant", block)
    return records


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for labels, part in results.groups("pretrain.discrete_prob"):
        alpha = f"alpha {labels['pretrain.discrete_prob']:g}"
        for where in RANGES:
            here = part.where(range=where)
            whole = here.values(way="nothing")
            undone = {
                (at["way"], at["block"]): over_seeds(1 - records.values() / whole)
                for at, records in here.groups("way", "block")
            }
            text = ", ".join(
                f"{way}{'' if block is None else f' behind block {block}'} {as_text(share)}"
                for (way, block), share in undone.items()
                if way != "nothing"
            )
            claims.append(
                (
                    f"{alpha}, {where}: what an intervention undoes of the forgetting",
                    [],
                    text,
                )
            )
    return claims


VARIANTS: list[Record] = [{"pretrain.discrete_prob": alpha} for alpha in (0.2, 0.5, 0.8)]
EXPERIMENT = Experiment("splicing", dict.fromkeys(SCALES, VARIANTS), measure, conclude)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
