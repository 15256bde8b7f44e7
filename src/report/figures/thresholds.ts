/** Learned thresholds over the steps of training, a line per layer. */
import type { RunResult } from '../../experiment/result.js';
import { ramp } from '../palette.js';
import { thinned, thinningNote } from './training.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

export function thresholdsFigure(result: RunResult): Figure | undefined {
  const { points, every } = thinned(result.training.filter((point) => point.stage === 'adapted'));
  const rows = points.flatMap(({ step, thresholds }) =>
    thresholds.map((threshold, layer) => ({ step, layer, threshold })),
  );
  if (rows.length === 0) return undefined;
  const layers = [...new Set(rows.map((row) => row.layer))].sort((a, b) => a - b);
  return {
    name: 'thresholds',
    title: 'Learned thresholds by step',
    caption:
      `The pruning threshold of each attention layer while the adapted model trains, in units of the scaled score ` +
      `q·k/√d: a score below its layer's threshold is dropped.${thinningNote(every)}`,
    rows,
    spec: {
      width: FIGURE_WIDTH,
      height: 300,
      autosize: { type: 'fit', contains: 'padding' },
      data: { values: rows },
      mark: { type: 'line', strokeWidth: 1.4, aria: false },
      encoding: {
        x: { field: 'step', type: 'quantitative', title: 'training step', axis: { grid: false, tickCount: 10 } },
        y: { field: 'threshold', type: 'quantitative', title: 'threshold (scaled score)', scale: { zero: false } },
        color: {
          field: 'layer',
          type: 'ordinal',
          title: 'layer',
          scale: { domain: layers, range: ramp(layers.length) },
          legend: { symbolType: 'stroke', symbolStrokeWidth: 2, columns: Math.ceil(layers.length / 13) },
        },
      },
    },
  };
}
