/** Figures and tables of what happened over time, of stalls, and of one machine's components. */
import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import { areaFigure } from '../../src/report/figures/area.js';
import { energyFigure } from '../../src/report/figures/energy.js';
import { sampledMachines, timeAxes } from '../../src/report/figures/over-time.js';
import { powerOverTimeFigure } from '../../src/report/figures/power-over-time.js';
import { stallsFigure } from '../../src/report/figures/stalls.js';
import { timelineFigures } from '../../src/report/figures/timeline.js';
import { utilisationOverTimeFigure } from '../../src/report/figures/utilisation-over-time.js';
import { renderSimulation } from '../../src/report/report.js';
import { overTimeTable, stallsTable } from '../../src/report/sections/machines.js';
import type { SimulationResult } from '../../src/simulator/types.js';
import { electorSimulation, STALLS } from './elector-fixture.js';

const edge = electorSimulation();

/** A machine at 1 GHz with one series of a quantity. */
function recorded(
  values: readonly number[],
  cyclesPerSample: number,
  cycles: number,
  quantity: 'utilisation' | 'power' = 'utilisation',
): SimulationResult {
  return { ...edge, cycles, clockHertz: 1e9, overTime: { cyclesPerSample, series: [{ name: 'x', quantity, values }] } };
}

describe('series over time', () => {
  it('are drawn sample by sample while they are few, in seconds', () => {
    const [{ times, series }] = sampledMachines([recorded([0.2, 0.6], 100, 200)], 'utilisation') as [never];
    expect(times).toEqual([0, 1e-7, 2e-7]);
    expect(series).toEqual([{ name: 'x', values: [0.2, 0.6], mean: 0.4, peak: 0.6 }]);
  });

  it('weigh the last sample by the cycles that it covers', () => {
    // 100 cycles at 0 and 50 at 0.9: 45 busy cycles of 150.
    const [{ times, series }] = sampledMachines([recorded([0, 0.9], 100, 150)], 'utilisation') as [never];
    expect(times[2]).toBeCloseTo(1.5e-7, 15);
    expect((series[0] as { mean: number }).mean).toBeCloseTo(0.3, 12);
  });

  it('are averaged to at most 300 values, so that the mean over time stays', () => {
    const values = Array.from({ length: 1000 }, (_, s) => (s * 7919) % 101);
    const [{ machine, times, series }] = sampledMachines([recorded(values, 10, 10_000, 'power')], 'power') as [
      ReturnType<typeof sampledMachines>[number],
    ];
    const drawn = series[0]!;
    expect(drawn.values).toHaveLength(250);
    expect(drawn.values[0]).toBeCloseTo((values[0]! + values[1]! + values[2]! + values[3]!) / 4, 12);
    const seconds = machine.cycles / machine.clockHertz;
    const mean = drawn.values.reduce((sum, value, s) => sum + value * (times[s + 1]! - times[s]!), 0) / seconds;
    expect(mean).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / 1000, 9);
    expect(drawn.peak).toBe(100);
  });

  it('share an axis unless a run is shorter than a tenth of the longest', () => {
    const axes = (cycles: number) =>
      timeAxes(sampledMachines([recorded([1], 1000, 1000), recorded([1], cycles, cycles)], 'utilisation'));
    expect(axes(100).shared).toBe(true);
    expect(axes(99).shared).toBe(false);
    expect(axes(99).note).toContain('a time axis of its own');
  });

  it('are rows of the figures, one per machine, series and value', () => {
    const server = electorSimulation({ name: 'server', cycles: 60_000, samples: 5 });
    const utilisation = utilisationOverTimeFigure([edge, server])!;
    expect(utilisation.rows).toHaveLength(6 * 240 + 6 * 5);
    expect(utilisation.rows.at(-1)).toEqual({
      machine: 'server',
      series: 'mask buffer',
      startSeconds: 48_000 / 700e6,
      endSeconds: 60_000 / 700e6,
      utilisation: 0.7,
    });
    const power = powerOverTimeFigure([edge, server])!;
    expect(power.rows).toHaveLength(5 * 240 + 5 * 5);
    expect(Object.keys(power.rows[0]!)).toContain('milliwatts');
  });

  it('give power whose peak is that of the parts together', () => {
    const parts = { ...recorded([], 100, 200), name: 'm' };
    const machine = {
      ...parts,
      overTime: {
        cyclesPerSample: 100,
        series: [
          { name: 'a', quantity: 'power', values: [1000, 3000] },
          { name: 'b', quantity: 'power', values: [4000, 500] },
        ],
      },
    } as const;
    // Mean (5000 + 3500) / 2 mW; the parts' own peaks, 3 and 4 W, never meet.
    expect(JSON.stringify(powerOverTimeFigure([machine])!.spec)).toContain('m: mean 4.25\u00a0W, peak 5.00\u00a0W');
  });

  it('have a table of means and peaks', () => {
    const text = overTimeTable([edge])!.text;
    expect(text).toContain('utilisation of MAC lanes');
    expect(text).toContain('6.40\u00a0W');
  });
});

describe('stalls', () => {
  it('are shown by cause, zeros included', () => {
    const figure = stallsFigure([edge])!;
    expect(figure.rows).toEqual(
      Object.entries(STALLS).map(([kind, stalls]) => ({ machine: 'elector-edge', kind, stalls })),
    );
    expect(stallsTable([edge])!.text).toMatch(/data buffer full<\/th><td class="number">0</);
  });

  it('have a logarithmic scale when causes differ a hundredfold, and a linear one otherwise', () => {
    const title = (stalls: Record<string, number>) => JSON.stringify(stallsFigure([{ ...edge, stalls }])!.spec);
    expect(title({ a: 100, b: 1, c: 0 })).toContain('symlog');
    expect(title({ a: 99, b: 1, c: 0 })).not.toContain('symlog');
  });

  it('are left out when nothing waited', () => {
    expect(stallsFigure([{ ...edge, stalls: { a: 0 } }])).toBeUndefined();
  });
});

describe('components of a single machine', () => {
  it('stand below one another, the largest first, with dynamic and leakage', () => {
    const figure = energyFigure([edge])!;
    const spec = JSON.stringify(figure.spec);
    expect(spec.indexOf('833\u00a0µJ (38.7\u00a0%)')).toBeGreaterThan(0);
    expect(spec.indexOf('833\u00a0µJ')).toBeLessThan(spec.indexOf('745\u00a0µJ'));
    // 117 nJ of 2.15 mJ would round to nothing.
    expect(spec).toContain('117\u00a0nJ (<0.1\u00a0%)');
    expect(figure.rows[0]).toMatchObject({ dynamicPicojoules: 785_050_768, leakagePicojoules: 48_258_192 });
    expect(areaFigure([edge])!.rows).toHaveLength(edge.area.length);
  });

  it('of several machines stand on one scale, leakage paler where it matters', () => {
    const leaky = JSON.stringify(energyFigure([edge, edge])!.spec);
    expect(leaky).toContain('datum.pale');
    const tight = {
      ...edge,
      energy: edge.energy.map((part) => ({ ...part, leakagePicojoules: part.leakagePicojoules / 100 })),
    };
    expect(JSON.stringify(energyFigure([tight, tight])!.spec)).not.toContain('datum.pale');
  });
});

describe('the report of simulations', () => {
  it('shows what was recorded, and the timeline by its own name', async () => {
    const { figures, html } = await renderSimulation([edge]);
    expect(figures.map(({ name }) => name)).toEqual([
      'energy',
      'area',
      'utilisation',
      'utilisation-over-time',
      'power-over-time',
      'stalls',
      'timeline-1-elector-edge',
    ]);
    expect(html).toContain('Timeline of the first two layers on elector-edge');
    const stalls = figures.find(({ name }) => name === 'stalls')!;
    expect(parse(stalls.csv, { columns: true })).toContainEqual({
      machine: 'elector-edge',
      kind: 'producerNotDone',
      stalls: '29922',
    });
  });

  it('has no empty figures or tables where nothing was recorded', async () => {
    const { overTime: _, stalls: __, ...bare } = { ...edge, timeline: [] };
    const { figures, html } = await renderSimulation([bare]);
    expect(figures.map(({ name }) => name)).toEqual(['energy', 'area', 'utilisation']);
    expect(html).not.toMatch(/stalls|over time/i);
    expect(timelineFigures([bare])).toEqual([]);
    expect(utilisationOverTimeFigure([bare])).toBeUndefined();
    expect(overTimeTable([bare])).toBeUndefined();
    expect(stallsTable([bare])).toBeUndefined();
  });
});
