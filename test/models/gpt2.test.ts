import { describe, expect, it } from 'vitest';
import { withOutputs } from '../../src/graph/edit.js';
import { differentiate } from '../../src/graph/gradients/index.js';
import { findAttention } from '../../src/graph/patterns/attention.js';
import { floatTensor, int64Tensor, type Tensor } from '../../src/graph/types.js';
import { addExitLosses } from '../../src/models/exit-losses.js';
import { buildGpt2, freshGpt2Weights, type Gpt2Config } from '../../src/models/gpt2.js';
import { run, type Values } from '../graph/runtime.js';
import { maskOf } from '../techniques/attention-model.js';

const config: Gpt2Config = {
  layers: 3,
  hidden: 8,
  heads: 2,
  intermediate: 16,
  vocabulary: 11,
  context: 6,
  epsilon: 1e-5,
  activation: 'gelu',
};
const decoder = buildGpt2(config, freshGpt2Weights(1, config.layers));
const feeds = (ids: number[][]): Record<string, Tensor> => ({
  input_ids: int64Tensor(ids.flat(), [ids.length, ids[0]!.length]),
  attention_mask: maskOf(
    ids.map((row) => row.length),
    ids[0]!.length,
  ),
});

describe('the loss at exits', () => {
  const given = {
    ...feeds([
      [3, 1, 4],
      [1, 5, 9],
    ]),
    targets: int64Tensor([1, 4, 1, 5, 9, 2], [2, 3]),
  };

  it('of some sequences is the mean over those, except at the last exit', async () => {
    const whole = addExitLosses(decoder.graph, [1, 1, 1], config);
    const some = addExitLosses(decoder.graph, [1, 1, 1], { ...config, someRows: true });
    const all = await run(withOutputs(whole.graph, whole.exits), given);
    const rows = (first: number, second: number) =>
      run(withOutputs(some.graph, some.exits), { ...given, exit_rows: int64Tensor([first, second], [2, 1]) });
    const [left, right] = [await rows(0, 1), await rows(1, 0)];
    const value = (values: Values, name: string) => Number(values[name]!.data[0]);
    for (const [layer, exit] of whole.exits.entries()) {
      const halves = [value(left, some.exits[layer]!), value(right, some.exits[layer]!)] as const;
      expect((halves[0] + halves[1]) / 2).toBeCloseTo(value(all, exit), 5);
      if (layer === 2) expect(halves[0]).toBeCloseTo(halves[1], 6);
      else expect(halves[0]).not.toBeCloseTo(halves[1], 4);
    }
  });
});

describe('GPT-2', () => {
  it('gives each token the logits that it has without the tokens after it', async () => {
    const whole = await run(decoder.graph, feeds([[3, 1, 4, 1, 5, 9]]));
    const start = await run(decoder.graph, feeds([[3, 1, 4]]));
    const expected = (whole.logits!.data as Float32Array).subarray(0, 3 * config.vocabulary);
    for (const [i, value] of (start.logits!.data as Float32Array).entries()) expect(value).toBeCloseTo(expected[i]!, 5);
  });

  it('shows its attention to techniques', () => {
    const blocks = findAttention(decoder.graph);
    expect(blocks.map(({ heads, headDim, source }) => ({ heads, headDim, source }))).toEqual(
      Array.from({ length: 3 }, () => ({ heads: 2, headDim: 4, source: 'self' })),
    );
  });

  it('learns at every exit: the slope along a direction equals the difference quotient', async () => {
    const { graph, loss } = addExitLosses(decoder.graph, [1, 0.5, 2], config);
    const given = { ...feeds([[3, 1, 4, 1]]), targets: int64Tensor([1, 4, 1, -100], [1, 4]) };
    const found = await run(differentiate(graph, { loss, wrt: decoder.trainable }), given);
    const direction = (name: string, size: number) => Array.from({ length: size }, (_, i) => Math.sin(i + name.length));
    const moved = (step: number) => {
      const initializers = new Map(graph.initializers);
      for (const name of decoder.trainable) {
        const { data, shape } = initializers.get(name)!;
        const along = direction(name, data.length);
        initializers.set(
          name,
          floatTensor(
            Array.from(data as Float32Array, (w, i) => w + step * along[i]!),
            shape,
          ),
        );
      }
      return run(withOutputs({ ...graph, initializers }, [loss]), given);
    };
    const slope = decoder.trainable.reduce((sum, name) => {
      const gradient = found[`grad:${name}`]!.data as Float32Array;
      const along = direction(name, gradient.length);
      return sum + gradient.reduce((part, value, i) => part + value * along[i]!, 0);
    }, 0);
    const step = 2e-4;
    const [ahead, behind] = [await moved(step), await moved(-step)].map((values) => Number(values[loss]!.data[0]));
    expect(slope).toBeCloseTo((ahead! - behind!) / (2 * step), 2);
  });
});
