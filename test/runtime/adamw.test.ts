import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { floatTensor } from '../../src/graph/types.js';
import { adamwKernel } from '../../src/runtime/kernels/adamw.js';
import { adamwReference, sumOfSquaresReference } from '../../src/runtime/kernels/adamw-reference.js';
import { AdamW } from '../../src/runtime/optimizer.js';
import { scheduleFactor } from '../../src/runtime/schedule.js';
import { optimizer } from './fixtures.js';

/** Every finite float32, subnormal and enormous ones included. */
const anyFloat = fc.float({ noNaN: true, noDefaultInfinity: true });
const arrayOf = (element: fc.Arbitrary<number>, length: number) =>
  fc.array(element, { minLength: length, maxLength: length }).map((values) => Float32Array.from(values));

const update = fc.record({
  scale: fc.float({ min: 0, max: 1, noNaN: true }),
  beta1: fc.constantFrom(0, 0.5, 0.9),
  beta2: fc.constantFrom(0, 0.98, 0.999),
  rate: fc.double({ min: 0, max: 1, noNaN: true }),
  root: fc.double({ min: 1, max: 40, noNaN: true }),
  epsilon: fc.constantFrom(1e-8, 1e-6),
  decay: fc.constantFrom(1, 0.999),
});

/** The kernel over copies of the arrays. */
function withKernel(arrays: readonly Float32Array[]) {
  const count = arrays[0]!.length;
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65_536 });
  const views = arrays.map((values, i) => {
    const view = new Float32Array(memory.buffer, i * count * 4, count);
    view.set(values);
    return view;
  });
  return { kernel: adamwKernel(memory), views, count, at: (i: number) => i * count * 4 };
}

const bits = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);

describe('the SIMD kernel', () => {
  it('updates exactly as the plain one', () => {
    const length = 16;
    const state = fc.tuple(arrayOf(anyFloat, length), arrayOf(anyFloat, length), arrayOf(anyFloat, length));
    const second = arrayOf(fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }), length);
    fc.assert(
      fc.property(state, second, update, ([p, g, m], v, numbers) => {
        const { kernel, views, count, at } = withKernel([p, g, m, v]);
        kernel.adamw(at(0), at(1), at(2), at(3), count, numbers);
        adamwReference(p, g, m, v, numbers);
        for (const [i, plain] of [p, g, m, v].entries()) {
          for (let k = 0; k < count; k++) {
            if (!Number.isNaN(plain[k]!)) expect(bits(views[i]!)[k]).toBe(bits(plain)[k]);
            else expect(views[i]![k]).toBeNaN();
          }
        }
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  it('sums squares without losing the small or overflowing on the large', () => {
    fc.assert(
      fc.property(arrayOf(anyFloat, 32), (g) => {
        const { kernel, count, at } = withKernel([g]);
        const expected = sumOfSquaresReference(g);
        expect(Math.abs(kernel.sumOfSquares(at(0), count) - expected)).toBeLessThanOrEqual(32 * 2 ** -52 * expected);
      }),
      { numRuns: 200, seed: 7 },
    );
  });

  it('adds gradients up', () => {
    const { kernel, views, count, at } = withKernel([Float32Array.of(1, 2, 3, 4), Float32Array.of(10, 20, 30, 40)]);
    kernel.accumulate(at(0), at(1), count);
    expect([...views[0]!]).toEqual([11, 22, 33, 44]);
    expect([...views[1]!]).toEqual([10, 20, 30, 40]);
  });

  it('leaves untouched what has neither gradient, moments nor decay', () => {
    const p = Float32Array.of(1, -2, 3e-40, -0);
    const zero = new Float32Array(4);
    const { kernel, views, count, at } = withKernel([p, zero, zero, zero]);
    kernel.adamw(at(0), at(1), at(2), at(3), count, {
      scale: 1,
      beta1: 0.9,
      beta2: 0.999,
      rate: 0.1,
      root: 1,
      epsilon: 1e-8,
      decay: 1,
    });
    expect(bits(views[0]!)).toEqual(bits(p));
  });
});

describe('AdamW', () => {
  it('moves by the learning rate against the sign of a first gradient', () => {
    const adam = new AdamW(new Map([['w', floatTensor([1, 1, 1])]]), optimizer, 1);
    adam.memory.view('gradients', adam.memory.places[0]!).set([3, -0.01, 0]);
    adam.update(0, 'gradients', 1);
    const moved = adam.memory.view('parameters', adam.memory.places[0]!);
    for (const [i, expected] of [0.95, 1.05, 1].entries()) expect(moved[i]).toBeCloseTo(expected, 5);
  });

  it('gives each parameter to the first group that matches, with its own rate and decay', () => {
    const groups = [
      { match: /bias$/, learningRate: 0.5, weightDecay: 0 },
      { match: /./g, learningRate: 0.1, weightDecay: 0.2 },
    ];
    const values = new Map(['a.weight', 'a.bias', 'b.weight', 'b.bias'].map((name) => [name, floatTensor([1])]));
    const adam = new AdamW(values, { ...optimizer, groups }, 1);
    adam.update(0, 'gradients', 1);
    const after = adam.memory.places.map((place) => [place.name, adam.memory.view('parameters', place)[0]]);
    const decayed = Math.fround(1 - 0.1 * 0.2);
    expect(Object.fromEntries(after)).toEqual({ 'a.weight': decayed, 'a.bias': 1, 'b.weight': decayed, 'b.bias': 1 });
    expect(adam.learningRates(0)).toEqual([0.5, 0.1]);
  });

  it('refuses a parameter without a group, and options out of range', () => {
    const values = new Map([['w', floatTensor([1])]]);
    const wrong = [
      { groups: [{ match: /bias/, learningRate: 1, weightDecay: 0 }] },
      { beta1: 1 },
      { beta2: -0.1 },
      { epsilon: 0 },
      { clipNorm: -1 },
      { warmup: 2 },
      { accumulate: 0 },
      { groups: [{ match: /./, learningRate: Number.NaN, weightDecay: 0 }] },
    ];
    for (const change of wrong) {
      expect(() => new AdamW(values, { ...optimizer, ...change }, 1)).toThrow(
        expect.objectContaining({ code: 'TANDEM_CONFIG_INVALID' }),
      );
    }
  });
});

describe('the learning rate', () => {
  const factors = (schedule: 'linear' | 'cosine' | 'constant', warmup: number, steps: number) =>
    Array.from({ length: steps }, (_, step) => scheduleFactor({ schedule, warmup }, step, steps));

  it('rises linearly, then falls linearly towards 0', () => {
    expect(factors('linear', 0.4, 5)).toEqual([1 / 2, 1, 1, 2 / 3, 1 / 3].map((value) => expect.closeTo(value, 12)));
  });

  it('falls along half a cosine', () => {
    expect(factors('cosine', 0, 4)).toEqual(
      [1, 0.5 + Math.SQRT1_2 / 2, 0.5, 0.5 - Math.SQRT1_2 / 2].map((value) => expect.closeTo(value, 12)),
    );
  });

  it('stays', () => {
    expect(factors('constant', 0.5, 4)).toEqual([0.5, 1, 1, 1]);
  });
});
