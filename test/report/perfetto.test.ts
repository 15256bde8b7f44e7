/** The trace file against the rules of Chrome's JSON trace event format, and against what Perfetto makes of it. */
import { describe, expect, it } from 'vitest';
import { perfettoTrace, type TraceEvent } from '../../src/report/perfetto.js';
import { renderReport } from '../../src/report/report.js';
import { electorSimulation, sparseRun } from './elector-fixture.js';
import { runResult } from './fixture.js';

const parsed = (text: string | undefined) =>
  JSON.parse(text!) as { displayTimeUnit: string; traceEvents: (TraceEvent & Record<string, unknown>)[] };
const eventsOf = (...machines: Parameters<typeof perfettoTrace>[0]) => parsed(perfettoTrace(machines)).traceEvents;

/** Perfetto's reading of a time: whole nanoseconds, the rest cut off. */
const nanoseconds = (microseconds: number) => Math.trunc(microseconds * 1000);

function byThread(events: readonly TraceEvent[]): TraceEvent[][] {
  const threads = new Map<string, TraceEvent[]>();
  for (const event of events.filter(({ ph }) => ph === 'X')) {
    const key = `${event.pid} ${event.tid}`;
    threads.set(key, [...(threads.get(key) ?? []), event]);
  }
  return [...threads.values()];
}

describe('the trace file for viewers', () => {
  const edge = electorSimulation();
  const server = electorSimulation({ name: 'elector-server', cycles: 30_011, samples: 7 });
  const events = eventsOf(edge, server);

  it('has the fields that the format asks of each kind of event', () => {
    for (const event of events) {
      expect(event.name).toBeTypeOf('string');
      expect(event.pid).toBeGreaterThan(0);
      expect(['M', 'X', 'C']).toContain(event.ph);
      if (event.ph !== 'M') expect(event.ts).toBeGreaterThanOrEqual(0);
      if (event.ph === 'X') {
        expect(event.tid).toBeGreaterThan(0);
        expect(event.dur).toBeGreaterThanOrEqual(0);
      }
      if (event.ph === 'C') expect(Object.values(event.args).every((value) => typeof value === 'number')).toBe(true);
    }
    expect(parsed(perfettoTrace([edge])).displayTimeUnit).toBe('ns');
  });

  it('is a process per machine and a thread per lane, each with its name and no number given twice', () => {
    const names = (kind: string) => events.filter(({ name }) => name === kind).map(({ args }) => args.name);
    expect(names('process_name')).toEqual(['elector-edge', 'elector-server']);
    const lanes = edge.timeline.map(({ lane }) => lane);
    expect(names('thread_name')).toEqual([...lanes, ...lanes]);
    const processes = events.filter(({ name }) => name === 'process_name').map(({ pid }) => pid);
    const threads = events.filter(({ name }) => name === 'thread_name').map(({ tid }) => tid);
    expect(new Set([...processes, ...threads]).size).toBe(2 + 2 * lanes.length);
  });

  it('is in order of time, names first', () => {
    const times = events.map(({ ts = -1 }) => ts);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('keeps the intervals of a lane apart, also after cutting to whole nanoseconds', () => {
    const threads = byThread(events);
    expect(threads).toHaveLength(6);
    for (const thread of threads) {
      for (const [index, event] of thread.slice(1).entries()) {
        const before = thread[index]!;
        expect(nanoseconds(event.ts!)).toBeGreaterThanOrEqual(nanoseconds(before.ts!) + nanoseconds(before.dur!));
      }
    }
  });

  it('gives simulated time, to half a nanosecond, and exact cycles', () => {
    const intervals = edge.timeline.flatMap(({ busy }) => busy).sort((a, b) => a.start - b.start);
    const drawn = eventsOf(edge).filter(({ ph }) => ph === 'X');
    expect(drawn).toHaveLength(intervals.length);
    for (const [index, { start, end, label }] of intervals.entries()) {
      const event = drawn[index]!;
      expect(event.name).toBe(label);
      expect(event.args).toEqual({ startCycle: start, endCycle: end, cycles: end - start });
      expect(Math.abs(event.ts! - start / 700)).toBeLessThanOrEqual(0.0005 + 1e-9);
      expect(Math.abs(event.ts! + event.dur! - end / 700)).toBeLessThanOrEqual(0.0005 + 1e-9);
    }
  });

  it('counts every series in its unit, a value per sample and zero at the end', () => {
    const { cyclesPerSample, series } = server.overTime!;
    for (const { name, quantity, values } of series) {
      const [unit, factor] = quantity === 'utilisation' ? ['%', 100] : ['mW', 1];
      const counter = eventsOf(server).filter((event) => event.ph === 'C' && event.name === `${name} (${unit})`);
      expect(counter.map(({ args }) => args[unit])).toEqual([...values.map((value) => value * factor), 0]);
      expect(nanoseconds(counter[1]!.ts!)).toBe(Math.round((cyclesPerSample / 700e6) * 1e9));
      expect(nanoseconds(counter.at(-1)!.ts!)).toBe(Math.round((server.cycles / 700e6) * 1e9));
    }
  });

  it('escapes names: any text stays text', () => {
    const name = '"}],\n\u2028</script>\u0000 \ud800 é';
    const hostile = { ...edge, name, timeline: [{ lane: name, busy: [{ start: 0, end: 1, label: name }] }] };
    const [first] = eventsOf(hostile).filter((event) => event.name === 'process_name');
    expect(first!.args.name).toBe('"}],\n\u2028</script>\ufffd \ufffd é');
  });

  it('is left out when there is nothing to show', async () => {
    const { overTime: _, ...bare } = { ...edge, timeline: [] };
    expect(perfettoTrace([bare])).toBeUndefined();
    expect(perfettoTrace([])).toBeUndefined();
    const run = runResult({ machines: 1 });
    const report = await renderReport(run);
    expect(report.perfetto).toBeUndefined();
    expect(report.html).not.toContain('perfetto');
  });

  it('lies beside a report, which links it and says how to open it', async () => {
    const report = await renderReport(sparseRun());
    expect(parsed(report.perfetto).traceEvents.length).toBeGreaterThan(1000);
    expect(report.html).toContain('<a href="figures/timeline.perfetto.json">');
    expect(report.html).toContain('ui.perfetto.dev');
  });
});
