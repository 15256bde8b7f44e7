/** Machines at equal size, and the shares of a small model on the sizes of a large one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPreset } from '../../src/hardware/preset-files.js';
import { madeEqual } from '../../src/simulator/equal.js';
import { machines } from '../../src/simulator/registry.js';
import { measureShares, stretchedTrace } from '../../src/simulator/stretched-trace.js';
import { ARCHITECTURE_NOTE } from '../../src/trace/matrices.js';
import type { TokenBitsRecord, TraceHeader } from '../../src/trace/types.js';
import { namedTransformer, TRANSFORMER_NAMES } from '../../src/workload/named-transformers.js';
import { architecture, tokenBitsTrace } from './vssa-trace.js';

const machineOf = (name: string) => {
  const preset = readPreset(name);
  const machine = machines.get(preset.machine);
  return { machine, config: machine.schema.parse(preset.config) };
};

describe.each(['vssa', 'spatten-1-8', 'eyeriss-40nm'])('%s in other sizes', (name) => {
  const { machine, config } = machineOf(name);
  const sizing = machine.sizing!;

  test('is itself at factor 1, and what its schema takes at any', () => {
    expect(sizing.resized(config, 1)).toEqual(config);
    for (const factor of [0.001, 0.3, 2, 50]) {
      expect(machine.schema.safeParse(sizing.resized(config, factor)).error).toBeUndefined();
    }
  });

  test('has about as many times the multipliers, and grows with the factor', () => {
    const factor = fc.double({ min: 0.25, max: 16, noNaN: true });
    fc.assert(
      fc.property(factor, factor, (a, b) => {
        const [small, large] = [Math.min(a, b), Math.max(a, b)].map((f) => sizing.resized(config, f)) as [never, never];
        expect(sizing.multiplierBits(small)).toBeLessThanOrEqual(sizing.multiplierBits(large));
        expect(sizing.areaSquareMicrometres(small)).toBeLessThanOrEqual(sizing.areaSquareMicrometres(large) + 1e-6);
        const grown = sizing.multiplierBits(sizing.resized(config, a)) / sizing.multiplierBits(config);
        expect(grown / a).toBeGreaterThan(0.75);
        expect(grown / a).toBeLessThan(1.35);
      }),
    );
  });

  test.each(['area', 'multipliers'] as const)('can be made equal to the others in %s', (equal) => {
    for (const reference of ['vssa', 'spatten-1-8', 'eyeriss-40nm'].map(machineOf)) {
      const { achieved, config: found } = madeEqual(reference, { machine, config }, equal);
      const own = equal === 'area' ? sizing.areaSquareMicrometres : sizing.multiplierBits;
      const other = reference.machine.sizing!;
      const wanted = (equal === 'area' ? other.areaSquareMicrometres : other.multiplierBits)(reference.config);
      expect(own(found) / wanted).toBeCloseTo(achieved, 12);
      // Buffers that stay bound how small a machine gets.
      if (equal === 'multipliers') expect(Math.abs(Math.log(achieved))).toBeLessThan(0.1);
    }
  });
});

test('an unknown transformer is guessed among decoders too', () => {
  expect(() => namedTransformer('gpt2-xlarge', 'shapes.models.0')).toThrow(
    expect.objectContaining({ code: 'TANDEM_UNKNOWN_NAME', remedy: expect.stringContaining('gpt2-xl') }),
  );
});

test('a dense array does the work of all tokens at full width', async () => {
  const trace = () =>
    tokenBitsTrace(architecture(1), [{ sequence: 0, layer: 0, head: -1, bits: Uint8Array.of(8, 4, 0, 0, 4, 8) }]);
  const play = async (preset: string) => {
    const { machine, config } = machineOf(preset);
    const result = await machine.simulate(config, trace(), { name: preset });
    if (!result.feasible) throw new Error('infeasible');
    return result.counts;
  };
  // 6 tokens of 2 parts: (12 · 12) · 64 products of parts for the scores, as many for the outputs; 4 tokens of 6 parts.
  expect((await play('vssa-dense')).partProducts).toBe(2 * 12 * 12 * 64);
  expect((await play('vssa')).partProducts).toBe(2 * 6 * 6 * 64);
});

test('a machine without sizes says so', () => {
  const elector = machineOf('elector-edge');
  expect(() => madeEqual(machineOf('vssa'), elector, 'area')).toThrow(
    expect.objectContaining({ code: 'TANDEM_CONFIG_INVALID', place: 'equal' }),
  );
});

describe('shares on other sizes', () => {
  const small = architecture(2, 64, 3);
  const header: TraceHeader = {
    producer: 'test',
    model: 'small',
    task: 'none',
    technique: 'dtqatten',
    layers: 3,
    headsPerLayer: [2, 2, 2],
    notes: { [ARCHITECTURE_NOTE]: JSON.stringify(small) },
  };
  async function* stream(records: readonly Omit<TokenBitsRecord, 'kind'>[]) {
    for (const record of records) yield { kind: 'token-bits', ...record } as const;
  }
  const one = (layer: number, bits: readonly number[], head = -1) => ({
    sequence: 0,
    layer,
    head,
    bits: Uint8Array.from(bits),
  });
  const measured = () =>
    measureShares(
      header,
      stream([one(0, [8, 8, 8, 8]), one(1, [8, 8, 4, 0]), one(2, [4, 0, 0, 0], 0), one(2, [0, 0, 0, 0], 1)]),
    );

  test('are measured by layer, of heads that are left', async () => {
    expect((await measured()).layers).toEqual([
      { atLeast: [{ bits: 8, share: 1 }], heads: 1 },
      {
        atLeast: [
          { bits: 8, share: 0.5 },
          { bits: 4, share: 0.75 },
        ],
        heads: 1,
      },
      { atLeast: [{ bits: 4, share: 0.25 }], heads: 0.5 },
    ]);
  });

  test.each(TRANSFORMER_NAMES)('keep their shares and their cascade on the sizes of %s', async (name) => {
    const profile = await measured();
    const target = namedTransformer(name);
    const { header: made, records } = stretchedTrace(profile, target, { tokens: 40, sequences: 2, seed: 3 });
    expect(made.headsPerLayer).toEqual(target.layers.map(({ heads }) => heads.length));
    const share = (layer: number, least: number) => {
      const left = records.filter((record) => record.layer === layer && record.bits.some((bits) => bits > 0));
      const all = left.flatMap(({ bits }) => [...bits]);
      return all.filter((bits) => bits >= least).length / all.length;
    };
    expect(share(0, 8)).toBe(1);
    const last = target.layers.length - 1;
    if (last > 0) {
      expect(share(last, 4)).toBe(0.25);
      const heads = records.filter(({ layer, sequence }) => layer === last && sequence === 1);
      const kept = heads.filter(({ bits }) => bits.some((width) => width > 0)).length;
      expect(kept).toBe(Math.round(0.5 * target.layers[last]!.heads.length));
    }
    const before = new Map<number, Uint8Array>();
    for (const { sequence, bits } of records.filter(({ head }) => head <= 0)) {
      const earlier = before.get(sequence);
      if (bits.some((width) => width > 0)) {
        expect(bits.every((width, token) => earlier === undefined || width <= earlier[token]!)).toBe(true);
        before.set(sequence, bits);
      }
    }
    expect(stretchedTrace(profile, target, { tokens: 40, sequences: 2, seed: 3 }).records).toEqual(records);
  });

  test('need bits per token', async () => {
    await expect(measureShares(header, stream([]))).rejects.toMatchObject({ code: 'TANDEM_TRACE_INCONSISTENT' });
  });
});
