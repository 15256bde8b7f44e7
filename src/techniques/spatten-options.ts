/** What users say of SpAtten: how many tokens, heads and values stay, and how wide operands are. */
import { z } from 'zod';
import { TandemError } from '../errors.js';

const share = z.number().gt(0).max(1);
const shares = (what: string, fallback: number) =>
  z
    .array(share)
    .min(1)
    .default([fallback])
    .superRefine((row, context) => {
      for (const [at, value] of row.entries()) {
        if (at === 0 || value <= row[at - 1]!) continue;
        context.addIssue({
          code: 'custom',
          path: [at],
          message: `must not exceed the share before it: ${what} that are removed stay so`,
        });
      }
    })
    .describe(
      `share of the ${what} that each layer behind the first keeps, the last one for all deeper layers (assumed; tuned per task)`,
    );

export const spattenOptions = z.strictObject({
  tokenShares: shares('tokens', 0.6),
  headShares: shares('heads', 0.75),
  valueShare: share
    .default(0.5)
    .describe(
      'local value pruning: share of a row’s keys, those of the largest probabilities, whose V is used (assumed; 1: all)',
    ),
  queryBits: z.int().min(2).max(16).default(12).describe('width of Q (published: 12)'),
  keyBits: z
    .int()
    .min(2)
    .max(15)
    .default(8)
    .describe('most significant bits of K, which every row reads (published: 8)'),
  lowBits: z
    .int()
    .min(0)
    .max(8)
    .default(4)
    .describe('least significant bits of K, which flat rows read too (published: 4; 0: no row does)'),
  valueBits: z.int().min(2).max(16).default(8).describe('width of V (published: 8)'),
  flatThreshold: z
    .number()
    .min(0)
    .max(1)
    .default(0.1)
    .describe(
      'a row is flat when its largest probability, from the most significant bits, lies below (published: 0.1)',
    ),
});
export type SpattenOptions = z.infer<typeof spattenOptions>;

/**
 * Of tokens and of heads, for each layer behind the first.
 * @throws TANDEM_CONFIG_INVALID for more shares than there are such layers
 */
export function sharesFor({ tokenShares, headShares }: SpattenOptions, layers: number): (readonly [number, number])[] {
  for (const [setting, given] of Object.entries({ tokenShares, headShares })) {
    // The defaults must fit a model of one layer, on which they do nothing.
    if (given.length <= Math.max(1, layers - 1)) continue;
    throw new TandemError('TANDEM_CONFIG_INVALID', `${given.length} shares, but ${layers - 1} layers for them.`, {
      place: `technique.${setting}`,
      remedy: 'Give at most one share for each attention layer behind the first, which keeps everything.',
    });
  }
  const at = (given: readonly number[], layer: number) => given[Math.min(layer, given.length - 1)]!;
  return Array.from({ length: layers - 1 }, (_, layer) => [at(tokenShares, layer), at(headShares, layer)] as const);
}
