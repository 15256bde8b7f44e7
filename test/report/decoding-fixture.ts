/** A run on decoding as its report sees it: numbers of plausible size from fixed formulas, none of them measured. */
import type { DecodingQuality, DecodingResult } from '../../src/experiment/decoding/result.js';
import { hash, rewrite, runResult, wobble } from './fixture.js';

export interface DecodingFixtureOptions {
  readonly layers?: number;
  readonly calibrated?: boolean;
  readonly trained?: boolean;
  readonly machines?: number;
  readonly infeasible?: boolean;
  /** Replaces every free text. */
  readonly text?: (text: string) => string;
}

const TEXT =
  'Call me Ishmael. Some years ago—never mind how long precisely—having little or no money in my purse, and nothing ' +
  'particular to interest me on shore, I thought I would sail about a little and see the watery part of the world.\n\n' +
  'It is a way I have of driving off the spleen and regulating the circulation. Whenever I find myself growing grim about ' +
  'the mouth; whenever it is a damp, drizzly November in my soul;\r\n\tthen, I account it high time to get to sea as soon as I can.';

/** Pieces of up to five letters, the space before a word with it; and at the end, what a byte-level vocabulary can say too. */
const TOKENS = [...(TEXT.match(/ ?[A-Za-z]{1,5}|[^A-Za-z]/g) ?? []), '\ufffd', '\u0007', ' 東京', '\u202egnol'];

const quality = (perplexity: number, agreement: number, meanDecoders: number): DecodingQuality => ({
  perplexity,
  agreement,
  meanDecoders,
});

export function decodingResult(options: DecodingFixtureOptions = {}): DecodingResult {
  const { layers = 12, calibrated = true, trained = true, machines = 3, infeasible = true } = options;
  const exits = TOKENS.map((_, index) => 1 + Math.floor(wobble(index) ** 2 * layers));
  const weights = Array.from({ length: layers }, (_, index) => (1 + wobble(index)) / (index + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const exitShares = weights.map((weight) => weight / total);
  const meanDecoders = exitShares.reduce((sum, share, index) => sum + share * (index + 1), 0);
  const exitLosses = Array.from({ length: layers }, (_, index) => 3.2 + 1.6 * Math.exp((-4 * index) / layers));
  const full = quality(24.5, 1, layers);
  const curve = (name: string, worse: number) => ({
    name,
    points: [0, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1].map((threshold) => ({
      threshold,
      ...quality(
        24.5 * (1 + worse * (1 - threshold) ** 2),
        1 - 0.4 * worse * (1 - threshold) ** 2,
        1 + (layers - 1) * threshold ** 2,
      ),
    })),
  });
  const result: DecodingResult = {
    schemaVersion: 1,
    kind: 'decoding',
    name: 'toex-quickstart',
    tandemVersion: '0.1.0',
    seed: 1,
    decoder: {
      name: 'gpt-12x128',
      parameters: 3_411_712,
      layers,
      hidden: 128,
      heads: 4,
      vocabulary: 4096,
      context: 128,
      source: 'trained here',
      licence: 'public domain text',
      sha256: hash(1),
    },
    text: {
      corpora: ['moby-dick', 'state-of-the-union'],
      training: trained ? 1_200_000 : 0,
      validation: 64_000,
      test: 65_536,
      sha256: { training: trained ? hash(2) : '', validation: hash(3), test: hash(4) },
    },
    technique: { name: 'toex', options: { candidates: 64, budget: { measure: 'perplexity', loss: 0.01 } } },
    exitLosses,
    ...(calibrated && {
      calibration: {
        tokens: 64_000,
        budget: { measure: 'perplexity', loss: 0.01 },
        full: quality(25.1, 1, layers),
        calibrated: quality(25.3, 0.984, meanDecoders * 0.99),
        uniform: quality(25.3, 0.985, meanDecoders * 1.2),
        fixed: quality(25, 1, layers),
      },
    }),
    thresholds: Array.from({ length: layers - 1 }, (_, index) => (index % 4 === 1 ? 2 : 0.9 - (0.6 * index) / layers)),
    quality: {
      tokens: 65_536,
      full,
      adapted: quality(24.72, 0.9815, meanDecoders),
      rivals: [
        { name: 'state propagation', ...quality(26.2, 0.93, meanDecoders * 1.02) },
        { name: 'no back-fill', ...quality(41.8, 0.71, meanDecoders * 1.05) },
        { name: 'full output embedding', ...quality(24.71, 0.982, meanDecoders * 0.98) },
      ],
      candidateHits: 0.9967,
    },
    curves: [curve('light output embedding', 0.5), curve('full output embedding', 0.45)],
    exitShares,
    example: { tokens: TOKENS, exits },
    machines: runResult({ machines, infeasible }).machines,
    shapes: [
      {
        model: 'gpt2-xl',
        tokens: 1024,
        machines: [
          { name: 'toex', feasible: true, cycles: 5e9, energyPicojoules: 8e12, speedup: 2.9, energyRatio: 2.7 },
          {
            name: 'small',
            feasible: false,
            machine: 'toex',
            resource: 'weight buffer',
            demand: 2,
            bound: 1,
            unit: 'bytes',
            levers: [],
          },
        ],
      },
    ],
    training: trained
      ? Array.from({ length: 100 }, (_, point) => ({
          step: 40 * point + 39,
          exits: exitLosses.map((loss, index) => loss + 4 * Math.exp(-point / 12) + 0.05 * wobble(point + 7 * index)),
        }))
      : [],
    trace: { file: 'trace.tandem', sequences: 64, bytes: 812_032 },
    timings: { train: 3122.5, measure: 41 },
    remarks: ['A token’s exit is teacher-forced: it follows the text, not what the decoder would have said.'],
  };
  return options.text ? rewrite(result, options.text, ['utilisation', 'options']) : result;
}
