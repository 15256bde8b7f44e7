/** Zero share of every recorded matrix, layers by matrices, a panel per phase. */
import type { MatrixZeros, RunResult } from '../../experiment/result.js';
import { ACTIVATIONS, WEIGHTS } from '../../trace/matrices.js';
import { count, percent } from '../format.js';
import { HEAT, HEAT_INK, WHITE_TEXT_FROM } from '../palette.js';
import type { Figure } from './types.js';

const PHASES = ['forward', 'backward', 'update'] as const;
const PHASE_TITLES: Readonly<Record<(typeof PHASES)[number], string>> = {
  forward: 'forward: values and weights',
  backward: 'backward: gradients with respect to values',
  update: 'update: gradients with respect to weights',
};

/** Widths of a cell in px: what all layers may take together, and the bounds. */
const ALL_LAYERS = 560;
const CELL = { widest: 44, narrowest: 12, withText: 20, withLargeText: 26 };

export function zerosFigure({ masks = [] }: Pick<RunResult, 'masks'>): Figure | undefined {
  const rows = masks
    .filter((mask) => mask.elements > 0)
    .map(({ layer, matrix, phase, zeros, elements }) => ({
      layer,
      matrix,
      phase,
      zeros,
      elements,
      share: zeros / elements,
    }));
  if (rows.length === 0) return undefined;
  const values = rows.map((row) => ({
    ...row,
    text: (row.share * 100).toFixed(0),
    label:
      `layer ${row.layer}, ${row.matrix}, ${row.phase}: ${percent(row.share)} zeros ` +
      `(${count(row.zeros)} of ${count(row.elements)})`,
  }));
  const layers = [...new Set(rows.map((row) => row.layer))].sort((a, b) => a - b);
  const step = Math.max(CELL.narrowest, Math.min(CELL.widest, Math.floor(ALL_LAYERS / layers.length)));
  const x = {
    field: 'layer',
    type: 'ordinal',
    title: 'layer',
    axis: { orient: 'top', labelAngle: 0 },
    scale: { domain: layers },
  } as const;
  const panel = (phase: MatrixZeros['phase']) => {
    const own = values.filter((row) => row.phase === phase);
    const matrices = dataflowOrder([...new Set(own.map((row) => row.matrix))]);
    const y = { field: 'matrix', type: 'nominal', title: null, scale: { domain: matrices }, sort: null } as const;
    return {
      title: { text: PHASE_TITLES[phase], anchor: 'start' as const, frame: 'group' as const, offset: 6 },
      data: { values: own },
      width: { step },
      height: { step: 22 },
      layer: [
        {
          mark: { type: 'rect' as const, stroke: 'white', strokeWidth: 1 },
          encoding: {
            x,
            y,
            color: {
              field: 'share',
              type: 'quantitative' as const,
              title: 'zeros',
              scale: { domain: [0, 1], range: [...HEAT] },
              legend: { orient: 'bottom' as const, format: '.0%', gradientLength: 160, values: [0, 0.5, 1] },
            },
            description: { field: 'label' },
          },
        },
        ...(step < CELL.withText
          ? []
          : [
              {
                mark: { type: 'text' as const, aria: false, fontSize: step < CELL.withLargeText ? 9 : 11 },
                encoding: {
                  x,
                  y,
                  text: { field: 'text' },
                  color: {
                    condition: { test: `datum.share >= ${WHITE_TEXT_FROM}`, value: '#ffffff' },
                    value: HEAT_INK,
                  },
                },
              },
            ]),
      ],
    };
  };
  return {
    name: 'zeros',
    title: 'Zeros by layer and matrix',
    caption:
      'Share of zeros in each matrix, in per cent, over everything that was recorded, without padding. Products of two ' +
      'matrices need only the positions where neither has a zero.',
    rows,
    spec: { spacing: 24, vconcat: PHASES.filter((phase) => rows.some((row) => row.phase === phase)).map(panel) },
  };
}

/** Matrices in the order in which a layer needs them; numbered ones by their number, unknown ones last as they came. */
function dataflowOrder(matrices: readonly string[]): string[] {
  const { feedForwardOutput, ...before } = ACTIVATIONS;
  const known = [
    ...Object.values(before),
    'ffn.hidden',
    feedForwardOutput,
    ...Object.values(WEIGHTS),
    'ffn.weight',
  ] as string[];
  const place = (matrix: string): readonly [number, number] => {
    const [, stem, number] = /^(.*?)(?:\.(\d+))?$/.exec(matrix)!;
    const at = known.indexOf(stem!);
    return [at < 0 ? known.length : at, Number(number ?? 0)];
  };
  return [...matrices].sort((a, b) => {
    const [first, second] = [place(a), place(b)];
    return first[0] - second[0] || first[1] - second[1];
  });
}
