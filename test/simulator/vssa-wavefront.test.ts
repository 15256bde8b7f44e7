import fc from 'fast-check';
import { expect, test } from 'vitest';
import { vssaSchema } from '../../src/simulator/vssa-config.js';
import { wavefronts } from '../../src/simulator/vssa-wavefront.js';

const config = vssaSchema.parse({ array: { rows: 3, columns: 4 } });
const sizes = { headDim: 5, valueDim: 5 };

test('PEs work or wait in every cycle, and do the same work in both orders', () => {
  const tokens = fc
    .array(fc.constantFrom(0, 4, 8), { minLength: 1, maxLength: 9 })
    .filter((bits) => bits.some(Boolean));
  fc.assert(
    fc.property(tokens, (bits) => {
      for (const { rows, columns, worked, waited, finished, cycles } of wavefronts(
        config,
        Uint8Array.from(bits),
        sizes,
      )) {
        expect([rows, columns]).toEqual([3, 4]);
        for (const [pe, work] of worked.entries()) {
          expect(work + waited[pe]!).toBe(cycles);
          expect(finished[pe]).toBeGreaterThanOrEqual(work);
        }
        expect(Math.max(...finished)).toBe(cycles);
      }
    }),
  );
});

test('grouping saves time where widths alternate', () => {
  const [before, after] = wavefronts(config, Uint8Array.from([4, 4, 8, 8, 4, 4, 4, 8]), sizes);
  expect(before!.title).toBe('tokens in their order');
  expect(after!.worked.reduce((a, b) => a + b)).toBeGreaterThan(0);
  expect(after!.cycles / after!.worked.reduce((a, b) => a + b)).toBeLessThan(
    before!.cycles / before!.worked.reduce((a, b) => a + b),
  );
});
