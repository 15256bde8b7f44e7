/** Figures of techniques that prune matrices: curves, their costs, zeros by matrix and by step. */
import { describe, expect, it } from 'vitest';
import { curveCostsFigure } from '../../src/report/figures/curve-costs.js';
import { curvesFigure } from '../../src/report/figures/curves.js';
import { sparsityFigure } from '../../src/report/figures/sparsity.js';
import { zerosFigure } from '../../src/report/figures/zeros.js';
import { shareInterval } from '../../src/report/format.js';
import { renderReport } from '../../src/report/report.js';
import { sparseRun } from './elector-fixture.js';
import { runResult } from './fixture.js';

const run = sparseRun();
const drawn = (spec: object, text: string) => JSON.stringify(spec).includes(text);

describe('sparsity curves', () => {
  const figure = curvesFigure(run)!;

  it('have a row per point, with the interval of its accuracy', () => {
    expect(figure.rows).toHaveLength(30);
    const [accuracyLow, accuracyHigh] = shareInterval(0.93, 872);
    expect(figure.rows[0]).toEqual({
      rule: 'dynatran',
      name: 'τ',
      parameter: 0,
      sparsity: 0,
      accuracy: 0.93,
      accuracyLow,
      accuracyHigh,
      chosen: 'no',
    });
  });

  it('mark the point that the run goes on with, once', () => {
    expect(figure.rows.filter(({ chosen }) => chosen === 'yes')).toEqual([
      expect.objectContaining({ parameter: 0.06 }),
    ]);
    expect(figure.caption).toContain('ringed');
    const unchosen = curvesFigure({ ...run, curves: [run.curves![1]!] })!;
    expect(unchosen.caption).not.toContain('ringed');
  });

  it('have no interval for metrics that are not shares of examples', () => {
    const other = curvesFigure({ ...run, data: { ...run.data, metric: 'matthews' } })!;
    expect(other.rows.every(({ accuracyLow }) => accuracyLow === undefined)).toBe(true);
    expect(other.caption).not.toContain('interval');
    expect(other.title).toBe('Matthews against zeros');
  });

  it('are compared with the baseline of where they were measured: the test split unless they say otherwise', () => {
    expect(figure.caption).toContain('the 872 validation examples');
    const { measured: _, ...plain } = run.curves![0]!;
    const onTest = curvesFigure({ ...run, curves: [plain] })!;
    expect(onTest.caption).toContain('the 2000 test examples');
    expect(drawn(onTest.spec, '{"accuracy":0.8765}')).toBe(true);
  });

  it('are drawn against cycles and energy on each machine where points were simulated', () => {
    const costs = curveCostsFigure(run)!;
    const points = run.curves!.flatMap((curve) => curve.points.flatMap((point) => point.costs));
    expect(costs.rows.map(({ cycles }) => cycles)).toEqual(points.map(({ cycles }) => cycles));
    const bare = run.curves!.map((curve) => ({ ...curve, points: curve.points.map((p) => ({ ...p, costs: [] })) }));
    expect(curveCostsFigure({ ...run, curves: bare })).toBeUndefined();
  });
});

describe('zeros by layer and matrix', () => {
  const mask = { layer: 0, matrix: 'query', phase: 'forward', zeros: 1, elements: 8 } as const;

  it('are shares, without matrices that hold nothing', () => {
    const figure = zerosFigure({ masks: [mask, { ...mask, layer: 1, zeros: 0, elements: 0 }] })!;
    expect(figure.rows).toEqual([{ ...mask, share: 0.125 }]);
  });

  it('have a panel per phase that was recorded, matrices in the order in which a layer needs them', () => {
    const names = ['own', 'ffn.weight.0', 'ffn.output', 'ffn.hidden.10', 'ffn.hidden.2', 'probabilities', 'query'];
    const { spec } = zerosFigure({ masks: names.map((matrix) => ({ ...mask, matrix })) })!;
    const order = ['query', 'probabilities', 'ffn.hidden.2', 'ffn.hidden.10', 'ffn.output', 'ffn.weight.0', 'own'];
    expect(drawn(spec, `"domain":${JSON.stringify(order)}`)).toBe(true);
    expect(drawn(spec, 'forward:') && !drawn(spec, 'backward:')).toBe(true);
  });
});

describe('zeros by training step', () => {
  it('are the monitors that are named so, by stage and step', () => {
    const point = { stage: 'adapted', step: 3, loss: 1, penalty: 0, thresholds: [] } as const;
    const training = [
      { ...point, step: 2, monitors: { alive: 0.5 } as Record<string, number> },
      { ...point, monitors: { alive: 0.5, 'sparsity.weightGradients': 0.25 } },
    ];
    expect(sparsityFigure({ training })!.rows).toEqual([
      { stage: 'adapted', step: 3, monitor: 'weight gradients', share: 0.25 },
    ]);
    expect(sparsityFigure({ training: training.slice(0, 1) })).toBeUndefined();
  });
});

describe('the report', () => {
  it('of such a run has these figures in the order in which one reads them, and speaks of matrices', async () => {
    const { figures, html } = await renderReport(run);
    expect(figures.map(({ name }) => name).slice(0, 5)).toEqual([
      'curves',
      'curve-costs',
      'zeros',
      'training',
      'sparsity',
    ]);
    expect(html).toContain('of the entries of its pruned matrices zero');
    expect(html).not.toContain('mean bits');
  });

  it('of any other run has none of them', async () => {
    const { figures } = await renderReport(runResult());
    for (const { name } of figures) expect(name).not.toMatch(/curve|zeros|sparsity|over-time|stalls/);
  });
});

describe('zeros while training', () => {
  it('stand in the summary, by kind', async () => {
    const { html } = await renderReport({
      ...run,
      trainingSparsity: { gradients: 0.7654, 'parameter-gradients': 0.5 },
    });
    expect(html).toMatch(/zero gradients<\/dt>\s*<dd>76\.5/);
    expect(html).toContain('zero parameter gradients');
    expect((await renderReport(run)).html).not.toContain('zero gradients');
  });
});
