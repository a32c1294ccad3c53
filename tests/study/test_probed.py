"""Prior odds and recovery by language, of predictors whose odds are known."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference.bayes.effective import shifted_weights
from implicit_inference.config.changes import PRESETS, override
from implicit_inference.measure.lookup import IDENTITY
from implicit_inference.runs.runtime import pinned
from implicit_inference.study.headline import headline
from implicit_inference.study.measurements import RANGES
from implicit_inference.study.probed import ODDS_ALONE, net, odds_by_case
from implicit_inference.study.results import Results
from implicit_inference.training.programs import Programs

CONFIG = override(PRESETS["language-smoke"], {"probe.prompts": 200, "tasks.refusals": 0.1})
SECOND = ("translation", 2.0)


def believing(english, elsewhere):
    """Exact Bayes with prior log odds that depend on the language of a document, packed over seeds."""
    world = Programs(CONFIG).world

    def of_seed(seed):
        families = tuple(world.families(seed).values())
        exact = [world.exact(world.mixture(families, shifted_weights(odds))) for odds in (english, elsewhere)]
        return jax.tree_util.Partial(answer, *exact)

    return Programs(CONFIG).packed.by_seed(of_seed)


def answer(in_english, elsewhere, documents):
    english = (documents.language == 0)[..., None, None]
    return jnp.where(english, in_english(documents), elsewhere(documents))


@dataclasses.dataclass
class Networks:
    """Predictors in the place of the networks before and after."""

    networks: dict
    config: object = CONFIG
    programs: object = dataclasses.field(default_factory=partial(Programs, CONFIG))

    def network(self, stage):
        return self.networks[stage]


@pytest.mark.slow
def test_odds_that_moved_in_english_alone_are_found_there_and_predict_full_recovery_in_translation():
    before, after = believing(0.5, 0.5), believing(3.0, 0.5)
    with pinned():
        table = Results(odds_by_case(Networks({"pretrain": before, "finetune": after}), [SECOND]))
    for where in RANGES:
        for case, moved in ((IDENTITY, 3.0), (SECOND, 0.5)):
            labels = {"quantity": "odds", "range": where, "conjugation": case[0], "strength": case[1]}
            for predictor, odds in (("pretrained", 0.5), ("finetuned", moved)):
                np.testing.assert_allclose(table.values(**labels, predictor=predictor), odds, atol=0.02)
        rises = table.where(quantity="rise", predictor=ODDS_ALONE, range=where)
        assert np.all(rises.values(conjugation="identity") > 0.01)
        np.testing.assert_allclose(net(table, where, ODDS_ALONE, SECOND).mean, 1, atol=0.02)


@pytest.mark.slow
def test_the_headline_chooses_among_the_languages_that_the_probe_has():
    networks = {"pretrain": believing(0.5, 0.5), "finetune": believing(3.0, 0.5)}
    with pinned():
        table = Results(headline(Networks(networks)))
    for where in RANGES:
        (net_of_pretrained,) = table.where(quantity="net_of_pretrained", range=where).frame.to_dict("records")
        assert (net_of_pretrained["conjugation"], net_of_pretrained["strength"]) == SECOND
        np.testing.assert_allclose(net_of_pretrained["mean"], 1, atol=1e-5)
