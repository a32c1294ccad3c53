"""The cost of each way to fine-tune: parameters trained, bytes that training holds, time of a step.

Command: python -m implicit_inference.bench.methods   (about one minute on 2 cores; prints a table)

The network and the fine-tuning of the `demo` preset, one seed on one device, whole chunks with their own data. The ways
take turns. State is what trains and what the optimiser keeps of it; temporary is what the compiled chunk needs beside
its arguments.
"""

import sys
from collections.abc import Sequence
from typing import Any

import jax

from implicit_inference import keys
from implicit_inference.bench.timing import Contestant, take_turns
from implicit_inference.config.changes import PRESETS, override
from implicit_inference.config.fields import Config
from implicit_inference.config.flags import Parser, whole
from implicit_inference.keys import Stream
from implicit_inference.network import adapt
from implicit_inference.runs import devices, process, runtime
from implicit_inference.training import optimisers
from implicit_inference.training.programs import Programs
from implicit_inference.training.stages import kept_shapes, stage_of

STEPS = 20
WAYS: dict[str, dict[str, Any]] = {name: {"adapt.method": name} for name in adapt.METHODS} | {
    "full, penalty on weights": {"finetune.penalty": "weights"},
    "full, penalty on predictions": {"finetune.penalty": "predictions"},
    "full, half replayed": {"finetune.replay": 0.5},
}


def prepared(config: Config) -> tuple[Contestant, list[str]]:
    """Chunks of fine-tuning from fresh parameters, and what they hold, as text."""
    programs = Programs(config, devices.make_mesh(1, 1))
    packed = programs.packed
    stage = stage_of(config, "finetune")
    shapes = kept_shapes(config, "pretrain")
    parent = jax.tree.map(lambda leaf: jax.numpy.full((1, *leaf.shape), 0.01), shapes)
    state = programs.first_state(stage, (parent,))
    source = packed.program(stage.source)(packed.seeds, (parent,))
    stream = packed.by_seed(lambda seed: keys.stream(seed, Stream.FINETUNE))
    rate = packed.repeated(optimisers.schedule(stage.training))
    program = programs.chunk("finetune", STEPS).__wrapped__  # type: ignore[attr-defined]
    chunk = program.lower(packed.seeds, stream, source, rate, state).compile()
    moving = [leaf.nbytes for leaf in jax.tree.leaves((state.params, state.opt_state))]
    sizes = [
        f"{adapt.size(state.params):,}",
        f"{sum(moving) / 1e6:.3f}",
        f"{chunk.memory_analysis().temp_size_in_bytes / 1e6:.1f}",
    ]
    held = [state]

    def run() -> jax.Array:
        held[0], losses = chunk(packed.seeds, stream, source, rate, held[0])
        return losses

    return run, sizes


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=whole("rounds"), default=9)
    options = parser.parse_args(arguments)
    runtime.prepare()
    base = override(PRESETS["demo"], {"seeds": [0]})
    ways = {name: prepared(override(base, changes)) for name, changes in WAYS.items()}
    times = take_turns({name: run for name, (run, _) in ways.items()}, options.rounds, STEPS)
    print("| way | parameters trained | state MB | temporary MB | ms a step | times full |\n|---|---|---|---|---|---|")
    for name, (_, sizes) in ways.items():
        print("| " + " | ".join([name, *sizes, times[name].as_text(), times[name].over(times["full"])]) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(process.run("implicit_inference.bench.methods", main))
