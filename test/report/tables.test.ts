import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import { machineColumns } from '../../src/report/machine-columns.js';
import { type Column, csv, formatTable } from '../../src/report/tables.js';
import { runResult } from './fixture.js';

const columns: Column<{ name: string; cycles?: number }>[] = [
  { key: 'name', header: 'machine', value: (row) => row.name },
  {
    key: 'cycles',
    header: 'cycles',
    value: (row) => row.cycles,
    text: (row) => (row.cycles ? `${row.cycles} c` : '–'),
  },
];
const rows = [{ name: 'a, "b"\nc', cycles: 12 }, { name: 'd' }];

describe('tables', () => {
  it('prints text with headings and formatted cells', () => {
    const text = formatTable([{ name: 'd', cycles: 7 }], columns);
    expect(text).toContain('machine');
    expect(text).toContain('7 c');
    expect(text.endsWith('\n')).toBe(true);
  });

  it('prints raw values as JSON, leaving out what is undefined', () => {
    expect(JSON.parse(formatTable(rows, columns, 'json'))).toEqual([
      { name: rows[0]!.name, cycles: 12 },
      { name: 'd' },
    ]);
  });

  it('prints raw values as CSV that another reader understands', () => {
    expect(parse(formatTable(rows, columns, 'csv'), { columns: true })).toEqual([
      { name: rows[0]!.name, cycles: '12' },
      { name: 'd', cycles: '' },
    ]);
  });

  it('keeps the header of an empty table', () => {
    expect(formatTable([], columns, 'csv')).toBe('name,cycles\n');
    expect(JSON.parse(formatTable([], columns, 'json'))).toEqual([]);
  });

  it('does not let a name control the terminal', () => {
    expect(formatTable([{ name: '\u001b[2Jx' }], columns)).not.toContain('\u001b');
  });

  it('writes every digit of a number', () => {
    expect(csv([{ x: 0.1 + 0.2, y: 1e-21, z: true }])).toBe('x,y,z\n0.30000000000000004,1e-21,true\n');
  });

  it('shows machines, the infeasible one with its reason', () => {
    const { machines } = runResult();
    const text = formatTable(machines, machineColumns);
    expect(text).toMatch(/ae-leopard.*yes.*1\.91×/);
    expect(text).toMatch(/tiny-leopard.*K buffer needs/);
    expect(text).not.toContain('why not');
    const records = JSON.parse(formatTable(machines, machineColumns, 'json'));
    const { energyLowPicojoules, energyPicojoules, energyHighPicojoules } = records[0];
    expect(energyLowPicojoules).toBeLessThan(energyPicojoules);
    expect(energyHighPicojoules).toBeGreaterThan(energyPicojoules);
    expect(records[0].cycles).toBe(117_964_800);
    expect(records[3]).toEqual({
      name: 'tiny-leopard',
      feasible: false,
      infeasibility: expect.stringContaining('K buffer needs'),
    });
  });
});
