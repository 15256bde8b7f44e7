/** Quality against depth: what leaving early costs, and how the rivals fare. */
import type { DecodingQuality, DecodingResult } from '../../experiment/decoding/result.js';
import { count, percent, plain, significant } from '../format.js';
import { colours, series } from '../palette.js';
import { legendColumns } from '../vega.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

type Result = Pick<DecodingResult, 'curves' | 'quality' | 'calibration' | 'technique'>;
type Measure = 'perplexity' | 'agreement';

const PLOT_WIDTH = FIGURE_WIDTH - 80;
const SHAPES = ['diamond', 'triangle-up', 'square', 'triangle-down', 'cross', 'circle'] as const;

const text = ({ perplexity, agreement, meanDecoders }: DecodingQuality) =>
  `${significant(meanDecoders)} decoders, perplexity ${significant(perplexity, 4)}, agreement ${percent(agreement, 2)}`;

/** What is marked beside the curves: all on the test split. */
export function markedQualities({ quality, technique }: Pick<Result, 'quality' | 'technique'>) {
  return [{ name: technique.name, ...quality.adapted }, { name: 'all layers', ...quality.full }, ...quality.rivals];
}

export function depthQualityFigure(result: Result): Figure {
  const { curves, quality, calibration } = result;
  const points = curves.flatMap(({ name, points }) =>
    points.map((point) => ({ curve: name, mark: undefined, ...point })),
  );
  const marks = markedQualities(result).map(({ name, ...point }) => ({
    curve: undefined,
    mark: name,
    ...point,
    threshold: undefined,
  }));
  const drawn = points.filter(({ perplexity }) => Number.isFinite(perplexity));
  const values = drawn.map((point) => ({
    ...point,
    label: `${point.curve}, threshold ${plain(point.threshold, 4)}: ${text(point)}`,
  }));
  // The run's own is drawn last, over the others.
  const marked = marks
    .toReversed()
    .filter(({ perplexity }) => Number.isFinite(perplexity))
    .map((mark) => ({ ...mark, own: mark === marks[0], label: `${mark.mark}: ${text(mark)}` }));
  const names = [...new Set(curves.map(({ name }) => name))];
  const markNames = marks.map(({ mark }) => mark);
  const depth = (title: string | null) => ({
    field: 'meanDecoders',
    type: 'quantitative' as const,
    title,
    scale: { domainMin: 0, padding: 12 },
    axis: { tickCount: 10 },
  });
  const color = {
    field: 'curve',
    type: 'nominal',
    title: null,
    scale: { domain: names, range: names.map((_, index) => series[index % series.length]!) },
    legend: {
      orient: 'top',
      symbolType: 'stroke',
      symbolStrokeWidth: 2,
      symbolOpacity: 1,
      columns: legendColumns(names.length > 0 ? names : [''], PLOT_WIDTH),
    },
  } as const;
  const shape = {
    field: 'mark',
    type: 'nominal',
    title: null,
    scale: { domain: markNames, range: markNames.map((_, index) => SHAPES[index % SHAPES.length]!) },
    legend: {
      orient: 'top',
      symbolFillColor: 'transparent',
      symbolStrokeColor: colours.ink,
      symbolOpacity: 1,
      columns: legendColumns(markNames, PLOT_WIDTH),
    },
  } as const;
  const panel = (measure: Measure, last: boolean) => {
    const y = {
      field: measure,
      type: 'quantitative' as const,
      title: measure === 'perplexity' ? 'perplexity (lower is better)' : 'agreement with all layers',
      scale:
        measure === 'perplexity'
          ? { type: 'log' as const, nice: false, padding: 12 }
          : { zero: false, nice: false, padding: 12 },
      axis: { tickCount: 6, ...(measure === 'agreement' ? { format: '.3~%' } : {}) },
    };
    const x = depth(last ? 'mean decoders a token' : null);
    const least = bound(result, measure);
    return {
      width: PLOT_WIDTH,
      height: 250,
      layer: [
        ...(least === undefined
          ? []
          : [
              {
                data: { values: [{ [measure]: least }] },
                mark: { type: 'rule' as const, strokeDash: [5, 4], aria: false, color: colours.muted },
                encoding: { y },
              },
            ]),
        {
          data: { values },
          mark: { type: 'line' as const, aria: false, strokeWidth: 1.5 },
          encoding: { x, y, color, order: { field: 'threshold', type: 'quantitative' as const } },
        },
        {
          data: { values },
          mark: { type: 'point' as const, filled: true, opacity: 1, stroke: 'white', strokeWidth: 0.6, size: 28 },
          encoding: { x, y, color, description: { field: 'label' } },
        },
        {
          data: { values: marked },
          mark: {
            type: 'point' as const,
            // Hollow: ways that are equally good and deep still show.
            filled: false,
            opacity: 1,
            strokeWidth: 1.8,
            color: colours.ink,
          },
          encoding: {
            x,
            y,
            shape,
            size: { condition: { test: 'datum.own', value: 220 }, value: 110 },
            description: { field: 'label' },
          },
        },
      ],
    };
  };
  const lost = points.length + marks.length - values.length - marked.length;
  return {
    name: 'depth-quality',
    title: 'Perplexity and agreement against mean decoders',
    caption:
      (points.length > 0 ? 'Lines: one threshold for all layers, moved; what a check reads tells them apart. ' : '') +
      `Marks: the thresholds of this run, and the same ones in the ways of the rivals. All on the ${count(quality.tokens)} test tokens, ` +
      'teacher-forced. ' +
      (calibration
        ? `Dashed: the budget of ${percent(calibration.budget.loss)} ${lostMeasure(calibration.budget.measure)}, carried over from the ` +
          'calibration text. '
        : '') +
      (lost > 0 ? `${lost} ${lost === 1 ? 'point' : 'points'} without a finite perplexity: in the data only. ` : '') +
      'The axis of perplexity is logarithmic; neither vertical axis starts at zero.',
    rows: [...points, ...marks].map(({ curve, mark, threshold, meanDecoders, perplexity, agreement }) => ({
      curve,
      mark,
      threshold,
      meanDecoders,
      perplexity,
      agreement,
    })),
    spec: { vconcat: [panel('perplexity', false), panel('agreement', true)] },
  };
}

const lostMeasure = (measure: Measure) => (measure === 'perplexity' ? 'more perplexity' : 'less agreement');

/** Where the budget ends, for the measure that it is about. */
function bound({ calibration, quality }: Result, measure: Measure): number | undefined {
  if (calibration?.budget.measure !== measure) return undefined;
  const { loss } = calibration.budget;
  return measure === 'perplexity' ? quality.full.perplexity * (1 + loss) : 1 - loss;
}
