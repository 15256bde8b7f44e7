/** The plain model of memory: bits over bandwidth, energy per bit. */
import { expect, test } from 'vitest';
import { dram } from '../../../src/hardware/components/index.js';
import { BandwidthMemory } from '../../../src/simulator/memory/bandwidth.js';

const technology = { nodeNanometres: 40, voltage: 0.9, clockHertz: 1e9 };
const memory = new BandwidthMemory(102.4, 'lpddr4', technology);

test('transfers take their bits over the bandwidth, in whole cycles, whatever their direction', () => {
  const reads = [0, 102, 103, 1024].map((readBits) => memory.cycles({ readBits, writtenBits: 0 }));
  expect(reads).toEqual([0, 1, 2, 10]);
  expect(memory.cycles({ readBits: 50, writtenBits: 53 })).toBe(2);
  expect(memory.latencyCycles).toBe(0);
});

test('energy is that of the bits that move', () => {
  expect(memory.actions({ readBits: 80, writtenBits: 16 })).toEqual({ read: 80, write: 16 });
  expect(memory.cost).toEqual(dram.cost({ type: 'lpddr4' }, technology));
});
