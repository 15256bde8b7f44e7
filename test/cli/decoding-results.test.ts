import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import { decodingText } from '../../src/cli/decoding-results.js';
import { decodingResult } from '../report/decoding-fixture.js';

const plainSpaces = (text: string) => text.replace(/[\u00a0\u202f]/g, ' ');

test('the text of a run on decoding has quality, depth, thresholds and machines', () => {
  const text = plainSpaces(decodingText(decodingResult(), 'runs/toex', 'table'));
  for (const part of [
    '24.50 on 65 536 test tokens',
    '24.72 (+0.90 %)',
    '98.15 %',
    '99.67 %',
    'of 12: 2.95× fewer',
    '0.9 – 0.8 0.75 0.7 – 0.6 0.55 0.5 – 0.4, calibrated',
    'state propagation',
    'runs/toex/report.html',
    'hp-leopard',
  ]) {
    expect(text).toContain(part);
  }
});

test('thresholds of deep decoders are cut, and those that were given are not said to be calibrated', () => {
  const text = decodingText(decodingResult({ layers: 48, calibrated: false }), 'runs/toex', 'table');
  expect(text).toMatch(/… \(47 in all\) +│/);
});

test('JSON is the whole result, CSV a line for each machine', () => {
  const result = decodingResult();
  expect(JSON.parse(decodingText(result, 'runs/toex', 'json'))).toEqual(JSON.parse(JSON.stringify(result)));
  const rows: { name: string }[] = parse(decodingText(result, 'runs/toex', 'csv'), { columns: true });
  expect(rows.map(({ name }) => name)).toEqual(result.machines.map(({ name }) => name));
});
