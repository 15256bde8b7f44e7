import { parse } from 'csv-parse/sync';
import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import type { MachineOutcome } from '../../src/experiment/result.js';
import type { Report } from '../../src/report/assemble.js';
import { componentColours } from '../../src/report/figures/components.js';
import { energyFigure } from '../../src/report/figures/energy.js';
import { thinned } from '../../src/report/figures/training.js';
import { withRatios } from '../../src/report/ratios.js';
import { renderReport, renderSimulation } from '../../src/report/report.js';
import { runResult } from './fixture.js';

type Feasible = Extract<MachineOutcome, { feasible: true }>;

const feasible = (result = runResult()) => result.machines.filter((machine): machine is Feasible => machine.feasible);

/** A figure's data as a reader of its CSV gets it. */
function data(report: Report, name: string): Record<string, string>[] {
  const figure = report.figures.find((candidate) => candidate.name === name);
  expect(figure, `figure ${name}`).toBeDefined();
  return parse(figure!.csv, { columns: true });
}

let warnings: MockInstance;
beforeEach(() => {
  warnings = vi.spyOn(console, 'warn').mockImplementation(() => {});
});
afterEach(() => {
  expect(warnings.mock.calls, 'warnings of the drawing library').toEqual([]);
  warnings.mockRestore();
});

describe('figures hold what the result holds', async () => {
  const result = runResult();
  const report = await renderReport(result);

  it('draws every figure once, in the order of the page', () => {
    expect(report.figures.map((figure) => figure.name)).toEqual([
      'tradeoff',
      'heads',
      'training',
      'thresholds',
      'stop-bits',
      'energy',
      'area',
      'utilisation',
      'timeline-1-ae-leopard',
      'timeline-2-hp-leopard',
    ]);
  });

  it('accuracy against pruning: each setting, the model as learned, and the baseline', () => {
    const rows = data(report, 'tradeoff');
    expect(rows).toHaveLength(result.tradeoff.length + 2);
    for (const point of result.tradeoff) {
      expect(rows).toContainEqual({
        kind: 'thresholds moved',
        shift: String(point.shift),
        accuracy: String(point.accuracy),
        pruningRate: String(point.pruningRate),
      });
    }
    expect(rows[0]).toMatchObject({ kind: 'baseline, no pruning', accuracy: String(result.accuracy.baseline) });
  });

  it('heads: all statistics of each head', () => {
    const rows = data(report, 'heads');
    expect(
      rows.map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, Number(value)]))),
    ).toEqual(result.heads);
  });

  it('thresholds: one value per layer and drawn step', () => {
    const rows = data(report, 'thresholds');
    const adapted = result.training.filter((point) => point.stage === 'adapted');
    const last = adapted.at(-1)!;
    expect(rows.filter((row) => row.step === String(last.step)).map((row) => Number(row.threshold))).toEqual(
      last.thresholds,
    );
  });

  it('stop bits: shares that add up to one, equal machines together', () => {
    const rows = data(report, 'stop-bits');
    expect(new Set(rows.map((row) => row.machine))).toEqual(new Set(['ae-leopard, hp-leopard']));
    expect(rows.reduce((sum, row) => sum + Number(row.share), 0)).toBeCloseTo(1, 12);
  });

  it('energy and area: components that add up to the totals of their machine', () => {
    for (const machine of feasible(result)) {
      const own = (name: string) => data(report, name).filter((row) => row.machine === machine.name);
      const energy = own('energy').reduce(
        (sum, row) => sum + Number(row.dynamicPicojoules) + Number(row.leakagePicojoules),
        0,
      );
      const area = own('area').reduce((sum, row) => sum + Number(row.squareMicrometres), 0);
      expect(energy / machine.energyPicojoules).toBeCloseTo(1, 12);
      expect(area / machine.areaSquareMicrometres).toBeCloseTo(1, 12);
    }
  });

  it('energy bars are as long as the energies, on one scale for all machines', () => {
    const figure = report.figures.find((candidate) => candidate.name === 'energy')!;
    const lengths = [...figure.svg.matchAll(/<path d="M([\d.]+),[\d.]+h([\d.]+)[^"]*"[^>]*><title>([^,]+), /g)];
    const drawn = new Map<string, number>();
    for (const [, , length, machine] of lengths) drawn.set(machine!, (drawn.get(machine!) ?? 0) + Number(length));
    const [first, second] = feasible(result) as [Feasible, Feasible];
    expect(drawn.get(second.name)! / drawn.get(first.name)!).toBeCloseTo(
      second.energyPicojoules / first.energyPicojoules,
      2,
    );
  });

  it('every mark of a bar chart says its value in a tooltip', () => {
    const figure = report.figures.find((candidate) => candidate.name === 'utilisation')!;
    expect(figure.svg).toContain('<title>ae-leopard, V-PU: busy 41.3\u00a0% of the time</title></path>');
  });

  it('a specification is complete: it carries its data and its schema', () => {
    for (const { spec, name } of report.figures) {
      expect(spec.$schema, name).toMatch(/vega-lite\/v6/);
      expect(JSON.stringify(spec), name).toContain('"values"');
      expect(JSON.stringify(spec), name).not.toContain('"url"');
    }
  });
});

describe('figures of unusual results', () => {
  it('draws 24 layers of 16 heads and one machine', async () => {
    const result = runResult({ layers: 24, heads: 16, steps: 2000, machines: 1, infeasible: false });
    const report = await renderReport(result);
    expect(data(report, 'heads')).toHaveLength(384);
    expect(report.figures.map((figure) => figure.name)).not.toContain('timeline-1-baseline');
  });

  it('draws one layer with one head', async () => {
    const report = await renderReport(runResult({ layers: 1, heads: 1, steps: 2, machines: 1 }));
    expect(data(report, 'heads')).toHaveLength(1);
  });

  it('leaves out figures that have no data', async () => {
    const report = await renderReport({ ...runResult(), machines: [], heads: [], tradeoff: [], training: [] });
    expect(report.figures).toEqual([]);
    expect(report.html).toContain('id="provenance"');
  });

  it('reports simulations alone, the first feasible machine being the reference', async () => {
    const { machines } = runResult();
    const report = await renderSimulation([machines[3]!, machines[1]!, machines[2]!]);
    expect(report.figures.map((figure) => figure.name)).toContain('energy');
    expect(report.html).toMatch(/ae-leopard<small>reference/);
    expect(report.html).toContain('Infeasible');
  });

  it('groups the smallest of many components, and gives a component one colour everywhere', () => {
    const machines = feasible();
    const { groups, groupOf } = componentColours(machines);
    expect(groups).toHaveLength(8);
    expect(groups.at(-1)!.name).toBe('3 smaller components');
    expect(groupOf('Index FIFO')).toBe('3 smaller components');
    expect(new Set(groups.map((group) => group.colour)).size).toBe(8);
    expect(energyFigure(machines)!.rows.map((row) => row.component)).toContain('Index FIFO');
  });

  it('thins long trainings evenly and keeps the last step', () => {
    const { training } = runResult({ steps: 1000 });
    const { points, every } = thinned(training);
    expect(every).toBe(4);
    expect(points.filter((point) => point.stage === 'baseline')).toHaveLength(251);
    expect(points.at(-1)).toBe(training.at(-1));
  });
});

describe('ratios to the reference machine', () => {
  it('are time and energy saved, and area added', () => {
    const [, machine] = withRatios(
      feasible().map((entry, index) => ({
        ...entry,
        cycles: [100, 80][index] ?? 1,
        clockHertz: [1e9, 2e9][index] ?? 1,
        energyPicojoules: [10, 4][index] ?? 1,
        areaSquareMicrometres: [8, 10][index] ?? 1,
      })),
    );
    // 100 cycles at 1 GHz against 80 at 2 GHz: 100 ns over 40 ns.
    expect(machine).toMatchObject({ speedup: 2.5, energyRatio: 2.5, areaRatio: 1.25 });
  });
});
