import { describe, expect, test } from 'vitest';
import { resolveMachine } from '../../src/experiment/machines.js';
import type { LeopardConfig } from '../../src/simulator/leopard-config.js';

describe('changes to a preset', () => {
  const resolved = (set: Record<string, unknown>) =>
    resolveMachine({ preset: 'leopard-baseline', set }).config as LeopardConfig;

  test('leave the rest of the preset alone, written as a path or as a group', () => {
    const original = resolved({});
    const expected = { ...original, frontEnd: { ...original.frontEnd, fillCycles: 9 } };
    expect(resolved({ 'frontEnd.fillCycles': 9 })).toEqual(expected);
    expect(resolved({ frontEnd: { fillCycles: 9 } })).toEqual(expected);
  });

  test('to a setting that does not exist are refused, inside a group too', () => {
    expect(() => resolved({ frontEnd: { unitz: 9 } })).toThrow(/frontEnd\.unitz/);
  });
});
