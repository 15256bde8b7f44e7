/** A run with token widths, a search, a rival and other models' sizes: numbers chosen by hand, none measured. */
import type { RunResult, SearchOutcome } from '../../src/experiment/result.js';
import { runResult } from './fixture.js';

const trial = (index: number, cost: number, accuracy: number) => ({
  point: [index],
  cost,
  accuracy,
  atMost: 0.95 - accuracy,
});

export const search: SearchOutcome = {
  machine: 'vssa',
  minimised: 'energy-delay',
  accuracyBudget: 0.01,
  confidence: 0.95,
  dimensions: [{ name: 'layer 1, <kept>', values: [1, 0.5, 0.25] }],
  calibration: { examples: 100, baseline: 0.9 },
  confirmation: {
    examples: 200,
    baseline: 0.88,
    steps: 5,
    tests: [
      { cost: 1, atMost: 0.002 },
      { cost: 0.5, atMost: 0.0097 },
      { cost: 0.3, atMost: 0.0123 },
    ],
  },
  referenceCost: 1e6,
  samplers: [
    {
      name: 'bayesian',
      runs: [
        { seed: 1, trials: [trial(0, 1, 0.9), trial(2, 0.2, 0.7), trial(1, 0.5, 0.89)] },
        { seed: 2, trials: [trial(2, 0.2, 0.7), trial(0, 1, 0.9), trial(1, 0.5, 0.89)] },
      ],
    },
    { name: 'random', runs: [{ seed: 1, trials: [trial(1, 0.5, 0.89)] }] },
  ],
  chosen: { ...trial(1, 0.5, 0.89), confirmed: 0.875, confirmedAtMost: 0.0097 },
};

/** `text` changes every name and text that others chose. */
export const comparisonRun = (text: (original: string) => string = (original) => original): RunResult => ({
  ...runResult({ text }),
  widthShares: [
    { layer: 0, shares: [{ bits: 8, share: 1 }] },
    {
      layer: 1,
      shares: [
        { bits: 4, share: 0.75 },
        { bits: 0, share: 0.25 },
      ],
    },
  ],
  tokenWidths: [
    {
      sequence: 4,
      tokens: ['a', '<b>', ' '].map(text),
      layers: [
        { layer: 0, bits: [8, 8, 8] },
        { layer: 1, bits: [8, 4, 0] },
      ],
    },
  ],
  search: { ...search, dimensions: search.dimensions.map(({ name, values }) => ({ name: text(name), values })) },
  rivals: [
    {
      technique: { name: 'spatten', options: {} },
      accuracy: 0.85,
      pruningRate: 0.4,
      pruned: 'values never used',
      trace: { file: 'rival-1.trace', sequences: 4, bytes: 100 },
      machines: [
        runResult({ text })
          .machines.filter(({ feasible }) => feasible)
          .at(-1)!.name,
      ],
    },
  ],
  shapes: [
    {
      model: 'bert-base',
      tokens: 128,
      machines: [
        { name: 'vssa', feasible: true, cycles: 1000, energyPicojoules: 5e6, speedup: 1, energyRatio: 1 },
        {
          name: 'small',
          feasible: false,
          machine: 'vssa',
          resource: 'K buffer',
          demand: 2,
          bound: 1,
          unit: 'bytes',
          levers: [],
        },
      ],
    },
  ],
  equal: 'area',
});
