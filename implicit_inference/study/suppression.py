"""Suppressed or erased: what one strength of the world's dial brings back of a fine-tuning, beside its controls."""

from implicit_inference.bayes.attribution import attribution
from implicit_inference.measure.beliefs import Beliefs
from implicit_inference.measure.formulas import net_recovery, recovered_fraction, share
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.measurements import by_range, conjugations, distances, estimated, networks
from implicit_inference.training.loop import Trained


def suppression(trained: Trained, strength: float) -> list[Record]:
    """Measures recovery at one strength of the dial, with its controls, and the share of the odds, by range.

    recovered_at, net_at: by the dial, and net of what that does for the pretrained network; shrunk: by the best map of
    predictions alone, chosen on other prompts; scratch_at: the same fraction for the network that saw the fine-tuning
    tasks alone, of its gap to the pretrained one; above_shrinking: the loss of `shrunk` less that of `recovered_at`;
    inference_share: what a shift of the inferred prior odds explains of the forgetting.
    """
    held_out, records = HeldOut(trained), list[Record]()
    beliefs, distance, dial = Beliefs(held_out), distances(held_out), (held_out.described.dial, strength)
    compared = networks(trained).values()
    before, after, _ = compared
    lost, conjugation = held_out.described.forgotten, conjugations(held_out, [dial])[dial]
    plain = [held_out.loss(network, lost) for network in compared]
    conjugated = [held_out.loss(network, lost, conjugation) for network in compared]
    shrunk = held_out.shrunk_errors(after, lost).mean(axis=1)
    for quantity, formula, values in (
        ("recovered_at", recovered_fraction, (*plain[:2], conjugated[1])),
        ("shrunk", recovered_fraction, (*plain[:2], shrunk)),
        ("net_at", net_recovery, (*plain[:2], *conjugated[:2])),
        ("scratch_at", recovered_fraction, (plain[0], plain[2], conjugated[2])),
    ):
        records += estimated(held_out, formula, *values, quantity=quantity)
    records += by_range(held_out, shrunk - conjugated[1], quantity="above_shrinking")
    ideals = [beliefs.ideal(beliefs.prior(network).logit) for network in (before, after)]
    parts = attribution(*(distance(predictor) for predictor in (before, after, *ideals)))
    return records + estimated(held_out, share, parts.inference_shift, parts.forgetting, quantity="inference_share")
