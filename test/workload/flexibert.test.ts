import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ATTENTION_OPTIONS,
  attentionIndex,
  attentionOption,
  decodeTransformer,
  EMBEDDING_LIMITS,
  encodeTransformer,
  FEED_FORWARD_OPTIONS,
  FEED_FORWARD_WIDTHS,
  feedForwardIndex,
  feedForwardOption,
  HEAD_COUNTS,
  HEAD_TYPES,
  LAYER_COUNTS,
  spaceSize,
} from '../../src/workload/flexibert.js';
import { ARCHITECTURE_NAMES, namedArchitecture } from '../../src/workload/named-transformers.js';
import type { TransformerArchitecture } from '../../src/workload/transformer.js';

/** The lists of a product, the last place changing fastest. */
const product = <T>(values: readonly T[], places: number): T[][] =>
  places === 0 ? [[]] : values.flatMap((value) => product(values, places - 1).map((rest) => [value, ...rest]));

/** The next non-decreasing list over 0 … kinds − 1 in lexicographic order, in place; false after the last one. */
function next(digits: number[], kinds: number): boolean {
  let at = digits.length - 1;
  while (at >= 0 && digits[at] === kinds - 1) at--;
  if (at < 0) return false;
  digits.fill(digits[at]! + 1, at);
  return true;
}

/** Embeddings of the whole space. */
const embeddings = fc
  .integer({ min: 0, max: LAYER_COUNTS.length - 1 })
  .chain((count) =>
    fc
      .tuple(
        ...EMBEDDING_LIMITS.slice(1).map((limit, i) =>
          i < 3 * LAYER_COUNTS[count]! ? fc.integer({ min: 0, max: limit - 1 }) : fc.constant(0),
        ),
      )
      .map((rest) => [count, ...rest]),
  );

describe('the FlexiBERT 2.0 space', () => {
  it('has 258 feed-forward options: products of one, two and three of six widths', () => {
    const all = [1, 2, 3].flatMap((stacks) => product(FEED_FORWARD_WIDTHS, stacks));
    expect(FEED_FORWARD_OPTIONS).toBe(258);
    expect(all.map((_, index) => feedForwardOption(index))).toEqual(all);
    expect(all.map(feedForwardIndex)).toEqual(all.map((_, index) => index));
    expect([0, 5, 6, 41, 42, 257].map(feedForwardOption)).toEqual([
      [256],
      [4096],
      [256, 256],
      [4096, 4096],
      [256, 256, 256],
      [4096, 4096, 4096],
    ]);
  });

  it('has 21,805 attention options: multisets of seven types for 2, 4, 8 and 12 heads, in lexicographic order', () => {
    const starts: number[] = [];
    let index = 0;
    for (const heads of HEAD_COUNTS) {
      starts.push(index);
      const digits = Array.from({ length: heads }, () => 0);
      do {
        const types = digits.map((digit) => HEAD_TYPES[digit]!);
        if (attentionOption(index).join() !== types.join()) throw new Error(`option ${index} is not ${types.join()}`);
        if (attentionIndex(types) !== index) throw new Error(`${types.join()} is not option ${index}`);
        index++;
      } while (next(digits, HEAD_TYPES.length));
    }
    expect(starts).toEqual([0, 28, 238, 3241]);
    expect([index, ATTENTION_OPTIONS]).toEqual([21805, 21805]);
  });

  it('has 1.686 × 10⁸⁸ transformers', () => {
    const layer = 4n * 258n * 21805n;
    expect(spaceSize()).toBe([2n, 4n, 6n, 8n, 10n, 12n].reduce((sum, layers) => sum + layer ** layers, 0n));
    expect(Number(spaceSize()).toPrecision(4)).toBe('1.686e+88');
  });

  it('decodes the published example', () => {
    const numbers = [0, 0, 204, 14441, 2, 141, 7489, ...Array.from({ length: 30 }, () => 0)];
    const heads = (dim: number, counts: Record<string, number>) =>
      Object.entries(counts).flatMap(([type, count]) =>
        Array.from({ length: count }, () =>
          type.startsWith('c') ? { kind: 'conv', dim, kernel: Number(type.slice(1)) } : { kind: type, dim },
        ),
      );
    expect(decodeTransformer(numbers)).toEqual({
      name: 'FlexiBERT 0-0-204-14441-2-141-7489',
      layers: [
        { hidden: 128, feedForward: [3072, 2048, 256], heads: heads(10, { sdp: 1, dft: 5, c5: 3, c9: 2, c13: 1 }) },
        { hidden: 512, feedForward: [1024, 3072, 2048], heads: heads(42, { sdp: 3, wma: 1, c5: 6, c9: 2 }) },
      ],
      vocabulary: 30522,
      tokens: 128,
    });
  });

  it('is decoded and encoded without loss', () => {
    expect(EMBEDDING_LIMITS.length).toBe(37);
    fc.assert(
      fc.property(embeddings, (numbers) => {
        const architecture = decodeTransformer(numbers);
        expect(architecture.layers.length).toBe(LAYER_COUNTS[numbers[0]!]);
        expect(encodeTransformer(architecture)).toEqual(numbers);
        expect(decodeTransformer(encodeTransformer(architecture))).toEqual(architecture);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('takes the heads of a layer in any order', () => {
    const architecture = decodeTransformer([0, 0, 204, 14441, 2, 141, 7489, ...Array.from({ length: 30 }, () => 0)]);
    const turned = architecture.layers.map((layer) => ({ ...layer, heads: layer.heads.toReversed() }));
    expect(encodeTransformer({ ...architecture, layers: turned })).toEqual(encodeTransformer(architecture));
  });

  it.each([
    ['is too short', [0, 0], 'embedding', '37 numbers, not 2'],
    ['has too many layers', changed(0, 6), 'embedding[0]', '0 to 5'],
    ['has a negative index', changed(1, -1), 'embedding[1]', '0 to 3'],
    ['exceeds the feed-forward options', changed(2, 258), 'embedding[2]', '0 to 257'],
    ['exceeds the attention options', changed(6, 21805), 'embedding[6]', '0 to 21804'],
    ['has a fraction', changed(4, 0.5), 'embedding[4]', '0 to 3'],
    ['has no number', changed(5, Number.NaN), 'embedding[5]', '0 to 257'],
    ['describes a layer that is not there', changed(7, 1), 'embedding[7]', 'only 2 layers'],
  ])('refuses a list that %s', (_, numbers, place, said) => {
    const error = caught(() => decodeTransformer(numbers));
    expect(error).toMatchObject({ code: 'TANDEM_CONFIG_INVALID', place, remedy: expect.any(String) });
    expect(`${error.message} ${error.remedy}`).toContain(said);
  });

  it.each([
    ['hidden sizes', { hidden: 1024 }, 'hidden size 1024'],
    ['stacks', { feedForward: [256, 256, 256, 256] }, 'stacks [256, 256, 256, 256]'],
    ['stacks', { feedForward: [] }, 'stacks []'],
    [
      'head types',
      { heads: [{ kind: 'conv', dim: 64, kernel: 7 } as const, { kind: 'sdp', dim: 64 } as const] },
      'c_7',
    ],
    ['head widths', { heads: [{ kind: 'sdp', dim: 32 } as const, { kind: 'sdp', dim: 64 } as const] }, 'sa_sdp_32'],
    ['numbers of heads', { heads: [{ kind: 'sdp', dim: 128 } as const] }, 'sa_sdp_128'],
  ])('does not encode other %s', (_, change, said) => {
    const tiny = namedArchitecture('bert-tiny');
    const other = { ...tiny, layers: [tiny.layers[0]!, { ...tiny.layers[1]!, ...change }] };
    const error = caught(() => encodeTransformer(other));
    expect(error).toMatchObject({ code: 'TANDEM_CONFIG_INVALID', place: 'bert-tiny: layer 1' });
    expect(error.message).toContain(said);
  });

  it('does not encode other numbers of layers', () => {
    expect(caught(() => encodeTransformer(namedArchitecture('bert-large')))).toMatchObject({
      code: 'TANDEM_CONFIG_INVALID',
      message: expect.stringContaining('24 layers'),
    });
  });
});

describe('named transformers', () => {
  it('have their published sizes', () => {
    const sizes = ({ layers }: TransformerArchitecture) => {
      const [{ hidden, heads, feedForward }] = layers as [TransformerArchitecture['layers'][number]];
      return [layers.length, hidden, heads.length, heads[0]!.dim, ...feedForward];
    };
    expect(Object.fromEntries(ARCHITECTURE_NAMES.map((name) => [name, sizes(namedArchitecture(name))]))).toEqual({
      nano: [1, 32, 2, 16, 64],
      'bert-tiny': [2, 128, 2, 64, 512],
      'bert-mini': [4, 256, 4, 64, 1024],
      'bert-small': [4, 512, 8, 64, 2048],
      'bert-medium': [8, 512, 8, 64, 2048],
      'bert-base': [12, 768, 12, 64, 3072],
      'bert-large': [24, 1024, 16, 64, 4096],
    });
    expect(namedArchitecture('bert-base')).toMatchObject({ name: 'bert-base', vocabulary: 30522, tokens: 128 });
  });

  it('lie in the space where it has their sizes', () => {
    for (const name of ['bert-tiny', 'bert-base']) {
      const architecture = namedArchitecture(name);
      expect(decodeTransformer(encodeTransformer(architecture)).layers).toEqual(architecture.layers);
    }
  });

  it('are found by the nearest name', () => {
    expect(caught(() => namedArchitecture('bert-tini', 'model.architecture'))).toMatchObject({
      code: 'TANDEM_UNKNOWN_NAME',
      message: 'There is no transformer "bert-tini". Did you mean "bert-tiny"?',
      place: 'model.architecture',
      remedy: expect.stringContaining('bert-large'),
    });
    expect(caught(() => namedArchitecture('toString'))).toMatchObject({ code: 'TANDEM_UNKNOWN_NAME' });
  });
});

/** The embedding of 2 × (128, [256], 2 × sdp) with one number changed. */
function changed(position: number, number: number): number[] {
  return EMBEDDING_LIMITS.map((_, i) => (i === position ? number : 0));
}

function caught(action: () => unknown): { code: string; message: string; place?: string; remedy?: string } {
  try {
    action();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('nothing was thrown');
}
