/** Options of ToEx. */
import { z } from 'zod';

export const toexOptions = z.strictObject({
  candidates: z
    .int()
    .min(2)
    .default(64)
    .describe('tokens that the light output embedding picks at a check; exact logits are computed of these only'),
  outputEmbedding: z
    .enum(['light', 'full'])
    .default('light')
    .describe('what a check reads: signs of the output embedding and the candidates’ rows, or all of it'),
  confidence: z
    .enum(['gap', 'probability'])
    .default('gap')
    .describe('of the softmax over the candidates: the largest probability minus the second, or the largest'),
  checks: z
    .union([z.literal('all'), z.array(z.int().min(1)).min(1)])
    .default('all')
    .describe('layers after which a token may leave, counted from 1; after the last one it always does'),
  threshold: z
    .union([z.number().min(0).max(1), z.array(z.number().min(0)).min(1)])
    .optional()
    .describe(
      'least confidence to leave with: one for all checks, or one for each layer before the last; absent: calibrated',
    ),
  budget: z
    .strictObject({
      measure: z.enum(['perplexity', 'agreement']).default('perplexity').describe('what calibration keeps'),
      loss: z
        .number()
        .gt(0)
        .lt(1)
        .default(0.01)
        .describe('what may be lost on the calibration text: relative perplexity, or share of tokens that differ'),
      confidence: z
        .number()
        .min(0.5)
        .lt(1)
        .default(0.95)
        .describe('how sure calibration must be that other text keeps the budget too'),
    })
    .prefault({})
    .describe('quality that calibrated thresholds keep'),
});
export type ToexOptions = z.infer<typeof toexOptions>;
