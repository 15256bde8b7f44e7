/** Accuracy against pruning rate, thresholds moved around the learned ones. */
import type { RunResult } from '../../experiment/result.js';
import { percent, significant } from '../format.js';
import { colours, series } from '../palette.js';
import { FIGURE_WIDTH, type Figure, sentenceCase } from './types.js';

export function tradeoffFigure(result: RunResult): Figure | undefined {
  if (result.tradeoff.length === 0) return undefined;
  const metric = result.data.metric;
  const rows = [
    ...result.tradeoff.map((point) => ({ kind: 'thresholds moved', ...point })),
    { kind: 'as learned', pruningRate: result.pruningRate, accuracy: result.accuracy.adapted, shift: undefined },
    { kind: 'baseline, no pruning', pruningRate: 0, accuracy: result.accuracy.baseline, shift: undefined },
  ].sort((a, b) => a.pruningRate - b.pruningRate);
  const values = rows.map((row) => ({
    ...row,
    label:
      `${row.kind}${row.shift === undefined ? '' : ` by ${significant(row.shift)}`}: ` +
      `${metric} ${percent(row.accuracy)}, pruning rate ${percent(row.pruningRate)}`,
  }));
  const kinds = ['thresholds moved', 'as learned', 'baseline, no pruning'];
  const x = {
    field: 'pruningRate',
    type: 'quantitative',
    title: 'pruning rate (share of the scores)',
    axis: { format: '.0%', tickCount: 10 },
    scale: { domain: [0, 1] as number[] },
  } as const;
  const y = {
    field: 'accuracy',
    type: 'quantitative',
    title: `${metric} on the test split`,
    axis: { format: '.2~%' },
    scale: { zero: false, nice: true, padding: 12 },
  } as const;
  return {
    name: 'tradeoff',
    title: `${sentenceCase(metric)} against pruning rate`,
    caption:
      `What more or less pruning costs: the learned thresholds are moved up and down together, without training again, ` +
      `and the adapted model is evaluated at each setting on the ${result.accuracy.examples} test examples. The large ` +
      `point is the model as trained; the dashed line is the baseline, which keeps every score. The vertical axis does ` +
      `not start at zero.`,
    rows,
    spec: {
      width: FIGURE_WIDTH,
      height: 320,
      autosize: { type: 'fit', contains: 'padding' },
      data: { values },
      layer: [
        {
          transform: [{ filter: "datum.kind === 'baseline, no pruning'" }],
          mark: { type: 'rule', strokeDash: [5, 4], aria: false, color: colours.muted },
          encoding: { y },
        },
        {
          transform: [{ filter: "datum.kind === 'thresholds moved'" }],
          mark: { type: 'line', aria: false, color: series[0], strokeWidth: 1.5 },
          encoding: { x, y, order: { field: 'shift', type: 'quantitative' } },
        },
        {
          mark: { type: 'point', filled: true, opacity: 1, stroke: 'white', strokeWidth: 1 },
          encoding: {
            x,
            y,
            color: {
              field: 'kind',
              type: 'nominal',
              title: null,
              scale: { domain: kinds, range: [series[0]!, series[1]!, colours.muted] },
              legend: { orient: 'top', symbolType: 'circle' },
            },
            size: { condition: { test: "datum.kind === 'thresholds moved'", value: 60 }, value: 150 },
            description: { field: 'label' },
          },
        },
      ],
    },
  };
}
