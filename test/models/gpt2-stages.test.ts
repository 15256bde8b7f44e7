import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { floatTensor, int64Tensor, type Tensor } from '../../src/graph/types.js';
import { buildGpt2 } from '../../src/models/gpt2.js';
import { gpt2WithCache } from '../../src/models/gpt2-cache.js';
import { Sequence } from '../../src/runtime/decoding/sequence.js';
import { step } from '../../src/runtime/decoding/step.js';
import { Session } from '../../src/runtime/session.js';
import { run } from '../graph/runtime.js';
import { config, sessionsWith, weights } from '../runtime/decoding/decoder.js';

const { layers, hidden, heads, vocabulary, context } = config;
const text = Array.from({ length: context }, (_, i) => (7 * i * i + 3) % vocabulary);

/** Logits behind each token of the text, by the graph that training and passes over texts use. */
const whole = async () =>
  (
    await run(buildGpt2(config, weights).graph, {
      input_ids: int64Tensor(text, [1, context]),
      attention_mask: floatTensor(new Float32Array(context).fill(1), [1, context]),
    })
  ).logits!.data as Float32Array;

function expectClose(found: Float32Array, expected: Float32Array): void {
  expect(found.length).toBe(expected.length);
  for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i]!, 3);
}

const PYTHON = '/usr/bin/python3';
const torch = spawnSync(PYTHON, ['-c', 'import torch']).status === 0;
if (!torch) console.log(`Skipped: comparison of GPT-2 with PyTorch (${PYTHON} has no torch).`);

/** Logits of all tokens by PyTorch, from the same weights. */
function byPyTorch(): Float32Array {
  const { graph, trainable } = buildGpt2(config, weights);
  const folder = mkdtempSync(join(tmpdir(), 'gpt2-'));
  try {
    const files = { input: join(folder, 'weights'), output: join(folder, 'logits') };
    const tensors = trainable.map((name) => [name, graph.initializers.get(name)!] as const);
    const bytes = tensors.map(([, { data }]) => Buffer.from(Float32Array.from(data as Float32Array).buffer));
    writeFileSync(files.input, Buffer.concat(bytes));
    const shapes = tensors.map(([name, { shape }]) => [name, shape]);
    const request = join(folder, 'request.json');
    writeFileSync(request, JSON.stringify({ ...files, sizes: config, weights: shapes, ids: text }));
    execFileSync(PYTHON, [join(import.meta.dirname, 'gpt2_reference.py'), request]);
    const file = readFileSync(files.output);
    return new Float32Array(file.buffer, file.byteOffset, file.length / 4).slice();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Logits behind every token, decoded one by one. */
async function byStages(): Promise<Float32Array> {
  const sessions = await sessionsWith(1);
  const sequence = new Sequence(text.slice(0, 1), config);
  const logits = new Float32Array(context * vocabulary);
  for (let tokens = 1; ; tokens++) {
    logits.set((await step(sessions, [sequence])).choices[0]!.logits, (tokens - 1) * vocabulary);
    if (tokens === context) break;
    sequence.tokens.push(text[tokens]!);
  }
  await sessions.dispose();
  return logits;
}

describe('GPT-2 in stages', () => {
  it.skipIf(!torch)("gives PyTorch's logits, token by token", async () => {
    expectClose(await byStages(), byPyTorch());
  });

  it('gives, token by token and to the last place of its context, the logits of the whole graph', async () => {
    const expected = await whole();
    const sessions = await sessionsWith(1);
    const sequence = new Sequence(text.slice(0, 5), config);
    for (let tokens = 5; ; tokens++) {
      const { choices } = await step(sessions, [sequence]);
      expectClose(choices[0]!.logits, expected.subarray((tokens - 1) * vocabulary, tokens * vocabulary));
      if (tokens === context) break;
      sequence.tokens.push(text[tokens]!);
    }
    await sessions.dispose();
  });
});

describe('GPT-2 with a cache', () => {
  const graph = gpt2WithCache(config, weights);

  /** Feeds tokens behind those whose keys and values are given. */
  async function fed(session: Session, ids: readonly number[], past: number, before: Readonly<Record<string, Tensor>>) {
    const caches = graph.inputs.filter(({ name }) => name.startsWith('past_key_values.'));
    const empty = floatTensor([], [1, heads, 0, hidden / heads]);
    return session.run({
      input_ids: int64Tensor(ids, [1, ids.length]),
      position_ids: int64Tensor(
        ids.map((_, i) => past + i),
        [1, ids.length],
      ),
      attention_mask: floatTensor(new Float32Array(past + ids.length).fill(1), [1, past + ids.length]),
      ...Object.fromEntries(
        caches.map(({ name }) => [name, before[name.replace('past_key_values', 'present')] ?? empty]),
      ),
    });
  }

  it('gives the logits of the whole graph for a prompt and for single tokens after it', async () => {
    const expected = await whole();
    const session = await Session.create(graph);
    let outputs = await fed(session, text.slice(0, 9), 0, {});
    expectClose(outputs.logits!.data as Float32Array, expected.subarray(0, 9 * vocabulary));
    for (let past = 9; past < 20; past++) {
      outputs = await fed(session, [text[past]!], past, outputs);
      const row = expected.subarray(past * vocabulary, (past + 1) * vocabulary);
      expectClose(outputs.logits!.data as Float32Array, row);
    }
    await session.dispose();
  });

  it('takes and gives keys and values of every layer', () => {
    const names = (prefix: string) =>
      Array.from({ length: layers }, (_, layer) => [`${prefix}.${layer}.key`, `${prefix}.${layer}.value`]).flat();
    expect(graph.inputs.map(({ name }) => name)).toEqual([
      'input_ids',
      'position_ids',
      'attention_mask',
      ...names('past_key_values'),
    ]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(['logits', ...names('present')]);
    expect(graph.outputs[1]!.shape).toEqual(['batch', heads, expect.anything(), hidden / heads]);
  });
});
