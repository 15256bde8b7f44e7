/** The plain model of memory: bytes over bandwidth, energy per bit. */
import { expect, test } from 'vitest';
import { dram } from '../../../src/hardware/components/index.js';
import { bandwidthMemory } from '../../../src/simulator/memory/bandwidth.js';

const technology = { nodeNanometres: 40, voltage: 0.9, clockHertz: 1e9 };
const memory = bandwidthMemory(12.8, 'lpddr4', technology);

test('transfers take their bytes over the bandwidth, in whole cycles, whatever their direction', () => {
  expect([0, 12.8, 13, 128].map((bytes) => memory.cycles(bytes, 'read'))).toEqual([0, 1, 2, 10]);
  expect(memory.cycles(13, 'write')).toBe(2);
  expect(memory.latencyCycles).toBe(0);
});

test('energy is that of the bits that move, however long the run takes', () => {
  const actions = memory.actions({ readBits: 80, writtenBits: 16, cycles: 1e6 });
  expect(actions).toEqual({ read: 80, write: 16 });
  expect(memory.cost).toEqual(dram.cost({ type: 'lpddr4' }, technology));
});
