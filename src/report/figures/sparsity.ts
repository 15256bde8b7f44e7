/** Shares of zeros that a technique watched while the model trained. */
import type { RunResult } from '../../experiment/result.js';
import { ramp, series } from '../palette.js';
import { legendColumns } from '../vega.js';
import { thinned, thinningNote } from './training.js';
import { FIGURE_WIDTH, type Figure, words } from './types.js';

const PREFIX = 'sparsity.';

export function sparsityFigure(result: Pick<RunResult, 'training'>): Figure | undefined {
  const watched = (name: string) => name.startsWith(PREFIX);
  const { points, every } = thinned(result.training.filter(({ monitors }) => Object.keys(monitors).some(watched)));
  const rows = points.flatMap(({ stage, step, monitors }) =>
    Object.entries(monitors)
      .filter(([name]) => watched(name))
      .map(([name, share]) => ({ stage, step, monitor: words(name.slice(PREFIX.length)), share })),
  );
  if (rows.length === 0) return undefined;
  const monitors = [...new Set(rows.map((row) => row.monitor))];
  return {
    name: 'sparsity',
    title: 'Zeros by training step',
    caption: `Share of zeros in what the technique prunes, by training step; values of single batches.${thinningNote(every)}`,
    rows,
    spec: {
      width: FIGURE_WIDTH,
      height: 260,
      autosize: { type: 'fit', contains: 'padding' },
      data: { values: rows },
      mark: { type: 'line', strokeWidth: 1.4, aria: false },
      encoding: {
        x: {
          field: 'step',
          type: 'quantitative',
          title: 'training step',
          axis: { grid: false, tickCount: 10 },
          scale: { zero: false, nice: false },
        },
        y: { field: 'share', type: 'quantitative', title: 'share of zeros', axis: { format: '.2~%', tickCount: 6 } },
        detail: { field: 'stage' },
        color: {
          field: 'monitor',
          type: 'nominal',
          title: null,
          scale: {
            domain: monitors,
            range: monitors.length <= series.length ? series.slice(0, monitors.length) : ramp(monitors.length),
          },
          legend: {
            orient: 'top',
            columns: legendColumns(monitors, FIGURE_WIDTH - 80),
            symbolType: 'stroke',
            symbolStrokeWidth: 2,
          },
        },
      },
    },
  };
}
