import { expect, test } from 'vitest';
import { checkExits, exitChecks, TOEX_NOTE } from '../../src/trace/exits.js';
import type { TokenExitsRecord } from '../../src/trace/types.js';

const inconsistent = (message: RegExp) =>
  expect.objectContaining({ code: 'TANDEM_TRACE_INCONSISTENT', message: expect.stringMatching(message) });
const noted = (note: unknown) => ({ layers: 4, notes: { [TOEX_NOTE]: JSON.stringify(note) } });

test('the header says after which layers exits are checked, and for how many candidates', () => {
  expect(exitChecks(noted({ checks: [1, 3], candidates: 300 }))).toEqual({ checks: [1, 3], candidates: 300 });
  expect(exitChecks(noted({ checks: [], candidates: 1 })).checks).toEqual([]);
});

test.each([
  [{ layers: 4, notes: {} }, /missing/],
  [{ layers: 4, notes: { [TOEX_NOTE]: '{' } }, /not JSON/],
  [noted(null), /candidates/],
  [noted({ checks: [1], candidates: 0 }), /candidates/],
  [noted({ checks: [1.5], candidates: 9 }), /1 … 3/],
  [noted({ checks: [2, 1], candidates: 9 }), /ascending/],
  [noted({ checks: [4], candidates: 9 }), /1 … 3/],
  [noted({ checks: 2, candidates: 9 }), /1 … 3/],
])('refuses the header %j', (header, message) => {
  expect(() => exitChecks(header)).toThrow(inconsistent(message));
});

const record = (exits: number[], change: Partial<TokenExitsRecord> = {}): TokenExitsRecord => ({
  kind: 'token-exits',
  sequence: 0,
  layers: 4,
  prompt: 1,
  exits: Uint16Array.from(exits),
  ...change,
});

test('exits lie where checks are made, or at the end', () => {
  expect(() => checkExits(record([4, 2, 1, 2, 4]), 4, [1, 2])).not.toThrow();
  expect(() => checkExits(record([2, 2, 1], { prompt: 2 }), 4, [1, 2])).not.toThrow();
});

test.each([
  [record([0]), /ran 0 of 4/],
  [record([5]), /ran 5 of 4/],
  [record([3]), /no check/],
  [record([2, 1], { prompt: 2 }), /run together/],
  [record([1], { prompt: 2 }), /the prompt/],
  [record([1], { prompt: 0 }), /the prompt/],
  [record([1], { layers: 12 }), /12 layers/],
])('refuses exits %#', (exits, message) => {
  expect(() => checkExits(exits, 4, [1, 2])).toThrow(inconsistent(message));
});
