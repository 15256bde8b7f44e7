/**
 * The FlexiBERT 2.0 space of transformers (Tuli & Jha, TransCODE, 2023): encoders whose layers differ in width, in the
 * operations of their heads and in their feed-forward stacks. A point of the space is a list of 37 whole numbers: the
 * index of the number of layers, then for each of 12 layers the indices of its hidden size, of its feed-forward option
 * and of its attention option; layers that are not there are zeros. Runs in a browser.
 */
import { TandemError } from '../errors.js';
import { TOKENS, VOCABULARY } from './named-transformers.js';
import type { HeadOperation, TransformerArchitecture, TransformerLayer } from './transformer.js';

/** A head's operation without its width, as the space lists it. */
export type HeadType = 'sa_sdp' | 'sa_wma' | 'l_dft' | 'l_dct' | `c_${number}`;

export const LAYER_COUNTS = [2, 4, 6, 8, 10, 12] as const;
export const HIDDEN_SIZES = [128, 256, 512, 768] as const;
export const HEAD_COUNTS = [2, 4, 8, 12] as const;
export const HEAD_TYPES = ['sa_sdp', 'sa_wma', 'l_dft', 'l_dct', 'c_5', 'c_9', 'c_13'] as const satisfies HeadType[];
export const FEED_FORWARD_WIDTHS = [256, 512, 1024, 2048, 3072, 4096] as const;
const MOST_STACKS = 3;

/** n over k, exact below 2⁵³. */
function choose(n: number, k: number): number {
  let value = 1;
  for (let i = 1; i <= k; i++) value = (value * (n - k + i)) / i;
  return value;
}

/** Non-decreasing sequences of `length` out of `kinds` kinds: multisets. */
const multisets = (kinds: number, length: number): number => choose(kinds + length - 1, length);

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

// Feed-forward options: one stack, then two, then three; within these like the digits of a number in base 6. --------------

const WIDTHS = FEED_FORWARD_WIDTHS.length;

/** 6 + 36 + 216. */
export const FEED_FORWARD_OPTIONS = sum([1, 2, 3].map((stacks) => WIDTHS ** stacks));

/** Widths of the stacks of an option, 0 ≤ index < FEED_FORWARD_OPTIONS. */
export function feedForwardOption(index: number): number[] {
  requireIndex(index, FEED_FORWARD_OPTIONS, 'feed-forward option');
  let rest = index;
  let stacks = 1;
  for (; rest >= WIDTHS ** stacks; stacks++) rest -= WIDTHS ** stacks;
  return Array.from({ length: stacks }, (_, i) => {
    const digit = Math.floor(rest / WIDTHS ** (stacks - 1 - i)) % WIDTHS;
    return FEED_FORWARD_WIDTHS[digit]!;
  });
}

/** Inverse of feedForwardOption; undefined for stacks that the space does not have. */
export function feedForwardIndex(widths: readonly number[]): number | undefined {
  const digits = widths.map((width) => indexIn(FEED_FORWARD_WIDTHS, width));
  if (widths.length === 0 || widths.length > MOST_STACKS || digits.includes(-1)) return undefined;
  const before = sum(Array.from({ length: widths.length - 1 }, (_, i) => WIDTHS ** (i + 1)));
  return before + digits.reduce((value, digit) => value * WIDTHS + digit, 0);
}

// Attention options: multisets of head types for 2, then 4, 8 and 12 heads, each in lexicographic order. --------------------

const TYPES = HEAD_TYPES.length;

/** 28 + 210 + 3,003 + 18,564. */
export const ATTENTION_OPTIONS = sum(HEAD_COUNTS.map((heads) => multisets(TYPES, heads)));

/** Types of the heads of an option, in the order of HEAD_TYPES; 0 ≤ index < ATTENTION_OPTIONS. */
export function attentionOption(index: number): HeadType[] {
  requireIndex(index, ATTENTION_OPTIONS, 'attention option');
  let rest = index;
  const heads = HEAD_COUNTS.find((count) => {
    const options = multisets(TYPES, count);
    if (rest < options) return true;
    rest -= options;
    return false;
  })!;
  const types: HeadType[] = [];
  for (let type = 0; types.length < heads; ) {
    const beginning = multisets(TYPES - type, heads - types.length - 1);
    if (rest < beginning) types.push(HEAD_TYPES[type]!);
    else {
      rest -= beginning;
      type++;
    }
  }
  return types;
}

/** Inverse of attentionOption, whatever the order of the types; undefined for heads that the space does not have. */
export function attentionIndex(types: readonly string[]): number | undefined {
  const digits = types.map((type) => indexIn(HEAD_TYPES, type)).sort((a, b) => a - b);
  const size = indexIn(HEAD_COUNTS, types.length);
  if (size < 0 || digits.includes(-1)) return undefined;
  let index = sum(HEAD_COUNTS.slice(0, size).map((heads) => multisets(TYPES, heads)));
  let type = 0;
  for (const [i, digit] of digits.entries()) {
    for (; type < digit; type++) index += multisets(TYPES - type, types.length - i - 1);
  }
  return index;
}

// Points of the space ---------------------------------------------------------------------------------------------------

const MOST_LAYERS = Math.max(...LAYER_COUNTS);

/** How many values each number of an embedding may have: 0 … limit − 1. */
export const EMBEDDING_LIMITS: readonly number[] = [
  LAYER_COUNTS.length,
  ...Array.from({ length: MOST_LAYERS }, () => [HIDDEN_SIZES.length, FEED_FORWARD_OPTIONS, ATTENTION_OPTIONS]).flat(),
];

/** Number of architectures: Σ over the numbers of layers L of (4 · 258 · 21,805)^L ≈ 1.686 × 10⁸⁸. */
export function spaceSize(): bigint {
  const layer = BigInt(HIDDEN_SIZES.length * FEED_FORWARD_OPTIONS * ATTENTION_OPTIONS);
  return LAYER_COUNTS.reduce((total, layers) => total + layer ** BigInt(layers), 0n);
}

/** Width of each of a layer's heads: the quotient rounded down, e.g. 42 for 12 heads in 512. */
export const headWidth = (hidden: number, heads: number): number => Math.floor(hidden / heads);

export function headOperation(type: HeadType, dim: number): HeadOperation {
  if (type.startsWith('c_')) return { kind: 'conv', dim, kernel: Number(type.slice(2)) };
  return { kind: type.slice(type.indexOf('_') + 1) as 'sdp' | 'wma' | 'dft' | 'dct', dim };
}

export function headType(head: HeadOperation): HeadType {
  if (head.kind === 'conv') return `c_${head.kernel}`;
  return head.kind === 'sdp' || head.kind === 'wma' ? `sa_${head.kind}` : `l_${head.kind}`;
}

/**
 * The architecture of an embedding.
 * @param place what errors call the list
 * @throws TANDEM_CONFIG_INVALID with the position and the allowed range
 */
export function decodeTransformer(numbers: readonly number[], place = 'embedding'): TransformerArchitecture {
  if (numbers.length !== EMBEDDING_LIMITS.length) {
    throw invalid(`A transformer embedding has 37 numbers, not ${numbers.length}.`, place, EMBEDDING_REMEDY);
  }
  for (const [position, limit] of EMBEDDING_LIMITS.entries()) requireNumber(numbers, position, limit, place);
  const count = LAYER_COUNTS[numbers[0]!]!;
  const extra = numbers.findIndex((number, position) => position > 3 * count && number !== 0);
  if (extra >= 0) {
    throw invalid(
      `Number ${extra} is ${numbers[extra]}, but the transformer has only ${count} layers.`,
      `${place}[${extra}]`,
      `Set it to 0, as all numbers behind position ${3 * count}; or raise the number of layers at position 0.`,
    );
  }
  const layers = Array.from({ length: count }, (_, layer) => {
    const [hidden, feedForward, attention] = numbers.slice(3 * layer + 1, 3 * layer + 4) as [number, number, number];
    return layerOf(HIDDEN_SIZES[hidden]!, attentionOption(attention), feedForwardOption(feedForward));
  });
  const name = `FlexiBERT ${numbers.slice(0, 3 * count + 1).join('-')}`;
  return { name, layers, vocabulary: VOCABULARY, tokens: TOKENS };
}

function layerOf(hidden: number, types: readonly HeadType[], feedForward: readonly number[]): TransformerLayer {
  const dim = headWidth(hidden, types.length);
  return { hidden, heads: types.map((type) => headOperation(type, dim)), feedForward };
}

/**
 * The embedding of an architecture; inverse of decodeTransformer. The order of a layer's heads, the name, the vocabulary
 * and the number of tokens are not part of it.
 * @throws TANDEM_CONFIG_INVALID for architectures outside the space, with the layer
 */
export function encodeTransformer({ name, layers }: TransformerArchitecture): number[] {
  const count = indexIn(LAYER_COUNTS, layers.length);
  if (count < 0) throw outside(`${layers.length} layers`, name, `Numbers of layers: ${LAYER_COUNTS.join(', ')}.`);
  const numbers = layers.flatMap((layer, index) => encodeLayer(layer, `${name}: layer ${index}`));
  const absent = EMBEDDING_LIMITS.length - 1 - numbers.length;
  return [count, ...numbers, ...Array.from({ length: absent }, () => 0)];
}

function encodeLayer({ hidden, heads, feedForward }: TransformerLayer, place: string): number[] {
  const size = indexIn(HIDDEN_SIZES, hidden);
  if (size < 0) throw outside(`hidden size ${hidden}`, place, `Hidden sizes: ${HIDDEN_SIZES.join(', ')}.`);
  const feeding = feedForwardIndex(feedForward);
  if (feeding === undefined) {
    const allowed = `One to three of ${FEED_FORWARD_WIDTHS.join(', ')}.`;
    throw outside(`feed-forward stacks [${feedForward.join(', ')}]`, place, allowed);
  }
  const attention = attentionIndex(heads.map(headType));
  const dim = headWidth(hidden, heads.length);
  if (attention === undefined || heads.some((head) => head.dim !== dim)) {
    throw outside(
      `heads [${heads.map((head) => `${headType(head)}_${head.dim}`).join(', ')}]`,
      place,
      `${HEAD_COUNTS.join(', ')} heads of ${HEAD_TYPES.join(', ')}, each of width ⌊hidden / heads⌋.`,
    );
  }
  return [size, feeding, attention];
}

const EMBEDDING_REMEDY =
  'Give the index of the number of layers, then for 12 layers the indices of hidden size, feed-forward and attention option; zeros for layers that are not there.';

function requireNumber(numbers: readonly number[], position: number, limit: number, place: string): void {
  const number = numbers[position]!;
  if (Number.isInteger(number) && number >= 0 && number < limit) return;
  const meaning =
    position === 0
      ? 'the number of layers'
      : `the ${['hidden size', 'feed-forward option', 'attention option'][(position - 1) % 3]} of layer ${Math.floor((position - 1) / 3)}`;
  throw invalid(
    `Number ${position}, ${meaning}, is ${number}.`,
    `${place}[${position}]`,
    `Give a whole number from 0 to ${limit - 1}.`,
  );
}

function requireIndex(index: number, limit: number, what: string): void {
  if (Number.isInteger(index) && index >= 0 && index < limit) return;
  throw invalid(`There is no ${what} ${index}.`, what, `Give a whole number from 0 to ${limit - 1}.`);
}

const indexIn = (list: readonly unknown[], value: unknown): number => list.indexOf(value);

const outside = (what: string, place: string, allowed: string): TandemError =>
  invalid(`FlexiBERT 2.0 has no transformers with ${what}.`, place, allowed);

const invalid = (message: string, place: string, remedy: string): TandemError =>
  new TandemError('TANDEM_CONFIG_INVALID', message, { place, remedy });
