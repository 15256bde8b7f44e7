import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { STALL_RELIEFS, vssaSchema } from '../../src/simulator/vssa-config.js';
import { referenceTile, total } from '../../src/simulator/vssa-reference.js';
import { wavefronts } from '../../src/simulator/vssa-wavefront.js';

const sizes = { headDim: 5, valueDim: 5, pseudoBits: 0, queries: 'all' } as const;
const configOf = (stallRelief: (typeof STALL_RELIEFS)[number]) =>
  vssaSchema.parse({ array: { rows: 3, columns: 4 }, stallRelief });
const tokens = fc
  .array(fc.constantFrom(0, 4, 8), { minLength: 1, maxLength: 20 })
  .filter((bits) => bits.some(Boolean))
  .map((bits) => Uint8Array.from(bits));

test('PEs work or wait in every cycle, and do the same work in both orders', () => {
  fc.assert(
    fc.property(fc.constantFrom(...STALL_RELIEFS), tokens, (relief, bits) => {
      const works = wavefronts(configOf(relief), bits, sizes).map((array) => {
        const { rows, columns, worked, waited, finished, cycles } = array;
        expect([rows, columns]).toEqual([3, 4]);
        for (const [pe, work] of worked.entries()) {
          expect(work + waited[pe]!).toBe(cycles);
          expect(finished[pe]).toBeGreaterThanOrEqual(work);
        }
        expect(Math.max(...finished)).toBe(cycles);
        return total(worked);
      });
      expect(works[0]).toBe(works[1]);
    }),
  );
});

test('a tile by itself finishes as the recurrence says', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(4, 8), { minLength: 1, maxLength: 3 }), (bits) => {
      const parts = bits.map((width) => width / 4);
      const { finish, cycles } = referenceTile({ rows: parts, columns: parts, steps: [1, 1, 1, 1, 1] }, 1);
      const [before] = wavefronts(configOf('none'), Uint8Array.from(bits), sizes);
      expect(before!.cycles).toBe(cycles);
      const last = finish.at(-1)!;
      expect(before!.finished).toEqual([0, 1, 2].flatMap((i) => [0, 1, 2, 3].map((j) => last[i]?.[j] ?? 0)));
    }),
  );
});

describe('where widths alternate', () => {
  const bits = Uint8Array.from([4, 8, 4, 8, 4, 8, 4, 8, 4, 8, 4, 8]);

  test('each relief saves time', () => {
    const cycles = STALL_RELIEFS.map((relief) => wavefronts(configOf(relief), bits, sizes)[1]!.cycles);
    expect(cycles.slice(1)).toEqual(cycles.slice(1).toSorted((a, b) => b - a));
    expect(cycles[1]).toBeLessThan(wavefronts(configOf('grouped'), bits, sizes)[0]!.cycles);
  });

  test('a machine without relief is compared with grouping', () => {
    const [plain, grouped] = [configOf('none'), configOf('grouped')].map((config) => wavefronts(config, bits, sizes));
    expect(plain).toEqual(grouped);
    expect(plain!.map(({ title }) => title)).toEqual(['tokens in their order', 'tokens of equal width together']);
  });
});
