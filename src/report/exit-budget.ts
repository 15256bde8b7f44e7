/** What leaving early costs in quality, and whether a budget is kept. */
import type { DecodingQuality, DecodingResult } from '../experiment/decoding/result.js';

type Budget = NonNullable<DecodingResult['calibration']>['budget'];

/** Relative rise of perplexity over the full model's. */
export const perplexityChange = (quality: DecodingQuality, full: DecodingQuality): number =>
  quality.perplexity / full.perplexity - 1;

/** How many times fewer decoders a token runs than in the full model. */
export const fewerDecoders = (quality: DecodingQuality, full: DecodingQuality): number =>
  full.meanDecoders / quality.meanDecoders;

/** What is lost of the budget's measure: relative perplexity, or 1 − agreement. */
export const lossOf = (quality: DecodingQuality, full: DecodingQuality, { measure }: Budget): number =>
  measure === 'perplexity' ? perplexityChange(quality, full) : 1 - quality.agreement;

export const keepsBudget = (quality: DecodingQuality, full: DecodingQuality, budget: Budget): boolean =>
  lossOf(quality, full, budget) <= budget.loss;
