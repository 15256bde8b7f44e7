/** Sparsity against accuracy as the parameter of a pruning rule moves. */
import type { RunResult, SparsityCurve, SparsityPoint } from '../../experiment/result.js';
import { percent, plain, shareInterval } from '../format.js';
import { colours, series } from '../palette.js';
import { legendColumns } from '../vega.js';
import { FIGURE_WIDTH, type Figure, sentenceCase } from './types.js';

type Result = Pick<RunResult, 'curves' | 'accuracy' | 'data'>;

const BASELINE = 'baseline';
/** Room for the baseline's name beside the plot. */
const MARGIN = 60;
const PLOT_WIDTH = FIGURE_WIDTH - MARGIN - 80;

export function curvesFigure(result: Result): Figure | undefined {
  const curves = (result.curves ?? []).filter((curve) => curve.points.length > 0);
  if (curves.length === 0) return undefined;
  const metric = result.data.metric;
  const rows = curves.flatMap((curve) => curve.points.map((point) => row(curve, point, result)));
  const values = rows.map((one) => ({
    ...one,
    chosen: one.chosen === 'yes',
    label:
      `${one.rule}, ${one.name} = ${plain(one.parameter)}: ${percent(one.sparsity)} zeros, ${metric} ${percent(one.accuracy)}` +
      (one.accuracyLow === undefined ? '' : ` (${percent(one.accuracyLow)} to ${percent(one.accuracyHigh!)})`),
  }));
  const baselines = [...new Set(curves.map((curve) => measured(curve, result).baseline))];
  const color = ruleColour(curves);
  const x = {
    field: 'sparsity',
    type: 'quantitative',
    title: 'share of zeros in the pruned matrices',
    axis: { format: '.2~%', tickCount: 8 },
    scale: { domain: shareDomain(rows.map((one) => one.sparsity)), nice: false },
  } as const;
  const y = {
    field: 'accuracy',
    type: 'quantitative',
    title: metric,
    axis: { format: '.2~%', tickCount: 7 },
    scale: { zero: false, padding: 12 },
  } as const;
  const hasIntervals = rows.some((one) => one.accuracyLow !== undefined);
  const hasChosen = values.some((value) => value.chosen);
  return {
    name: 'curves',
    title: `${sentenceCase(metric)} against zeros`,
    caption:
      `Each line moves the parameter of one pruning rule (${parameters(curves)}) without training again; zeros are ` +
      `counted over the matrices that the rule prunes. Measured on ${places(curves, result)}; the dashed line is the ` +
      `model without pruning.` +
      (hasIntervals ? ' Vertical lines are 95\u00a0% intervals.' : '') +
      (hasChosen ? ' The ringed point is the setting that the run goes on with.' : '') +
      ' The vertical axis does not start at zero.',
    rows,
    spec: {
      width: PLOT_WIDTH,
      height: 320,
      layer: [
        {
          data: { values: baselines.map((accuracy) => ({ accuracy })) },
          mark: { type: 'rule', strokeDash: [5, 4], aria: false, color: colours.muted },
          encoding: { y },
        },
        {
          data: { values: baselines.slice(0, 1).map((accuracy) => ({ accuracy, text: BASELINE })) },
          mark: { type: 'text', align: 'left', dx: 6, aria: false, color: colours.muted },
          encoding: { y, x: { value: PLOT_WIDTH }, text: { field: 'text' } },
        },
        ...(hasIntervals
          ? [
              {
                data: { values: values.filter((value) => value.accuracyLow !== undefined) },
                mark: { type: 'rule', opacity: 0.4, strokeWidth: 1, aria: false },
                encoding: { x, y: { ...y, field: 'accuracyLow' }, y2: { field: 'accuracyHigh' }, color },
              } as const,
            ]
          : []),
        {
          data: { values },
          mark: { type: 'line', aria: false, strokeWidth: 1.5 },
          encoding: { x, y, color, order: { field: 'parameter', type: 'quantitative' } },
        },
        {
          data: { values },
          mark: { type: 'point', filled: true, opacity: 1, stroke: 'white', strokeWidth: 0.8, size: 50 },
          encoding: { x, y, color, description: { field: 'label' } },
        },
        ...(hasChosen
          ? [
              {
                data: { values: values.filter((value) => value.chosen) },
                mark: { type: 'point', filled: false, size: 230, strokeWidth: 2, color: colours.ink, aria: false },
                encoding: { x, y },
              } as const,
            ]
          : []),
      ],
    },
  };
}

/** A little wider than the shares, but not below zero. */
function shareDomain(shares: readonly number[]): number[] {
  const [least, most] = [Math.min(...shares), Math.max(...shares)];
  const margin = (most - least) * 0.06 || 0.02;
  return [Math.max(0, least - margin), most + margin];
}

/** The colour of a rule in this figure and in that of its costs. */
export function ruleColour(curves: readonly SparsityCurve[]) {
  const rules = [...new Set(curves.map((curve) => curve.rule))];
  return {
    field: 'rule',
    type: 'nominal' as const,
    title: null,
    scale: { domain: rules, range: rules.map((_, index) => series[index % series.length]!) },
    legend: {
      orient: 'top' as const,
      symbolType: 'circle',
      symbolOpacity: 1,
      columns: legendColumns(rules, PLOT_WIDTH),
    },
  };
}

function measured({ measured }: SparsityCurve, { accuracy }: Result) {
  return measured ?? { split: 'test', examples: accuracy.examples, baseline: accuracy.baseline };
}

function row(curve: SparsityCurve, { parameter, sparsity, accuracy }: SparsityPoint, result: Result) {
  // Other metrics are no shares of examples, so their sampling error is not this one.
  const isShare = result.data.metric === 'accuracy';
  const [accuracyLow, accuracyHigh] = isShare ? shareInterval(accuracy, measured(curve, result).examples) : [];
  return {
    rule: curve.rule,
    name: curve.parameter,
    parameter,
    sparsity,
    accuracy,
    accuracyLow,
    accuracyHigh,
    chosen: curve.chosen === parameter ? 'yes' : 'no',
  };
}

/** "τ of dynatran, k of top-k" */
function parameters(curves: readonly SparsityCurve[]): string {
  return curves.map(({ parameter, rule }) => `${parameter} of ${rule}`).join(', ');
}

/** "the 872 validation examples" */
function places(curves: readonly SparsityCurve[], result: Result): string {
  const texts = curves.map((curve) => {
    const { split, examples } = measured(curve, result);
    return `the ${examples} ${split} examples`;
  });
  return [...new Set(texts)].join(' and ');
}
