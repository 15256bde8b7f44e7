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

describe('GPT-2 in stages', () => {
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
