/** Pruning rate of every attention head, layers by heads. */
import type { RunResult } from '../../experiment/result.js';
import { count, percent, significant } from '../format.js';
import { HEAT, HEAT_INK, WHITE_TEXT_FROM } from '../palette.js';
import type { Figure } from './types.js';

export function headsFigure(result: RunResult): Figure | undefined {
  if (result.heads.length === 0) return undefined;
  const rows = result.heads.map((head) => ({ ...head }));
  const values = rows.map((row) => ({
    layer: row.layer,
    head: row.head,
    pruningRate: row.pruningRate,
    text: (row.pruningRate * 100).toFixed(0),
    label:
      `layer ${row.layer}, head ${row.head}: ${percent(row.pruningRate)} pruned (${count(row.survivors)} of ` +
      `${count(row.scores)} scores kept), ${significant(row.meanBits)} bits per score, ` +
      `threshold ${significant(row.threshold)}, ${count(row.emptyRows)} of ${count(row.rows)} rows empty`,
  }));
  const layers = new Set(rows.map((row) => row.layer)).size;
  const x = { field: 'head', type: 'ordinal', title: 'head', axis: { orient: 'top', labelAngle: 0 } } as const;
  const y = { field: 'layer', type: 'ordinal', title: 'layer' } as const;
  return {
    name: 'heads',
    title: 'Pruning rate by layer and head',
    caption:
      `Share of the attention scores that lie below their layer's threshold, in per cent, counted over every query and ` +
      `key of the recorded test sequences without padding. In a row where every score lies below, the largest is kept.`,
    rows,
    spec: {
      data: { values },
      width: { step: 36 },
      height: { step: 22 },
      layer: [
        {
          mark: { type: 'rect', stroke: 'white', strokeWidth: 1 },
          encoding: {
            x,
            y,
            color: {
              field: 'pruningRate',
              type: 'quantitative',
              title: 'pruning rate',
              scale: { domain: [0, 1], range: [...HEAT] },
              legend: { format: '.0%', gradientLength: Math.min(160, Math.max(66, 22 * layers)), values: [0, 0.5, 1] },
            },
            description: { field: 'label' },
          },
        },
        {
          mark: { type: 'text', aria: false },
          encoding: {
            x,
            y,
            text: { field: 'text' },
            color: {
              condition: { test: `datum.pruningRate >= ${WHITE_TEXT_FROM}`, value: '#ffffff' },
              value: HEAT_INK,
            },
          },
        },
      ],
    },
  };
}
