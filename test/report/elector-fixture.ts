/** A machine with series over time and stalls, and a run with curves and masks: numbers from fixed formulas, none measured. */
import type { MatrixZeros, RunResult, SparsityCurve } from '../../src/experiment/result.js';
import { withRatios } from '../../src/report/ratios.js';
import type { SimulationResult, TimeSeries } from '../../src/simulator/types.js';
import { CONSTANTS, type FixtureOptions, rewrite, runResult, wobble } from './fixture.js';

export interface ElectorOptions {
  readonly name?: string;
  readonly cycles?: number;
  readonly samples?: number;
}

/** Components of sizes from less than a thousandth to more than a half of the whole, in pJ (dynamic, leakage) and µm². */
const MODULES: readonly (readonly [string, number, number, number])[] = [
  ['MAC lanes', 785_050_768, 48_258_192, 9_644_716],
  ['Softmax units', 810_640, 62_484, 22_418_771],
  ['Layer norm units', 1_026_055, 60_277, 5_190_664],
  ['Sparsity units', 131_028_595, 43_899_503, 7_575_651],
  ['Dataflow units', 171_682_144, 41_218_913, 4_860_607],
  ['FIFOs', 4_812_000, 1_201_000, 496_006],
  ['DMA', 98_000, 18_700, 9257],
  ['Activation buffer', 4_870_662, 2_462_187, 1_213_223],
  ['Weight buffer', 576_991_192, 168_309_308, 2_352_807],
  ['Mask buffer', 2_510_440, 2_444_572, 302_565],
  ['Main memory', 165_123_382, 0, 0],
];

/** Value of a series at a share of the run in 0 … 1. */
const SERIES: readonly (readonly [string, 'utilisation' | 'power', (t: number) => number])[] = [
  ['MAC lanes', 'utilisation', (t) => (t < 0.3 ? 0 : t % 0.1 < 0.06 ? 0.85 + 0.15 * wobble(t * 1e3) : 0)],
  ['softmax units', 'utilisation', (t) => (t > 0.3 && t % 0.35 > 0.31 ? 0.9 : 0)],
  ['layer norm units', 'utilisation', (t) => (t > 0.3 && t % 0.2 > 0.19 ? 1 : 0)],
  ['activation buffer', 'utilisation', (t) => (t < 0.3 ? 0 : 0.5 * (t - 0.3) + 0.05 * wobble(t * 1e3))],
  ['weight buffer', 'utilisation', (t) => Math.min(0.95, 2 * t)],
  ['mask buffer', 'utilisation', (t) => Math.min(0.7, 1.5 * t)],
  ['processing elements', 'power', (t) => (t < 0.3 ? 10 : t % 0.1 < 0.06 ? 6400 : 820)],
  ['activation buffer', 'power', (t) => (t < 0.3 ? 0 : 210)],
  ['weight buffer', 'power', (t) => 1900 + 300 * wobble(t * 1e3)],
  ['mask buffer', 'power', (t) => 190 * t],
  ['main memory', 'power', (t) => (t < 0.3 ? 1200 : 90)],
];

export function overTime(cycles: number, samples: number): TimeSeries {
  return {
    cyclesPerSample: Math.ceil(cycles / samples),
    series: SERIES.map(([name, quantity, value]) => ({
      name,
      quantity,
      values: Array.from({ length: samples }, (_, s) => value((s + 0.5) / samples)),
    })),
  };
}

export const STALLS = {
  dataBufferBusy: 109_642,
  maskBufferBusy: 12_846,
  dataBufferFull: 0,
  maskBufferFull: 0,
  producerNotDone: 29_922,
  unitsBusy: 351,
  operandMissing: 1_029_320,
};

export function electorSimulation(options: ElectorOptions = {}): SimulationResult {
  const { name = 'elector-edge', cycles = 79_324, samples = 240 } = options;
  const around = (value: number): [number, number] => [value * 0.6, value * 1.5];
  const energy = MODULES.map(([component, dynamicPicojoules, leakagePicojoules]) => ({
    component,
    dynamicPicojoules,
    leakagePicojoules,
    interval: around(dynamicPicojoules + leakagePicojoules),
  }));
  const area = MODULES.filter(([, , , squareMicrometres]) => squareMicrometres > 0).map(
    ([component, , , squareMicrometres]) => ({
      component,
      count: component.includes('buffer') ? 1 : 64,
      squareMicrometres,
      interval: around(squareMicrometres),
    }),
  );
  const energyPicojoules = energy.reduce((sum, part) => sum + part.dynamicPicojoules + part.leakagePicojoules, 0);
  const areaSquareMicrometres = area.reduce((sum, part) => sum + part.squareMicrometres, 0);
  // Odd lengths, so that the bounds of intervals fall between whole nanoseconds at 700 MHz.
  const busy = (lane: number) =>
    Array.from({ length: 60 }, (_, i) => ({
      start: 1003 + 173 * i + 31 * lane,
      end: 1003 + 173 * (i + (lane === 0 ? 1 : 0)) + 31 * lane + (lane === 0 ? 0 : 97),
      label: `layer ${Math.floor(i / 30)}, ${['query', 'key', 'value', 'scores', 'context'][i % 5]}`,
    }));
  return {
    feasible: true,
    name,
    machine: 'elector',
    configuration: { mode: 'cycle', pes: 64, lanesPerPe: 16, macsPerLane: 16 },
    fidelity: 'cycle',
    cycles,
    clockHertz: 700e6,
    energyPicojoules,
    energyInterval: around(energyPicojoules),
    areaSquareMicrometres,
    areaInterval: around(areaSquareMicrometres),
    energy,
    area,
    utilisation: { 'MAC lanes': 0.0968, 'softmax units': 0.0258, 'layer norm units': 0.0036 },
    counts: { tiles: 62_005, multiplications: 181_403_648, skippedMultiplications: 98_566_144 },
    parts: [],
    histograms: {},
    timeline: ['MAC lanes', 'softmax units', 'weight buffer'].map((lane, index) => ({ lane, busy: busy(index) })),
    timelineOf: 'the first two layers',
    overTime: overTime(cycles, samples),
    stalls: STALLS,
    constants: CONSTANTS,
    conservation: [{ law: 'multiplications + skipped = dense', left: 279_969_792, right: 279_969_792 }],
    remarks: ['Main memory leaks nothing: its leakage is not published.'],
  };
}

export function curves(machines: readonly string[]): SparsityCurve[] {
  const measured = { split: 'validation', examples: 872, baseline: 0.93 };
  const cost = (sparsity: number) =>
    machines.map((machine, index) => ({
      machine,
      cycles: Math.round(79_324 * (1 - 0.6 * sparsity) * (1 + 0.4 * index)),
      energyPicojoules: 2.1e9 * (1 - 0.75 * sparsity) * (1 - 0.2 * index),
    }));
  const dynatran = Array.from({ length: 20 }, (_, i) => {
    const sparsity = i === 0 ? 0 : 0.3 + 0.004 * i;
    return {
      parameter: 0.005 * i,
      sparsity,
      accuracy: 0.93 + 0.008 * Math.sin(i / 3) - 0.02 * (i / 19) ** 4,
      costs: i % 3 === 0 ? cost(sparsity) : [],
    };
  });
  const topK = Array.from({ length: 10 }, (_, i) => ({
    parameter: 2 ** i,
    sparsity: i === 9 ? 0 : 0.293 + 0.05 * Math.exp(-i),
    accuracy: 0.93 - 0.42 * Math.exp(-1.9 * i),
    costs: [],
  }));
  return [
    { rule: 'dynatran', parameter: 'τ', points: dynatran, chosen: dynatran[12]!.parameter, measured },
    { rule: 'top-k', parameter: 'k', points: topK, measured },
  ];
}

export function masks(layers: number): MatrixZeros[] {
  const phases = {
    forward: ['input', 'query', 'key', 'value', 'probabilities', 'ffn.hidden.0', 'ffn.output', 'query.weight'],
    backward: ['query', 'probabilities', 'ffn.hidden.0'],
    update: ['query.weight', 'ffn.weight.0', 'ffn.weight.1'],
  };
  return Object.entries(phases).flatMap(([phase, matrices], p) =>
    matrices.flatMap((matrix, m) =>
      Array.from({ length: layers }, (_, layer) => {
        const elements = 131_072;
        const share = Math.min(1, 0.1 + 0.3 * p + 0.5 * wobble(97 * p + 13 * m + layer));
        return { layer, matrix, phase: phase as MatrixZeros['phase'], zeros: Math.round(share * elements), elements };
      }),
    ),
  );
}

/** A run of a technique that prunes all matrices and learns no threshold. */
export function sparseRun({ layers = 2, steps = 300, text }: FixtureOptions = {}): RunResult {
  const machines = withRatios([
    electorSimulation(),
    electorSimulation({ name: 'elector-server', cycles: 30_011, samples: 1000 }),
  ]);
  const run = runResult({ layers, steps });
  const result: RunResult = {
    ...run,
    name: 'dynaprop',
    technique: { name: 'dynaprop', options: { threshold: 0.06 } },
    heads: [],
    tradeoff: [],
    curves: curves(machines.map(({ name }) => name)),
    masks: masks(layers),
    machines,
    training: run.training.map(({ stage, step, loss }) => ({
      stage,
      step,
      loss,
      penalty: 0,
      thresholds: [],
      monitors:
        stage === 'adapted'
          ? {
              'sparsity.activations': 0.34 + 0.03 * wobble(step) - (0.1 * step) / (2 * steps),
              'sparsity.activationGradients': 0.7 + (0.1 * step) / steps + 0.02 * wobble(step + 5),
              'sparsity.weightGradients': 0.55 + 0.05 * wobble(step + 9),
            }
          : ({} as Record<string, number>),
    })),
  };
  return text ? rewrite(result, text) : result;
}
