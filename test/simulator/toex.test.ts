import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPreset } from '../../src/hardware/preset-files.js';
import { presetConfig } from '../../src/hardware/presets.js';
import { checkMachine } from '../../src/simulator/conformance.js';
import { toex } from '../../src/simulator/toex.js';
import { BACK_FILLS, type ToexConfig, toexSchema } from '../../src/simulator/toex-config.js';
import { referenceSteps } from '../../src/simulator/toex-reference.js';
import type { Machine, SimulationResult, Workload } from '../../src/simulator/types.js';
import { namedTransformer } from '../../src/workload/named-transformers.js';
import { anyExits, decoder, everyLayer, exitsRecord, exitsTrace } from './toex-trace.js';

const presetNamed = (name: string) => presetConfig(readPreset(name), toexSchema);
const preset = presetNamed('toex-hbm2');

async function play(
  workload: Workload,
  config: Partial<ToexConfig> = {},
  fidelity: 'cycle' | 'fast' = 'cycle',
): Promise<SimulationResult> {
  const result = await toex.simulate({ ...preset, ...config }, workload, { name: 'test', fidelity });
  if (!result.feasible) throw new Error(JSON.stringify(result));
  return result;
}

const records = [
  exitsRecord(4, [4, 2, 1, 3, 4]),
  exitsRecord(4, [3, 3, 3, 1, 4, 2], { sequence: 1, prompt: 3 }),
  exitsRecord(4, [1], { sequence: 2 }),
];
const workload = () => exitsTrace(decoder(4), records);

describe('the machine keeps what machines promise', () => {
  test.each([
    ...BACK_FILLS.map((backFill) => ({ backFill })),
    { tokens: 'dense' },
    { outputEmbedding: 'full' },
    { finalLogits: 'candidates', exit: { ...preset.exit, lightEmbedding: 'dram' } },
    { keyValues: { place: 'chip', bytes: 10000 }, pending: { place: 'chip', bytes: 10000 } },
    { bandwidthBytesPerCycle: 1.5, buffers: { ...preset.buffers, streamBytes: 500, activationBytes: 1000 } },
    { buffers: { ...preset.buffers, activationBytes: 10 } },
  ] as const)('with %o', async (config) => {
    expect(await checkMachine(toex as Machine, { config: { ...preset, ...config }, workload })).toEqual([]);
  });
});

test('exits 4, 2, 1, 3, 4 of four layers load 14 decoders instead of 20 and run 20 token-layers', async () => {
  const trace = () => exitsTrace(decoder(4), [records[0]!]);
  const [some, all] = [await play(trace()), await play(trace(), { tokens: 'dense' })];
  expect(some.counts).toMatchObject({ decodersLoaded: 14, tokenLayers: 20, backFilledTokenLayers: 6 });
  expect(all.counts).toMatchObject({ decodersLoaded: 20, tokenLayers: 20, checks: 0 });
  // Up to each exit, of the layers 1, 2, 3.
  expect(some.counts.checks).toBe(3 + 2 + 1 + 3 + 3);
  expect(some.parts.map(({ layer, counts }) => [layer, counts.decodersLoaded])).toEqual([
    ['input embedding', 0],
    ['layer 1', 5],
    ['layer 2', 4],
    ['layer 3', 3],
    ['layer 4', 2],
    ['exit checks', 0],
    ['output embedding', 0],
  ]);
  expect(some.histograms.exits).toEqual([
    { bin: 1, count: 1 },
    { bin: 2, count: 1 },
    { bin: 3, count: 1 },
    { bin: 4, count: 2 },
  ]);
});

describe('GPT-2 small', () => {
  const gpt2 = namedTransformer('gpt2');
  /** Words of weights and embeddings that a token needs, keys and values aside. */
  const words = ({ counts }: SimulationResult, tokens: number) =>
    (counts.weightBytes! + counts.outputEmbeddingBytes! + counts.candidateBytes! + counts.lightEmbeddingBytes!) /
    2 /
    tokens;

  test('reads 123.6 M words a token without exits', async () => {
    const result = await play(exitsTrace(gpt2, [exitsRecord(12, [12, 12])]), presetNamed('toex-dense'));
    const layer = 12 * 768 ** 2 + 9 * 768;
    expect(words(result, 2)).toBe(12 * layer + 50257 * 768);
    expect(words(result, 2) / 1e6).toBeCloseTo(123.6, 0);
    // The time of these bytes, and little more: keys and values are few, norms and decisions short.
    const least = (2 * 2 * words(result, 2)) / 256;
    expect(result.cycles / least).toBeGreaterThan(1);
    expect(result.cycles / least).toBeLessThan(1.03);
  });

  // 13 tokens of 60 decoders: 12 / 2.6 each, 32.7 M words.
  const exits = [5, 4, 5, 4, 5, 5, 4, 5, 5, 4, 5, 4, 5];
  const trace = (checks: number[]) => exitsTrace(gpt2, [exitsRecord(12, exits)], { checks, candidates: 300 });
  const decoders = (60 / 13) * (12 * 768 ** 2 + 9 * 768);

  test('reads 3.7 times fewer at 12 / 2.6 decoders a token and one or two checks on the chip', async () => {
    const result = await play(trace([4, 5]));
    const checks = result.counts.checks! / 13;
    expect(checks).toBe((5 + 2 * 8) / 13);
    const off = words(result, 13) - result.counts.lightEmbeddingBytes! / 2 / 13;
    expect(off).toBeCloseTo(decoders + checks * 300 * 768, 3);
    expect(123.6e6 / off).toBeGreaterThan(3.7);
    expect(123.6e6 / off).toBeLessThan(3.75);
  });

  test('reads 2.7 times fewer with signs of the output embedding streamed after every layer', async () => {
    const result = await play(trace(everyLayer(12)), { exit: { ...preset.exit, lightEmbedding: 'dram' } });
    const check = 300 * 768 + (50257 * 768) / 16 + 50257;
    expect(words(result, 13)).toBeCloseTo(decoders + (60 / 13) * check, 3);
    expect(123.6e6 / words(result, 13)).toBeCloseTo(2.74, 1);
  });

  test('spends more on full exit decisions than on the decoders, and little on light ones', async () => {
    const shares = await Promise.all(
      (['light', 'full'] as const).map(async (outputEmbedding) => {
        const { parts, cycles } = await play(trace(everyLayer(12)), { outputEmbedding });
        return parts.find(({ layer }) => layer === 'exit checks')!.cycles / cycles;
      }),
    );
    expect(shares[0]).toBeLessThan(0.2);
    expect(shares[1]).toBeGreaterThan(0.5);
  });

  test('at fast fidelity takes the same bytes, and within 3 % the same time', async () => {
    const longer = exitsRecord(
      12,
      Array.from({ length: 60 }, (_, token) => (token < 20 ? 12 : 1 + ((token * 7) % 12))),
      {
        prompt: 20,
      },
    );
    for (const name of ['toex-hbm2', 'toex-ddr4', 'toex-dense']) {
      const [cycle, fast] = await Promise.all(
        (['cycle', 'fast'] as const).map((fidelity) =>
          play(exitsTrace(gpt2, [longer], { candidates: 300 }), presetNamed(name), fidelity),
        ),
      );
      expect(fast!.counts).toEqual(cycle!.counts);
      expect(fast!.cyclesError).toBeCloseTo(fast!.cycles / cycle!.cycles - 1, 9);
      expect(Math.abs(fast!.cyclesError!)).toBeLessThan(0.03);
    }
  });
});

test.each(BACK_FILLS)('back-fill %s moves the bytes that the tale of every token says', async (backFill) => {
  const anyTrace = fc.integer({ min: 1, max: 5 }).chain((layers) => anyExits(layers, 12));
  await fc.assert(
    fc.asyncProperty(anyTrace, async (record) => {
      const model = decoder(record.layers);
      const { counts } = await play(exitsTrace(model, [record]), { backFill });
      const steps = referenceSteps(record, backFill);
      const total = (of: (step: (typeof steps)[number]) => number) => steps.reduce((sum, step) => sum + of(step), 0);
      const [word, width] = [2, 32];
      const loads = total(({ loads }) => loads);
      expect(counts).toMatchObject({
        decodersLoaded: loads,
        tokenLayers: total(({ tokenLayers }) => tokenLayers),
        backFilledTokenLayers: total(({ backFilled }) => backFilled),
        keyValueProjections: total(({ keyValueOnly }) => keyValueOnly),
        weightBytes: loads * (12 * width ** 2 + 9 * width) * word,
        keyValueBytesRead: total(({ keysRead }) => keysRead) * 2 * width * word,
        keyValueBytesWritten: total((step) => step.tokenLayers + step.keyValueOnly) * 2 * width * word,
        stateBytesRead: total(({ statesRead }) => statesRead) * width * word,
        stateBytesWritten: total(({ statesWritten }) => statesWritten) * width * word,
      });
    }),
    { numRuns: 40 },
  );
});

describe('back-fill', () => {
  const trace = () => exitsTrace(decoder(6), [exitsRecord(6, [6, 1, 2, 1, 3, 1, 6, 2, 6])]);

  test('rivals load the same weights and work less, at the price of exactness', async () => {
    const [lazy, propagate, none] = await Promise.all(BACK_FILLS.map((backFill) => play(trace(), { backFill })));
    const loads = [lazy, propagate, none].map((result) => result!.counts.decodersLoaded);
    expect(new Set(loads).size).toBe(1);
    const [most, some, least] = [lazy, propagate, none].map((result) => result!.counts.macs!);
    expect(most).toBeGreaterThan(some!);
    expect(some).toBeGreaterThan(least!);
    expect(lazy!.remarks.join()).not.toMatch(/not what the whole model computes/);
    expect(none!.remarks.join()).toMatch(/not what the whole model computes/);
  });

  test('keeps up to `rows` tokens in the time of one', async () => {
    const narrow = { engine: { ...preset.engine, rows: 1 } };
    const [wide, one] = [await play(trace()), await play(trace(), narrow)];
    expect(one.counts.macs).toBe(wide.counts.macs);
    expect(one.counts.engineCycles).toBeGreaterThan(wide.counts.engineCycles!);
  });
});

test('tokens whose activations do not fit together load weights again', async () => {
  const prompt = () => exitsTrace(decoder(2), [exitsRecord(2, [2, 2, 2, 2, 2], { prompt: 5 })]);
  // State, norm and four times the width of a feed-forward part: 6 · 32 words of 2 bytes a token.
  const result = await play(prompt(), { buffers: { ...preset.buffers, activationBytes: 2 * 6 * 32 * 2 } });
  expect(result.counts).toMatchObject({ decodersLoaded: 2, weightPasses: 6 });
  expect(result.counts.repeatedWeightBytes).toBe((result.counts.weightBytes! * 2) / 3);
  // Between the two layers, all five states leave the chip and come back.
  expect(result.counts).toMatchObject({ stateBytesWritten: 5 * 64, stateBytesRead: 5 * 64 });
  expect(result.remarks.join()).toMatch(/66\.7 % .* loaded again/);
});

test('the engine works or waits at all times, and says for what', async () => {
  const { stalls, counts, cycles, timeline } = await play(workload());
  expect(counts.engineCycles! + Object.values(stalls!).reduce((sum, waited) => sum + waited, 0)).toBe(cycles);
  expect(timeline.map(({ lane }) => lane)).toEqual(['engine', 'special functions', 'exit unit', 'memory']);
});

test('keys and values on the chip leave memory to the weights', async () => {
  const long = () => exitsTrace(decoder(2), [exitsRecord(2, new Array<number>(40).fill(2))]);
  const dram = await play(long(), { bandwidthBytesPerCycle: 8 });
  const chip = await play(long(), { bandwidthBytesPerCycle: 8, keyValues: { place: 'chip', bytes: 100000 } });
  expect(chip.counts.keyValueBytesRead).toBe(dram.counts.keyValueBytesRead);
  expect(chip.cycles).toBeLessThan(dram.cycles);
  const energy = ({ energy }: SimulationResult) =>
    energy.find(({ component }) => component === 'DRAM')!.dynamicPicojoules;
  const moved = dram.counts.keyValueBytesRead! + dram.counts.keyValueBytesWritten!;
  expect(energy(dram) - energy(chip)).toBeCloseTo(8 * moved * 3.92, 0);
});

describe('a trace that does not fit', () => {
  test.each([
    ['depth table', { depthTable: { layers: 3, positions: 9 } }, 4, 'depthTable.layers ≥ 4'],
    ['depth table', { depthTable: { layers: 4, positions: 5 } }, 6, 'depthTable.positions ≥ 6'],
    [
      'activation buffer',
      { buffers: { ...preset.buffers, activationBytes: 383 } },
      384,
      'buffers.activationBytes ≥ 384',
    ],
    ['score buffer', { buffers: { ...preset.buffers, scoreBytes: 99 } }, 100, 'buffers.scoreBytes ≥ 100'],
    ['coarse scores', { exit: { ...preset.exit, scoreBytes: 599 } }, 600, 'exit.scoreBytes ≥ 600'],
    ['light output embedding', { exit: { ...preset.exit, lightBytes: 1799 } }, 1800, 'exit.lightEmbedding: dram'],
    ['key and value memory', { keyValues: { place: 'chip', bytes: 2559 } }, 2560, 'keyValues.place: dram'],
    // Tokens 2, 3 and 4 wait for the fourth layer at the same time.
    ['pending states', { pending: { place: 'chip', bytes: 191 } }, 192, 'pending.place: dram'],
  ] as const)('the %s with %o', async (resource, config, demand, lever) => {
    const result = await toex.simulate({ ...preset, ...config } as ToexConfig, workload(), { name: 'test' });
    expect(result).toMatchObject({ feasible: false, resource, demand, levers: expect.arrayContaining([lever]) });
  });

  test('does not mind a light output embedding that is not used', async () => {
    const exit = { ...preset.exit, lightBytes: 1 };
    expect((await play(workload(), { exit, tokens: 'dense' })).feasible).toBe(true);
    expect((await play(workload(), { exit, outputEmbedding: 'full' })).feasible).toBe(true);
  });
});

describe('what cannot be played', () => {
  const refused = (trace: Workload, error: object) =>
    expect(toex.simulate(preset, trace, { name: 'test' })).rejects.toMatchObject(error);
  const inconsistent = { code: 'TANDEM_TRACE_INCONSISTENT' };

  test('a trace without exits, sizes or checks, or whose parts contradict each other', async () => {
    await refused(exitsTrace(decoder(4), []), inconsistent);
    await refused(exitsTrace(decoder(4), records, { notes: { architecture: '{' } }), inconsistent);
    await refused(
      exitsTrace(decoder(4), records, { notes: { architecture: JSON.stringify(decoder(3)) } }),
      inconsistent,
    );
    await refused(exitsTrace(decoder(4), records, { notes: { toex: '{}' } }), inconsistent);
    await refused(exitsTrace(decoder(4), records, { checks: [1, 2] }), { ...inconsistent, place: /sequence 1/ });
  });

  test('a decoder with heads of other kinds, or states of different widths', async () => {
    const [layer, ...others] = decoder(4).layers;
    const model = (change: object) => ({ ...decoder(4), layers: [{ ...layer!, ...change }, ...others] });
    const invalid = { code: 'TANDEM_CONFIG_INVALID', place: 'layer 1 of small' };
    await refused(exitsTrace(model({ heads: [{ kind: 'dft', dim: 32 }] }), records), invalid);
    await refused(exitsTrace(model({ input: 16 }), records), invalid);
  });
});

test('has sizes to compare at', () => {
  const { multiplierBits, resized, areaSquareMicrometres } = toex.sizing!;
  expect(multiplierBits(preset)).toBe(128 * 16 * 256);
  const larger = resized(preset, 4);
  expect(larger.engine).toMatchObject({ lanes: 256, rows: 32 });
  expect(areaSquareMicrometres(larger)).toBeGreaterThan(areaSquareMicrometres(preset));
});
