"""Infers the task of a prompt exactly, without any network: first which family it is from, then which task it is."""

import jax
import jax.numpy as jnp

import implicit_inference as ii

NOISE = 0.5  # standard deviation of labels

discrete = ii.DiscreteTasks(jax.random.normal(jax.random.key(0), (4, 2)))  # four tasks of two weights
gaussian = ii.GaussianTasks(jnp.zeros(2), 1.0)
prior = ii.Mixture((discrete, gaussian), jnp.log(jnp.array([0.5, 0.5])))
prompt = ii.sample_batch(jax.random.key(1), discrete, n=1, length=10, noise_std=NOISE).prompts  # of one of the four
scaled = ii.ScaleLabels(2.0).apply(prompt)

in_set = ii.component_posterior(prior, prompt, NOISE)[0, :, 0]
in_set_scaled = ii.component_posterior(prior, scaled, NOISE)[0, :, 0]
which = ii.task_posterior(discrete, prompt, NOISE)[0]

print("exemplars  P(discrete)  P(discrete), labels doubled  P(task | discrete)")
for k in range(10):
    tasks = " ".join(f"{p:.2f}" for p in which[k])
    print(f"{k:9}  {in_set[k]:11.3f}  {in_set_scaled[k]:27.3f}  {tasks}")
