"""What a private training step costs, beside the same model's ordinary step; and peers beside theirs.

Process CPU time of a step on one thread, noise included; private and ordinary steps take turns in one
process, and the figure is the median over the rounds. Peak memory is that of a process of its own. Two
models: an MLP, 100 numbers -> 256 -> 128 -> 1, and the same with 8 embeddings of 1000 x 16 beside them.

    python benchmarks/privacy.py [--rounds 15] [--steps 40] [--peers PYTHON] [--json FILE]

``--peers PYTHON`` adds Opacus (ghost clipping, and hooks) and jax-privacy on the same shapes, each against
its own framework's ordinary step: the path of a Python that has ``opacus`` and, if it is to be measured,
``jax-privacy``; they are not part of this project's environment.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHAPES = ("mlp", "embedding")
BATCHES = (256, 1024)
NUMBERS, EMBEDDINGS, ROWS, WIDTH = 100, 8, 1000, 16
HIDDEN = (256, 128)
NOISE, CLIP, RATE = 1.0, 1.0, 0.1
EXAMPLES = 60_000
GOALS = {("mlp", 256): 1.6, ("mlp", 1024): 1.3, ("embedding", 256): 2.0, ("embedding", 1024): 1.5}
MEMORY_GOAL = 1.1
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")}

Step = Callable[[], Any]


def batch_of(shape: str, size: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Numbers, ids and labels."""
    random = np.random.default_rng(0)
    ids = random.integers(0, ROWS, (size, EMBEDDINGS)) if shape == "embedding" else None
    numbers = random.standard_normal((size, NUMBERS)).astype(np.float32)
    return numbers, ids, random.integers(0, 2, size).astype(np.float32)


# Ours


def keras_model(shape: str) -> Any:
    import keras

    numbers = keras.Input((NUMBERS,), name="numbers")
    inputs, parts = {"numbers": numbers}, [numbers]
    if shape == "embedding":
        for place in range(EMBEDDINGS):
            ids = keras.Input((), dtype="int64", name=f"ids{place}")
            inputs[ids.name] = ids
            parts.append(keras.layers.Embedding(ROWS, WIDTH)(ids))
    hidden = keras.layers.Concatenate()(parts) if len(parts) > 1 else numbers
    for units in HIDDEN:
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(keras.optimizers.SGD(RATE), loss="binary_crossentropy", jit_compile=False)
    return model


def keras_step(shape: str, size: int, private: bool) -> Step:
    import tensorflow as tf

    from tfx_trust.components.privacy.config import PrivacySettings
    from tfx_trust.components.privacy.private_model import make_private

    model = keras_model(shape)
    if private:
        # Shuffled, so that any batch may be given again and again: the step is the same.
        settings = PrivacySettings(
            noise_multiplier=NOISE, l2_clip=CLIP, batch_size=size, steps=10**6, sampling="shuffle"
        )
        make_private(model, settings, EXAMPLES)
    numbers, ids, labels = batch_of(shape, size)
    features = {"numbers": tf.constant(numbers)}
    if ids is not None:
        features |= {f"ids{place}": tf.constant(ids[:, place]) for place in range(EMBEDDINGS)}
    data = (features, tf.constant(labels[:, None]), tf.ones(size))
    step = tf.function(model.train_step)
    return lambda: step(data)


# Peers


def torch_steps(shape: str, size: int) -> dict[str, Step]:
    import torch
    from opacus import PrivacyEngine

    torch.set_num_threads(1)

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embeddings = torch.nn.ModuleList(
                torch.nn.Embedding(ROWS, WIDTH) for _ in range(EMBEDDINGS if shape == "embedding" else 0)
            )
            widths = (NUMBERS + WIDTH * len(self.embeddings), *HIDDEN)
            layers: list[Any] = []
            for before, after in itertools.pairwise(widths):
                layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
            self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], 1))

        def forward(self, numbers: Any, ids: Any) -> Any:
            parts = [layer(ids[:, place]) for place, layer in enumerate(self.embeddings)]
            return self.layers(torch.cat([numbers, *parts], 1))

    numbers, ids, labels = batch_of(shape, size)
    x = torch.tensor(numbers)
    names = torch.tensor(ids if ids is not None else np.zeros((size, 0), np.int64))
    y = torch.tensor(labels[:, None])

    def steps(mode: str | None) -> Step:
        model, loss = Network(), torch.nn.BCEWithLogitsLoss()
        optimizer = torch.optim.SGD(model.parameters(), RATE)
        if mode is not None:
            loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, names, y), batch_size=size)
            given = {"criterion": loss} if mode == "ghost" else {}
            made = PrivacyEngine().make_private(
                module=model,
                optimizer=optimizer,
                data_loader=loader,
                noise_multiplier=NOISE,
                max_grad_norm=CLIP,
                poisson_sampling=False,
                grad_sample_mode=mode,
                **given,
            )
            model, optimizer = made[0], made[1]
            loss = made[2] if mode == "ghost" else loss

        def step() -> None:
            optimizer.zero_grad()
            loss(model(x, names), y).backward()
            optimizer.step()

        return step

    return {"plain": steps(None), "opacus ghost": steps("ghost"), "opacus hooks": steps("hooks")}


def jax_steps(shape: str, size: int) -> dict[str, Step]:
    import jax
    import jax.numpy as jnp
    from jax_privacy import clipped_grad

    numbers, ids, labels = batch_of(shape, size)
    keys = iter(jax.random.split(jax.random.key(0), 100))
    extra = EMBEDDINGS if shape == "embedding" else 0
    widths = (NUMBERS + WIDTH * extra, *HIDDEN, 1)
    parameters = {
        "tables": [jax.random.normal(next(keys), (ROWS, WIDTH)) * 0.05 for _ in range(extra)],
        "layers": [
            (jax.random.normal(next(keys), (before, after)) * before**-0.5, jnp.zeros(after))
            for before, after in itertools.pairwise(widths)
        ],
    }

    def loss(parameters: Any, x: Any, names: Any, y: Any) -> Any:
        hidden = jnp.concatenate(
            [x, *(table[names[..., place]] for place, table in enumerate(parameters["tables"]))], -1
        )
        *inner, last = parameters["layers"]
        for weight, bias in inner:
            hidden = jax.nn.relu(hidden @ weight + bias)
        logit = (hidden @ last[0] + last[1])[..., 0]
        return jnp.mean(jax.nn.softplus(logit) - y * logit)

    data = (
        jnp.array(numbers),
        jnp.array(ids if ids is not None else np.zeros((size, 1), np.int64)),
        jnp.array(labels),
    )
    # In microbatches: all gradients of a batch at once took many times as long.
    private = clipped_grad(
        loss, l2_clip_norm=CLIP, batch_argnums=(1, 2, 3), normalize_by=size, microbatch_size=32
    )

    @jax.jit
    def plain_step(parameters: Any) -> Any:
        return jax.tree.map(lambda p, g: p - RATE * g, parameters, jax.grad(loss)(parameters, *data))

    @jax.jit
    def private_step(parameters: Any, key: Any) -> Any:
        gradient = private(parameters, *data)
        leaves, tree = jax.tree.flatten(gradient)
        noisy = [
            leaf + NOISE * CLIP / size * jax.random.normal(part, leaf.shape)
            for leaf, part in zip(leaves, jax.random.split(key, len(leaves)), strict=True)
        ]
        return jax.tree.map(lambda p, g: p - RATE * g, parameters, tree.unflatten(noisy))

    counter = iter(range(10**9))
    return {
        "plain": lambda: jax.block_until_ready(plain_step(parameters)),
        "jax-privacy": lambda: jax.block_until_ready(private_step(parameters, jax.random.key(next(counter)))),
    }


# Measuring


def steps_of(framework: str, shape: str, size: int) -> dict[str, Step]:
    if framework == "opacus":
        return torch_steps(shape, size)
    if framework == "jax":
        return jax_steps(shape, size)
    return {name: keras_step(shape, size, name == "private") for name in ("plain", "private")}


def measure(framework: str, shape: str, size: int, rounds: int, steps: int) -> dict[str, float]:
    """Milliseconds of CPU a step, the median over the rounds."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    ours = steps_of(framework, shape, size)
    for step in ours.values():
        for _ in range(5):
            step()
    taken: dict[str, list[float]] = {name: [] for name in ours}
    for _ in range(rounds):
        for name, step in ours.items():
            begin = time.process_time()
            for _ in range(steps):
                step()
            taken[name].append(1e3 * (time.process_time() - begin) / steps)
    return {name: statistics.median(values) for name, values in taken.items()}


def peak_memory(shape: str, size: int, private: bool) -> float:
    """MB at the most, of this process, after some steps."""
    step = keras_step(shape, size, private)
    for _ in range(30):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_process(python: str, *arguments: object) -> Any:
    """What this script measures in a process of its own; a text where it could not."""
    command = [python, __file__, *map(str, arguments)]
    environment = {**os.environ, **ONE_THREAD, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1]
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--measure", nargs=3, metavar=("FRAMEWORK", "SHAPE", "BATCH"), help=argparse.SUPPRESS)
    parser.add_argument("--memory", nargs=3, metavar=("SHAPE", "BATCH", "PRIVATE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        framework, shape, size = given.measure
        print(json.dumps(measure(framework, shape, int(size), given.rounds, given.steps)))
        return
    if given.memory:
        shape, size, private = given.memory
        print(json.dumps(peak_memory(shape, int(size), private == "1")))
        return
    results: list[dict[str, Any]] = []
    frameworks = {"tensorflow": sys.executable}
    if given.peers:
        frameworks |= {"opacus": given.peers, "jax": given.peers}
    print(f"{'model':<10} {'batch':>5}  {'step':<22} {'plain ms':>9} {'private ms':>10} {'ratio':>7}  goal")
    for shape in SHAPES:
        for size in BATCHES:
            for framework, python in frameworks.items():
                found = in_process(
                    python,
                    "--measure",
                    framework,
                    shape,
                    size,
                    "--rounds",
                    given.rounds,
                    "--steps",
                    given.steps,
                )
                if isinstance(found, str):
                    print(f"{shape:<10} {size:>5}  {framework:<22} not measured: {found}", flush=True)
                    continue
                plain = found.pop("plain")
                for name, taken in found.items():
                    goal = GOALS[shape, size] if framework == "tensorflow" else None
                    told = (
                        "" if goal is None else f"<= {goal:g}  {'met' if taken / plain <= goal else 'MISSED'}"
                    )
                    label = "tfx-trust" if framework == "tensorflow" else name
                    times = f"{plain:>9.3f} {taken:>10.3f} {taken / plain:>6.2f}x"
                    print(f"{shape:<10} {size:>5}  {label:<22} {times}  {told}", flush=True)
                    results.append(
                        {"model": shape, "batch": size, "step": label, "plain_ms": plain, "private_ms": taken}
                    )
    print(f"\n{'model':<10} {'batch':>5}  {'plain MB':>9} {'private MB':>10} {'ratio':>7}  goal")
    for shape in SHAPES:
        for size in BATCHES:
            plain, private = (in_process(sys.executable, "--memory", shape, size, flag) for flag in (0, 1))
            if isinstance(plain, str) or isinstance(private, str):
                print(f"{shape:<10} {size:>5}  not measured: {plain if isinstance(plain, str) else private}")
                continue
            ratio = private / plain
            told = f"<= {MEMORY_GOAL:g}  {'met' if ratio <= MEMORY_GOAL else 'MISSED'}"
            print(f"{shape:<10} {size:>5}  {plain:>9.0f} {private:>10.0f} {ratio:>6.2f}x  {told}", flush=True)
            results.append({"model": shape, "batch": size, "plain_mb": plain, "private_mb": private})
    if given.json:
        Path(given.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
