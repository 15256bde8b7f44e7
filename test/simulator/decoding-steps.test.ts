/** Bits per token of decoding, step by step: one query, the keys and values of what the step sees. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { recordedSource } from '../../src/experiment/simulate.js';
import { readPreset } from '../../src/hardware/preset-files.js';
import { presetConfig } from '../../src/hardware/presets.js';
import { checkMachine } from '../../src/simulator/conformance.js';
import { eyeriss } from '../../src/simulator/eyeriss.js';
import { eyerissSchema } from '../../src/simulator/eyeriss-config.js';
import { spatten } from '../../src/simulator/spatten.js';
import { spattenSchema } from '../../src/simulator/spatten-config.js';
import { measureShares, stretchedTrace } from '../../src/simulator/stretched-trace.js';
import type { Machine, SimulationResult } from '../../src/simulator/types.js';
import { vssa } from '../../src/simulator/vssa.js';
import { STALL_RELIEFS, vssaSchema } from '../../src/simulator/vssa-config.js';
import { DECODING_NOTE, DECODING_STEPS, isDecoding } from '../../src/trace/steps.js';
import type { TokenBitsRecord } from '../../src/trace/types.js';
import { namedTransformer } from '../../src/workload/named-transformers.js';
import { anyBits, architecture, tokenBitsTrace } from './vssa-trace.js';

const preset = presetConfig(readPreset('vssa'), vssaSchema);
const steps = (
  model: ReturnType<typeof architecture>,
  widths: readonly (readonly number[])[],
  notes: Readonly<Record<string, string>> = { [DECODING_NOTE]: DECODING_STEPS },
) => {
  const records = widths.map((bits): Omit<TokenBitsRecord, 'kind'> => {
    return { sequence: 0, layer: 0, head: -1, bits: Uint8Array.from(bits) };
  });
  return tokenBitsTrace(model, records, notes);
};
const play = async (widths: readonly (readonly number[])[], config = {}, notes?: Readonly<Record<string, string>>) =>
  (await vssa.simulate({ ...preset, ...config }, steps(architecture(1), widths, notes), {
    name: 'test',
  })) as SimulationResult;

const anySteps = fc.array(
  anyBits(20).map((bits) => [...bits, 8]),
  { minLength: 1, maxLength: 6 },
);

describe('on the variable-speed array', () => {
  test.each(STALL_RELIEFS)('keeps what machines promise, with %s', async (stallRelief) => {
    const workload = () => steps(architecture(2, 32), [[8], [4, 8], [4, 0, 8], [4, 8, 0, 8], [0, 4, 4, 8, 8]]);
    expect(await checkMachine(vssa as Machine, { config: { ...preset, stallRelief }, workload })).toEqual([]);
  });

  test('a step asks once, for every token that is left for it', async () => {
    await fc.assert(
      fc.asyncProperty(anySteps, async (widths) => {
        const { counts } = await play(widths);
        const left = widths.map((bits) => bits.filter(Boolean).length);
        const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
        expect(counts.products).toBe(sum(left) * 128);
        expect(counts.tokensRemoved).toBe(sum(widths.map((bits) => bits.length)) - sum(left));
        // Query and probabilities have the step's own two parts.
        expect(counts.partProducts).toBe(sum(widths.map((bits) => 2 * (sum(bits) / 4) * 128)));
        // Read: one query; keys and values. Written: one output.
        const bits = widths.map((all, at) => 2 * (8 * 64 + 16) + 2 * (sum(all) * 64 + left[at]! * 16));
        expect(counts.dramBits).toBe(sum(bits));
      }),
      { numRuns: 50 },
    );
  });

  test('a first step is a text of one token', async () => {
    const { remarks: _, ...step } = await play([[8]]);
    const { remarks: __, ...text } = await play([[8]], {}, {});
    expect(step).toEqual(text);
  });

  test('takes the array’s row of PEs, one step of operands after the other', async () => {
    // Ten keys of 8 bits in ten columns: 64 elements, then the last PE nine steps later; ten values in 2 × 32 columns.
    const { cycles } = await play([new Array(10).fill(8)], { dram: 'none' });
    expect(cycles).toBe(4 * (64 + 9) + 2 * 4 * (10 + 31));
  });

  test('a step whose own token is removed contradicts itself', async () => {
    for (const bits of [[8, 0], []])
      await expect(play([bits])).rejects.toMatchObject({ code: 'TANDEM_TRACE_INCONSISTENT' });
  });
});

test('on Eyeriss, every step takes all that it sees, whatever its width', async () => {
  const config = presetConfig(readPreset('eyeriss-40nm'), eyerissSchema);
  const workload = steps(architecture(3), [[8], [0, 8], [0, 0, 8]]);
  const result = (await eyeriss.simulate(config, workload, { name: 'test' })) as SimulationResult;
  expect(result.counts.macs).toBe(3 * (1 + 2 + 3) * 128);
});

describe('on SpAtten', () => {
  const config = presetConfig(readPreset('spatten-1-8'), spattenSchema);
  const widths = [[12], [12, 12], [12, 0, 12], [0, 12, 0, 12]];
  const simulate = async (records: typeof widths, changes: object = {}) =>
    (await spatten.simulate({ ...config, ...changes }, steps(architecture(2), records), {
      name: 'test',
    })) as SimulationResult;

  test('keeps what machines promise', async () => {
    const workload = () => steps(architecture(2), widths);
    expect(await checkMachine(spatten as Machine, { config, workload })).toEqual([]);
  });

  test('a step is one row for each head, over the keys that are left', async () => {
    const { counts } = await simulate(widths, { fetch: { ...config.fetch, flatShare: 0 }, valueShare: 1 });
    const left = 1 + 2 + 2 + 2;
    expect(counts).toMatchObject({ rows: 2 * 4, scores: 2 * left, values: 2 * left, keyMacs: 2 * left * 64 });
    expect(counts.keyHighBits).toBe(2 * left * 64 * config.fetch.keyBits);
    expect(counts.valueBits).toBe(2 * left * 64 * config.fetch.valueBits);
  });

  test('as many steps have a flat row as rows of a text do', async () => {
    const many = Array.from({ length: 40 }, (_, step) => new Array<number>(step + 1).fill(12));
    const { counts } = await simulate(many, { fetch: { ...config.fetch, flatShare: 0.25 } });
    expect(counts.flatRows).toBe(0.25 * 2 * 40);
  });

  test('takes longer the more a step sees', async () => {
    const [short, long] = [await simulate([new Array(10).fill(12)]), await simulate([new Array(200).fill(12)])];
    expect(long.cycles).toBeGreaterThan(short.cycles);
    expect(long.counts.closedFormCycles).toBeGreaterThan(short.counts.closedFormCycles!);
  });
});

test('on the sizes of another decoder, each step takes the measured shares of what it sees, and keeps its own token', async () => {
  const trace = steps(architecture(1), [
    [8, 4, 0, 8],
    [4, 4, 0, 0, 0, 8],
  ]);
  if (trace.kind !== 'trace') throw new Error('no trace');
  const profile = await measureShares(trace.header, trace.records);
  expect(profile.layers[0]!.atLeast).toEqual([
    { bits: 8, share: 0.3 },
    { bits: 4, share: 0.6 },
  ]);
  const target = namedTransformer('gpt2');
  const { header, records } = stretchedTrace(profile, target, { tokens: 20, sequences: 1, seed: 1 });
  expect(isDecoding(header)).toBe(true);
  const layers = target.layers.length;
  expect(records.map(({ bits, layer }) => [bits.length, layer])).toEqual(
    Array.from({ length: 20 * layers }, (_, at) => [Math.floor(at / layers) + 1, at % layers]),
  );
  for (const { bits } of records) {
    expect(bits.at(-1)).toBeGreaterThan(0);
    const kept = bits.filter((width) => width > 0).length;
    expect(kept - Math.max(1, Math.round(0.6 * bits.length))).toBeOneOf([0, 1]);
  }
  for (const { machine, config } of [
    { machine: vssa, config: preset },
    { machine: eyeriss, config: presetConfig(readPreset('eyeriss-40nm'), eyerissSchema) },
  ] as { machine: Machine; config: unknown }[]) {
    const played = await machine.simulate(config, (await recordedSource(header, records).open()) as never, {
      name: 'gpt2',
    });
    expect(played.feasible).toBe(true);
  }
});
