/** The course of the loss at a few exits while the decoder trains. */
import type { DecodingResult } from '../../experiment/decoding/result.js';
import { ramp } from '../palette.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

/** Exits drawn: the first, the last and some between, as many as one can tell apart. */
const LINES = 5;

/** Layers from 1, evenly spaced, the first and the last among them. */
export function someExits(layers: number): number[] {
  const lines = Math.min(LINES, layers);
  return Array.from({ length: lines }, (_, line) =>
    lines === 1 ? 1 : 1 + Math.round((line * (layers - 1)) / (lines - 1)),
  );
}

export function exitTrainingFigure({ training }: Pick<DecodingResult, 'training'>): Figure | undefined {
  const layers = training[0]?.exits.length ?? 0;
  if (layers === 0) return undefined;
  const exits = someExits(layers);
  const rows = training.flatMap(({ step, exits: losses }) =>
    exits.map((layer) => ({ step: step + 1, layer, loss: losses[layer - 1]! })),
  );
  return {
    name: 'exit-training',
    title: 'Training loss at some exits',
    caption:
      `Cross entropy in nats a token at ${exits.length < layers ? `${exits.length} of the ${layers} exits` : 'each exit'} on ` +
      'the batches of the training, the mean over the steps since the point before. The vertical axis does not start at zero.',
    rows,
    spec: {
      width: FIGURE_WIDTH,
      height: 280,
      autosize: { type: 'fit', contains: 'padding' },
      data: { values: rows },
      mark: { type: 'line', strokeWidth: 1.5, aria: false, point: training.length === 1 },
      encoding: {
        x: { field: 'step', type: 'quantitative', title: 'training step', axis: { grid: false, tickCount: 10 } },
        y: {
          field: 'loss',
          type: 'quantitative',
          title: 'cross entropy (nats a token)',
          scale: { zero: false },
        },
        color: {
          field: 'layer',
          type: 'ordinal',
          title: 'exit layer',
          scale: { domain: exits, range: ramp(exits.length) },
          legend: { symbolType: 'stroke', symbolStrokeWidth: 2 },
        },
      },
    },
  };
}
