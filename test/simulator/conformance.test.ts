import { describe, expect, test } from 'vitest';
import { readPreset } from '../../src/hardware/preset-files.js';
import { presetConfig } from '../../src/hardware/presets.js';
import { checkMachine, type MachineSubject } from '../../src/simulator/conformance.js';
import { elector } from '../../src/simulator/elector.js';
import { eyeriss } from '../../src/simulator/eyeriss.js';
import { leopard } from '../../src/simulator/leopard.js';
import { machines } from '../../src/simulator/registry.js';
import { spatten } from '../../src/simulator/spatten.js';
import { systolic } from '../../src/simulator/systolic.js';
import { toex } from '../../src/simulator/toex.js';
import type { Machine, SimulationResult, Workload } from '../../src/simulator/types.js';
import { vssa } from '../../src/simulator/vssa.js';
import { maskTrace } from './elector/mask-trace.js';
import { gaussianHead, traceOf } from './heads.js';
import { decoder, exitsRecord, exitsTrace } from './toex-trace.js';
import { architecture, shuffledBits, tokenBitsTrace } from './vssa-trace.js';

const records = [
  gaussianHead({ tokens: 20, pruned: 0.7 }),
  gaussianHead({ tokens: 9, pruned: 0.99, seed: 2, sequence: 1 }),
  gaussianHead({ tokens: 12, pruned: 0.5, seed: 3, sequence: 2, causal: true }),
];
const WORKLOADS: Readonly<Record<Workload['kind'], () => Workload>> = {
  trace: () => traceOf(records),
  gemms: () => ({
    kind: 'gemms',
    layers: [
      { name: 'first', m: 40, n: 24, k: 64 },
      { name: 'second', m: 7, n: 100, k: 3 },
    ],
  }),
  requests: () => ({
    kind: 'requests',
    async *requests() {
      yield [0, 64, 4096].map((address, cycle) => ({ address, write: cycle === 1, cycle }));
    },
  }),
  transformer: () => ({
    kind: 'transformer',
    architecture: {
      name: 'small',
      layers: [
        {
          hidden: 32,
          heads: [
            { kind: 'sdp', dim: 16 },
            { kind: 'dct', dim: 16 },
          ],
          feedForward: [64],
        },
      ],
      vocabulary: 100,
      tokens: 24,
    },
  }),
};

/** Of the machine's first preset. */
const configOf = (machine: Machine) => presetConfig(readPreset(machine.presets[0]!), machine.schema) as object;

const tokenBits = [shuffledBits(9, 20, 5, 1), shuffledBits(3, 0, 1, 2), shuffledBits(0, 24, 0, 3)].map(
  (bits, sequence) => ({ sequence, layer: 0, head: -1, bits }),
);
/** Machines that play zero masks, exits or bits per token need traces of those. */
const TRACES: Readonly<Record<string, () => Workload>> = {
  [elector.name]: () => maskTrace({ sequences: 6, tokens: 20 }),
  [toex.name]: () => exitsTrace(decoder(3), [exitsRecord(3, [3, 1, 2, 3]), exitsRecord(3, [2, 2], { prompt: 2 })]),
  [vssa.name]: () => tokenBitsTrace(architecture(2), tokenBits),
};
const workloadOf = (machine: Machine, kind: Workload['kind']): (() => Workload) =>
  (kind === 'trace' ? TRACES[machine.name] : undefined) ?? WORKLOADS[kind];

const combinations = machines
  .list()
  .flatMap((machine) => machine.accepts.map((kind) => [machine.name, kind, machine] as const));

test.each(combinations)('%s keeps what machines promise on %s', async (_, kind, machine) => {
  expect(await checkMachine(machine, { config: configOf(machine), workload: workloadOf(machine, kind) })).toEqual([]);
});

test.each([
  [leopard, 'trace', { frontEnd: { kind: 'bit-parallel' } }],
  [leopard, 'trace', { tiles: 3, frontEnd: { bitsPerCycle: 4 }, dram: 'ddr4' }],
  [leopard, 'trace', { buffers: { keyBytes: 16 } }],
  [elector, 'transformer', { phase: 'training' }],
  [elector, 'transformer', { mode: 'fast' }],
  [elector, 'transformer', { mode: 'published-cycle' }],
  [elector, 'transformer', { mode: 'published-fast', phase: 'training' }],
  [elector, 'trace', { phase: 'training', tile: { b: 4, x: 8, y: 8 } }],
  [elector, 'trace', { mode: 'fast', phase: 'training' }],
  [elector, 'transformer', { mainMemory: { model: 'dram', preset: 'lpddr4-3200' }, phase: 'training' }],
  [vssa, 'trace', { stallRelief: 'halved', probabilities: { width: 'fixed', bits: 8 } }],
  [systolic, 'gemms', { dataflow: 'os' }],
  [systolic, 'trace', { dataflow: 'is' }],
  [systolic, 'gemms', { memory: { model: 'dram', preset: 'lpddr4-3200' } }],
  [vssa, 'trace', { memory: { model: 'dram', preset: 'hbm2' } }],
  [spatten, 'trace', { memory: { model: 'dram', preset: 'hbm2', channels: 32 } }],
  [eyeriss, 'gemms', { memory: { model: 'dram' } }],
  [toex, 'trace', { memory: { model: 'dram', preset: 'ddr4-3200' } }],
] as const)('$0.name on $1 keeps it with $2', async (machine, kind, config) => {
  const workload = workloadOf(machine as Machine, kind);
  const subject: MachineSubject = { config: { ...configOf(machine as Machine), ...config }, workload };
  expect(await checkMachine(machine as Machine, subject)).toEqual([]);
});

describe('a machine that breaks a promise is told which', () => {
  const broken = (change: (result: SimulationResult) => Partial<SimulationResult>) => {
    const machine: Machine = {
      ...(systolic as Machine),
      simulate: async (config, workload, options) => {
        const result = await (systolic as Machine).simulate(config, workload, options);
        return result.feasible ? { ...result, ...change(result) } : result;
      },
    };
    return checkMachine(machine, { config: configOf(machine), workload: WORKLOADS.gemms });
  };

  test('energy that does not add up', async () => {
    expect(await broken(({ energyPicojoules }) => ({ energyPicojoules: energyPicojoules * 1.01 }))).toEqual([
      'energies of the components sum to the total',
      'energies of the parts sum to the total',
    ]);
  });

  test('results that differ from one run to the next', async () => {
    let runs = 0;
    expect(await broken(({ cycles }) => ({ cycles: cycles + runs++ }))).toEqual(['equal workloads give equal results']);
  });

  test('no laws, no name, units that are busier than time', async () => {
    expect(await broken(() => ({ conservation: [], name: 'mine', utilisation: { array: 1.5 } }))).toEqual([
      'the result bears the given name',
      'there are laws of conservation',
      'utilisation of array is in 0 … 1',
    ]);
  });

  test('configuration that its schema refuses', async () => {
    const found = await checkMachine(systolic as Machine, { config: { dataflow: 'xs' }, workload: WORKLOADS.gemms });
    expect(found).toEqual([expect.stringContaining('its schema')]);
  });
});
