import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/graph/types.js';
import { floatTensor } from '../../src/graph/types.js';
import { trainingSteps } from '../../src/runtime/batches.js';
import { Session } from '../../src/runtime/session.js';
import { type TrainOptions, train } from '../../src/runtime/train.js';
import { Trainer, type TrainerOptions } from '../../src/runtime/trainer.js';
import type { OptimizerOptions } from '../../src/runtime/types.js';
import { batchOf, float32, network, optimizer, trainable, wave } from './fixtures.js';

const folder = mkdtempSync(join(tmpdir(), 'tandem-training-'));
afterAll(() => rmSync(folder, { recursive: true }));

const create = (change: Partial<TrainerOptions> = {}) =>
  Trainer.create({ graph: network(), trainable, loss: 'loss', optimizer, steps: 30, ...change });

const values = (trainer: Trainer) => [...trainer.parameters()].map(([name, value]) => [name, ...float32(value)]);

/** The same network and steps in PyTorch, which knows nothing of ours. */
const PYTORCH = `
import json, sys, torch
task = json.load(sys.stdin)
w = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in task["weights"].items()}
decayed = {"params": [w["w1"], w["w2"]], "weight_decay": 0.1, "lr": 0.02}
optimizer = torch.optim.AdamW([decayed, {"params": [w["b1"]], "weight_decay": 0.0, "lr": 0.05}], betas=(0.9, 0.98), eps=1e-6)
rates = [group["lr"] for group in optimizer.param_groups]
losses, norms = [], []
for step, (x, y) in enumerate(task["batches"]):
    for group, rate in zip(optimizer.param_groups, rates): group["lr"] = rate * task["factors"][step]
    optimizer.zero_grad()
    loss = ((torch.tanh(torch.tensor(x) @ w["w1"] + w["b1"]) @ w["w2"] - torch.tensor(y)) ** 2).mean()
    loss.backward()
    norms.append(torch.nn.utils.clip_grad_norm_(list(w.values()), 0.5).item())
    optimizer.step()
    losses.append(loss.item())
print(json.dumps({"losses": losses, "norms": norms, "weights": {name: value.tolist() for name, value in w.items()}}))
`;
const python = '/usr/bin/python3';
const hasTorch = existsSync(python) && spawnSync(python, ['-c', 'import torch']).status === 0;
if (!hasTorch) console.warn(`The comparison with PyTorch is skipped: ${python} has no torch.`);

const nested = ({ shape, data }: Tensor): unknown => {
  const flat = [...(data as Float32Array)];
  const width = shape[1];
  return width ? Array.from({ length: shape[0]! }, (_, i) => flat.slice(i * width, (i + 1) * width)) : flat;
};

describe('Trainer', () => {
  it.skipIf(!hasTorch)('follows PyTorch: groups, decay, clipping, schedule', async () => {
    const steps = 20;
    const options: OptimizerOptions = {
      groups: [
        { match: /^w/, learningRate: 0.02, weightDecay: 0.1 },
        { match: /./, learningRate: 0.05, weightDecay: 0 },
      ],
      beta1: 0.9,
      beta2: 0.98,
      epsilon: 1e-6,
      clipNorm: 0.5,
      warmup: 0.25,
      schedule: 'linear',
      accumulate: 1,
    };
    const factors = Array.from({ length: steps }, (_, i) => (i < 5 ? (i + 1) / 5 : (20 - i) / 15));
    const batches = factors.map((_, step) => batchOf([step, step + 100, step + 200, step + 300]));
    const task = {
      weights: Object.fromEntries(trainable.map((name) => [name, nested(network().initializers.get(name)!)])),
      batches: batches.map(({ x, y }) => [nested(x), nested(y)]),
      factors,
    };
    const run = spawnSync(python, ['-c', PYTORCH], { input: JSON.stringify(task), encoding: 'utf8' });
    expect(run.stderr).toBe('');
    const expected = JSON.parse(run.stdout) as { losses: number[]; norms: number[]; weights: Record<string, number[]> };

    const trainer = await create({ optimizer: options, steps });
    for (const [step, batch] of batches.entries()) {
      const result = await trainer.step(batch);
      expect(result.step).toBe(step);
      expect(result.loss).toBeCloseTo(expected.losses[step]!, 5);
      expect(result.gradNorm).toBeCloseTo(expected.norms[step]!, 5);
      expect(result.learningRates).toEqual([0.02, 0.05].map((rate) => expect.closeTo(rate * factors[step]!, 12)));
    }
    for (const [name, value] of trainer.parameters()) {
      const theirs = expected.weights[name]!.flat();
      for (const [i, ours] of float32(value).entries()) expect(ours).toBeCloseTo(theirs[i]!, 5);
    }
    await trainer.dispose();
  });

  it('lowers the loss, and hands out a graph that holds what was learned', async () => {
    const trainer = await create({ steps: 300 });
    const batch = batchOf(Array.from({ length: 64 }, (_, i) => i));
    const first = await trainer.step(batch);
    let last = first;
    while (trainer.stepsDone < trainer.steps) last = await trainer.step(batch);
    expect(last.loss).toBeLessThan(0.1 * first.loss);
    const session = await Session.create(trainer.trained());
    expect(float32((await session.run(batch)).loss)[0]).toBeLessThanOrEqual(last.loss * 1.01);
    await session.dispose();
    await trainer.dispose();
  });

  it('trains only what it is told to', async () => {
    const trainer = await create({ trainable: ['w2'] });
    await trainer.step(batchOf([1, 2, 3]));
    const after = trainer.trained().initializers;
    for (const name of ['w1', 'b1']) expect(after.get(name)).toEqual(network().initializers.get(name));
    expect(after.get('w2')).not.toEqual(network().initializers.get('w2'));
    await trainer.dispose();
  });

  it('takes several batches as one: the same mean gradient, the same step', async () => {
    const whole = await create();
    const parts = await create({ optimizer: { ...optimizer, accumulate: 3 } });
    const examples = Array.from({ length: 12 }, (_, i) => i);
    for (let step = 0; step < 5; step++) {
      const a = await whole.step(batchOf(examples));
      const b = await parts.step(...[0, 4, 8].map((from) => batchOf(examples.slice(from, from + 4))));
      expect(b.loss).toBeCloseTo(a.loss, 5);
      expect(b.gradNorm).toBeCloseTo(a.gradNorm, 5);
    }
    const [a, b] = [whole, parts].map((trainer) => values(trainer).flat());
    for (const [i, value] of a!.entries()) {
      if (typeof value === 'number') expect(b![i]).toBeCloseTo(value, 3);
    }
    await Promise.all([whole.dispose(), parts.dispose()]);
  });

  it('clips to the global norm: a step of Adam does not depend on the scale, the reported norm does', async () => {
    const clipped = await create({ optimizer: { ...optimizer, clipNorm: 1e-3 } });
    const free = await create();
    const [a, b] = [await clipped.step(batchOf([1, 2])), await free.step(batchOf([1, 2]))];
    expect(a.gradNorm).toBe(b.gradNorm);
    const [first, unclipped] = [clipped, free].map((trainer) => trainer.state().first);
    const norm = (moments: typeof first) =>
      Math.hypot(...[...moments!.values()].flatMap((moment) => [...float32(moment)]));
    expect(norm(first)).toBeCloseTo(0.1 * 1e-3, 8);
    expect(norm(unclipped)).toBeCloseTo(0.1 * b.gradNorm, 6);
    await Promise.all([clipped.dispose(), free.dispose()]);
  });

  it('hands out further values, trained ones too, as they were before the update', async () => {
    const trainer = await create({ extras: ['hidden', 'w2'] });
    const { extras } = await trainer.step(batchOf([1, 2]));
    expect(extras.hidden!.shape).toEqual([2, 5]);
    expect(extras.w2).toEqual(floatTensor(wave(5, 2), [5, 1]));
    await trainer.dispose();
  });

  it('stops at a loss that is not finite, with the parameters as they were', async () => {
    const trainer = await create();
    await trainer.step(batchOf([1, 2]));
    const before = values(trainer);
    const { x } = batchOf([1]);
    await expect(trainer.step({ x, y: floatTensor([Number.NaN], [1, 1]) })).rejects.toMatchObject({
      code: 'TANDEM_LOSS_NOT_FINITE',
      place: 'step 1',
      remedy: expect.stringContaining('No checkpoint'),
    });
    expect(values(trainer)).toEqual(before);
    expect((await trainer.step(batchOf([1, 2]))).step).toBe(1);
    await trainer.dispose();
  });

  it('refuses weights it cannot train, too many batches, and steps past the end', async () => {
    await expect(create({ trainable: ['nothing'] })).rejects.toMatchObject({ code: 'TANDEM_CONFIG_INVALID' });
    const trainer = await create({ steps: 1 });
    await expect(trainer.step()).rejects.toMatchObject({ code: 'TANDEM_CONFIG_INVALID' });
    await expect(trainer.step(batchOf([1]), batchOf([2]))).rejects.toMatchObject({ place: 'optimizer.accumulate' });
    await trainer.step(batchOf([1]));
    await expect(trainer.step(batchOf([1]))).rejects.toMatchObject({ place: 'steps' });
    await trainer.dispose();
  });
});

describe('a training', () => {
  const order = { examples: 50, batchSize: 8, seed: 4, lengths: Array.from({ length: 50 }, (_, i) => i % 7) };
  const epochs = 3;
  const settings: OptimizerOptions = {
    ...optimizer,
    groups: [{ match: /./, learningRate: 0.05, weightDecay: 0.01 }],
    clipNorm: 1,
    warmup: 0.1,
    schedule: 'cosine',
    accumulate: 2,
  };
  const steps = trainingSteps(order, epochs, settings.accumulate);
  const trainerFor = (change: Partial<OptimizerOptions> = {}) =>
    create({ optimizer: { ...settings, ...change }, steps });
  const run = (trainer: Trainer, more: Partial<TrainOptions> = {}) =>
    train({ trainer, order, epochs, feeds: batchOf, ...more });

  /** Trains until step `at`, then stops as a user would. */
  async function interrupted(path: string, at: number): Promise<void> {
    const trainer = await trainerFor();
    const stop = new AbortController();
    const stopped = run(trainer, {
      checkpoint: { path, everySteps: 4 },
      signal: stop.signal,
      onStep: ({ step }) => {
        if (step + 1 === at) stop.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: 'TANDEM_ABORTED', remedy: expect.stringContaining(path) });
    expect(trainer.stepsDone).toBe(at);
    await trainer.dispose();
  }

  it('that is interrupted at any step and resumed reaches the same bits as one that is not', async () => {
    const whole = await trainerFor();
    const seen: number[] = [];
    await run(whole, { onStep: ({ step }) => void seen.push(step) });
    expect(seen).toEqual(Array.from({ length: steps }, (_, i) => i));
    for (const at of [1, 4, 5, steps - 1]) {
      const path = join(folder, `stopped-${at}.safetensors`);
      await interrupted(path, at);
      const resumed = await trainerFor();
      await run(resumed, { checkpoint: { path, everySteps: 100 } });
      expect(resumed.state()).toEqual(whole.state());
      await resumed.dispose();
    }
    await whole.dispose();
  });

  it('does not continue from a checkpoint of other settings, of another model, or a damaged one', async () => {
    const path = join(folder, 'other.safetensors');
    await interrupted(path, 2);
    const checkpoint = { path, everySteps: 100 };
    const other = await trainerFor({ beta2: 0.9 });
    await expect(run(other, { checkpoint })).rejects.toMatchObject({
      code: 'TANDEM_CHECKPOINT_INVALID',
      message: 'The checkpoint was made with beta2 = 0.999; now it is 0.9.',
    });
    const trainer = await trainerFor();
    await expect(run(trainer, { checkpoint, order: { ...order, seed: 5 } })).rejects.toMatchObject({
      message: 'The checkpoint was made with seed = 4; now it is 5.',
    });
    const fewer = await create({ trainable: ['w1', 'b1'], optimizer: settings, steps });
    await run(fewer, { checkpoint: { path: join(folder, 'fewer.safetensors'), everySteps: 100 } });
    await expect(
      run(trainer, { checkpoint: { path: join(folder, 'fewer.safetensors'), everySteps: 100 } }),
    ).rejects.toMatchObject({ code: 'TANDEM_CHECKPOINT_INVALID', place: 'parameter w2' });
    writeFileSync(path, 'nonsense');
    await expect(run(trainer, { checkpoint })).rejects.toMatchObject({ code: 'TANDEM_CHECKPOINT_INVALID' });
    await Promise.all([other.dispose(), trainer.dispose(), fewer.dispose()]);
  });

  it('names its last checkpoint when the loss is lost', async () => {
    const path = join(folder, 'good.safetensors');
    const trainer = await trainerFor();
    const lost = (examples: readonly number[]) =>
      floatTensor(
        examples.map(() => Number.POSITIVE_INFINITY),
        [examples.length, 1],
      );
    const feeds = (examples: readonly number[], step: number) =>
      step < 5 ? batchOf(examples) : { ...batchOf(examples), y: lost(examples) };
    await expect(run(trainer, { feeds, checkpoint: { path, everySteps: 4 } })).rejects.toMatchObject({
      code: 'TANDEM_LOSS_NOT_FINITE',
      place: 'step 5',
      remedy: expect.stringContaining(path),
    });
    await trainer.dispose();
  });

  it('needs a trainer of as many steps as the data make', async () => {
    const trainer = await create({ optimizer: settings, steps: steps + 1 });
    await expect(run(trainer)).rejects.toMatchObject({ code: 'TANDEM_CONFIG_INVALID', place: 'steps' });
    await trainer.dispose();
  });
});
