import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPreset } from '../../src/hardware/preset-files.js';
import { presetConfig } from '../../src/hardware/presets.js';
import { checkMachine } from '../../src/simulator/conformance.js';
import type { Machine, SimulationResult } from '../../src/simulator/types.js';
import { vssa } from '../../src/simulator/vssa.js';
import { STALL_RELIEFS, type VssaConfig, vssaSchema } from '../../src/simulator/vssa-config.js';
import { PSEUDO_TOKEN_NOTE } from '../../src/trace/matrices.js';
import type { TokenBitsRecord } from '../../src/trace/types.js';
import { anyBits, architecture, shuffledBits, tokenBitsTrace } from './vssa-trace.js';

const preset = presetConfig(readPreset('vssa'), vssaSchema);
const record = (bits: Uint8Array, at: Partial<TokenBitsRecord> = {}) => ({
  sequence: 0,
  layer: 0,
  head: -1,
  bits,
  ...at,
});

async function play(
  bits: Uint8Array,
  config: Partial<VssaConfig> = {},
  fidelity: 'cycle' | 'fast' = 'cycle',
  heads = 1,
): Promise<SimulationResult> {
  const workload = tokenBitsTrace(architecture(heads), [record(bits)]);
  const result = await vssa.simulate({ ...preset, ...config }, workload, { name: 'test', fidelity });
  if (!result.feasible) throw new Error(JSON.stringify(result));
  return result;
}

const records = [
  record(shuffledBits(9, 20, 5, 1)),
  record(shuffledBits(3, 0, 1, 2), { layer: 1 }),
  record(shuffledBits(0, 40, 0, 3), { sequence: 1, head: 1 }),
];
const workload = () => tokenBitsTrace(architecture(2, 32, 2), records);

describe('the machine keeps what machines promise', () => {
  test.each([
    ...STALL_RELIEFS.map((stallRelief) => ({ stallRelief })),
    { probabilities: { width: 'fixed', bits: 8 } },
    { array: { rows: 5, columns: 3, peBits: 2, linkDepth: 0 }, dram: 'none' },
    { buffers: { ...preset.buffers, keyBytes: 10 } },
  ] as const)('with %o', async (config) => {
    expect(await checkMachine(vssa as Machine, { config: { ...preset, ...config }, workload })).toEqual([]);
  });
});

describe('a head', () => {
  test('of 8-bit tokens takes four cycles per product everywhere, and waits for nothing but fill', async () => {
    const bits = new Uint8Array(64).fill(8);
    const result = await play(bits);
    // 4 × 2 tiles of scores over 64 elements, 4 × 2 of outputs over 64 keys; 46 PEs from the first to the last.
    expect(result.cycles).toBe(16 * 4 * (64 + 15 + 31));
    expect(result.counts.partProducts).toBe(4 * result.counts.products!);
    expect(result.stalls).toMatchObject({
      'waiting for a slower neighbour’s operand': 0,
      'waiting for room in a link': 0,
      'PEs without row or column': 0,
    });
  });

  test('of 4-bit tokens is four times as fast', async () => {
    const [wide, narrow] = [await play(new Uint8Array(64).fill(8)), await play(new Uint8Array(64).fill(4))];
    expect(wide.cycles).toBe(4 * narrow.cycles);
  });

  test('drops removed tokens altogether', async () => {
    const some = await play(Uint8Array.from([8, 0, 4, 0, 0, 8]), { stallRelief: 'none' });
    const only = await play(Uint8Array.from([8, 4, 8]), { stallRelief: 'none' });
    expect(some.cycles).toBe(only.cycles);
    expect(some.energyPicojoules).toBe(only.energyPicojoules);
    expect(some.counts).toMatchObject({ tokens: 6, tokensRemoved: 3, products: 9 * 128, productsSkipped: 27 * 128 });
  });

  test('of no token that was kept takes no time; of one, one product after the other', async () => {
    expect((await play(new Uint8Array(4))).cycles).toBe(0);
    // 64 steps for one score; then one step for 64 elements, in two tiles of 32 columns.
    expect((await play(Uint8Array.from([8]), { dram: 'none' })).cycles).toBe(4 * 64 + 2 * 4 * 32);
  });

  test('moves Q, K, V and outputs at its tokens’ widths, with a step for each row', async () => {
    const { counts } = await play(Uint8Array.from([8, 4, 0, 4]));
    expect(counts.dramBits).toBe(4 * (16 * 64 + 3 * 16));
  });

  test('gives removed tokens one value together where the trace says so: a step, a probability and a row more', async () => {
    const note = { [PSEUDO_TOKEN_NOTE]: '4' };
    const trace = (bits: Uint8Array, notes = {}) => tokenBitsTrace(architecture(1), [record(bits)], notes);
    const counts = async (bits: Uint8Array, notes = {}) =>
      ((await vssa.simulate(preset, trace(bits, notes), { name: 'test' })) as SimulationResult).counts;
    const bits = Uint8Array.from([8, 4, 0, 0]);
    const [without, compensated] = [await counts(bits), await counts(bits, note)];
    const more = (name: string) => compensated[name]! - without[name]!;
    expect(more('products')).toBe(2 * 64);
    expect(more('partProducts')).toBe((2 + 1) * 64);
    expect(more('dramBits')).toBe(4 * 64 + 16);
    expect(more('productsSkipped')).toBe(-more('products'));
    for (const unchanged of [Uint8Array.from([8, 4]), new Uint8Array(3)])
      expect(await counts(unchanged, note)).toEqual(await counts(unchanged));
  });

  test('waits for memory and softmax where these are slower', async () => {
    const bits = shuffledBits(10, 30, 0, 1);
    const [plain, memory, softmax] = [
      await play(bits),
      await play(bits, { bandwidthBitsPerCycle: 0.5 }),
      await play(bits, { softmax: { ...preset.softmax, lanes: 1 }, stallRelief: 'halved' }),
    ];
    expect(plain.stalls).toMatchObject({ 'waiting for memory': 0, 'waiting for the softmax': 0 });
    expect(memory.cycles).toBe(Math.ceil(memory.counts.dramBits! / 0.5));
    expect(softmax.cycles).toBe(40 * 40);
  });

  test('costs no less energy with more or wider tokens', async () => {
    const energies = [[4], [8], [8, 4], [8, 8], [8, 8, 8]].map(async (widths) => {
      return (await play(Uint8Array.from(widths))).energyPicojoules;
    });
    const sorted = (await Promise.all(energies)).toSorted((a, b) => a - b);
    expect(await Promise.all(energies)).toEqual(sorted);
  });

  test('shows the wavefront of a tile where widths meet', async () => {
    const { timeline } = await play(shuffledBits(20, 20, 0, 5));
    expect(timeline).toHaveLength(16);
    const lengths = timeline.flatMap(({ busy }) => busy.map(({ start, end }) => end - start));
    expect(new Set(lengths).size).toBeGreaterThan(1);
  });
});

test('all heads of a layer, or one, play the record; layers and heads are reported apart', async () => {
  const result = (await vssa.simulate(preset, workload(), { name: 'test' })) as SimulationResult;
  expect(result.parts.map(({ layer, head, counts }) => [layer, head, counts.heads])).toEqual([
    ['0', 0, 1],
    ['0', 1, 2],
    ['1', 0, 1],
    ['1', 1, 1],
  ]);
  expect(result.histograms.tokenBits).toEqual([
    { bin: 0, count: 12 },
    { bin: 4, count: 80 },
    { bin: 8, count: 24 },
  ]);
});

describe('fast fidelity', () => {
  test.each([
    ['none', 0.03],
    ['grouped', 0.001],
    ['chained', 0.005],
    ['halved', 0.005],
    ['layerwise', 0.005],
  ] as const)('stays close to cycle fidelity with relief %s, and says how close', async (stallRelief, tolerance) => {
    const errors: number[] = [];
    for (let seed = 1; seed <= 24; seed++) {
      const kept = 16 + 8 * seed;
      const wide = Math.round(kept * (0.1 + 0.03 * seed));
      const bits = shuffledBits(wide, kept - wide, seed, seed);
      const heads = stallRelief === 'layerwise' ? 3 : 1;
      const cycle = await play(bits, { stallRelief }, 'cycle', heads);
      const fast = await play(bits, { stallRelief }, 'fast', heads);
      const error = fast.cycles / cycle.cycles - 1;
      expect(fast.cyclesError).toBeCloseTo(error, 9);
      for (const count of ['products', 'partProducts', 'dramBits'])
        expect(fast.counts[count]).toBe(cycle.counts[count]);
      errors.push(Math.abs(error));
    }
    expect(errors.reduce((sum, error) => sum + error, 0) / errors.length).toBeLessThan(tolerance);
  });
});

test('whatever the widths, relief from stalls changes when work is done, not what', async () => {
  await fc.assert(
    fc.asyncProperty(anyBits(60), async (bits) => {
      const [none, ...others] = await Promise.all(
        STALL_RELIEFS.map((stallRelief) => play(bits, { stallRelief }, 'cycle', 2)),
      );
      for (const other of others)
        for (const count of ['heads', 'tokens', 'products', 'partProducts', 'dramBits'])
          expect(other.counts[count]).toBe(none!.counts[count]);
    }),
    { numRuns: 25 },
  );
});

test.each([
  [37, 91, 0],
  [81, 47, 0],
  [17, 80, 20],
  [8, 17, 3],
])('each relief from stalls is faster than the one before: %i tokens of 8 bits, %i of 4', async (...tokens) => {
  const bits = shuffledBits(...tokens, 1);
  const cycles = await Promise.all(
    STALL_RELIEFS.map(async (stallRelief) => (await play(bits, { stallRelief }, 'cycle', 2)).cycles),
  );
  expect(cycles).toEqual(cycles.toSorted((a, b) => b - a));
  // Where a head's tiles go from slow to fast, emptying the array is hidden already: the last relief may gain nothing.
  expect(new Set(cycles.slice(0, -1)).size).toBe(STALL_RELIEFS.length - 1);
});

describe('heads of a layer in one stream', () => {
  const layerwise = { stallRelief: 'layerwise' } as const;

  test('of equal operands fill and empty the array once', async () => {
    // 16 × 32 tokens: a tile of scores, two of outputs; 46 PEs from the first to the last.
    const bits = new Uint8Array(16).fill(4);
    for (const heads of [1, 2, 5]) {
      const { cycles, parts } = await play(bits, layerwise, 'cycle', heads);
      expect(cycles).toBe(heads * (64 + 2 * 16) + 15 + 31);
      expect(parts.map(({ head }) => head)).toEqual([heads === 1 ? 0 : undefined]);
    }
  });

  test('gain most where texts are short', async () => {
    const gain = async (tokens: number) => {
      const bits = new Uint8Array(tokens).fill(4);
      const [halved, streamed] = [
        await play(bits, { stallRelief: 'halved' }, 'cycle', 4),
        await play(bits, layerwise, 'cycle', 4),
      ];
      return halved.cycles / streamed.cycles;
    };
    expect(await gain(6)).toBeGreaterThan(1.3);
    expect(await gain(6)).toBeGreaterThan(await gain(64));
  });

  test('of which one is alone are as in halves', async () => {
    const bits = shuffledBits(12, 30, 3, 2);
    expect((await play(bits, layerwise)).cycles).toBe((await play(bits, { stallRelief: 'halved' })).cycles);
  });

  test('are none where the buffers do not hold two heads', async () => {
    const bits = shuffledBits(12, 30, 3, 2);
    const buffers = { ...preset.buffers, keyBytes: 2600 };
    const [one, three] = [
      await play(bits, { ...layerwise, buffers }),
      await play(bits, { ...layerwise, buffers }, 'cycle', 3),
    ];
    expect(three.cycles).toBe(3 * one.cycles);
    expect(three.parts.map(({ head }) => head)).toEqual([0, 1, 2]);
  });
});

describe('what cannot be played', () => {
  const simulate = (trace: ReturnType<typeof workload>, config: object = {}) =>
    vssa.simulate({ ...preset, ...config }, trace, { name: 'test' });

  test.each([6, 3, 12])('tokens of %i bits', async (width) => {
    const trace = tokenBitsTrace(architecture(1), [record(Uint8Array.from([4, width]))]);
    await expect(simulate(trace)).rejects.toMatchObject({ code: 'TANDEM_CONFIG_INVALID', place: /layer 0/ });
  });

  test('an array whose own widths do not fit', async () => {
    const wrong = { array: { ...preset.array, peBits: 3 } };
    await expect(simulate(workload(), wrong)).rejects.toMatchObject({ place: 'operandBits' });
    const wide = { probabilities: { width: 'fixed', bits: 16 } };
    await expect(simulate(workload(), wide)).rejects.toMatchObject({ place: 'probabilities.bits' });
  });

  test('a trace without sizes, without token bits, or of other heads', async () => {
    const inconsistent = { code: 'TANDEM_TRACE_INCONSISTENT' };
    await expect(simulate(tokenBitsTrace(undefined, records))).rejects.toMatchObject(inconsistent);
    await expect(simulate(tokenBitsTrace(architecture(1), []))).rejects.toMatchObject(inconsistent);
    const bits = Uint8Array.from([8]);
    for (const at of [{ layer: 3 }, { head: 7 }])
      await expect(simulate(tokenBitsTrace(architecture(1), [record(bits, at)]))).rejects.toMatchObject(inconsistent);
  });

  test.each([
    ['keyBytes', 'K buffer', (100 * 8 * 64 + 100 * 16) / 8],
    ['valueBytes', 'V buffer', (100 * 8 * 64 + 100 * 16) / 8],
    ['queryBytes', 'Q buffer', (32 * (8 * 64 + 16)) / 8],
    ['scoreBytes', 'score buffer', (32 * 100 * 16) / 8],
  ])('a head that does not fit %s, which says what would', async (setting, resource, demand) => {
    const trace = (() => tokenBitsTrace(architecture(1), [record(new Uint8Array(100).fill(8))]))();
    const buffers = { ...preset.buffers, [setting]: demand - 1 };
    expect(await simulate(trace, { buffers })).toMatchObject({
      feasible: false,
      resource,
      demand,
      bound: demand - 1,
      levers: [`buffers.${setting} ≥ ${demand}`, 'fewer or narrower tokens'],
    });
  });
});
