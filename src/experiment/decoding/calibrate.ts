/** Thresholds of early exit: those given, or those that keep the budget on the validation split. */
import { TandemError } from '../../errors.js';
import type { DecoderModel } from '../../models/decoder-types.js';
import { calibrate, checkedLayers, fullQuality, NO_CHECK, withFullChecks } from '../../techniques/toex-calibration.js';
import type { ToexOptions } from '../../techniques/toex-options.js';
import type { RunContext } from '../api.js';
import { type HeldOut, profileOf } from './profile.js';
import type { DecodingResult } from './result.js';
import type { DecodingExperiment } from './schema.js';

export type Thresholds = Pick<DecodingResult, 'thresholds' | 'calibration'>;

export async function thresholdsOf(
  model: DecoderModel,
  experiment: DecodingExperiment,
  validation: HeldOut,
  context: RunContext,
): Promise<Thresholds> {
  const { technique } = experiment;
  const { layers } = model.config;
  if (technique.threshold !== undefined) return { thresholds: givenThresholds(technique, layers) };
  const both = await profileOf(
    model,
    experiment,
    validation,
    'calibrating: every exit of the validation text',
    context,
  );
  const profile = technique.outputEmbedding === 'full' ? withFullChecks(both) : both;
  const { checks, budget } = technique;
  const { thresholds, quality, uniform, fixed } = calibrate(profile, {
    checks,
    budget,
    checkCost: checkCost(model, technique),
    blockTokens: validation.length,
  });
  return {
    thresholds,
    calibration: {
      tokens: profile.tokens,
      budget: { measure: budget.measure, loss: budget.loss },
      full: fullQuality(profile),
      calibrated: quality,
      uniform: uniform.quality,
      fixed: fixed.quality,
    },
  };
}

/** @throws TANDEM_CONFIG_INVALID for a list that does not fit the layers */
export function givenThresholds({ threshold, checks }: ToexOptions, layers: number): number[] {
  const checked = checkedLayers(checks, layers);
  if (Array.isArray(threshold) && threshold.length !== layers - 1) {
    throw new TandemError(
      'TANDEM_CONFIG_INVALID',
      `Thresholds given: ${threshold.length}, for a decoder of ${layers} layers.`,
      {
        place: 'technique.threshold',
        remedy: `Give one number for all layers, or ${layers - 1}, one for each layer before the last; above 1 means no check.`,
      },
    );
  }
  return Array.from({ length: layers - 1 }, (_, layer) => {
    const own = Array.isArray(threshold) ? threshold[layer]! : threshold!;
    return checked.includes(layer + 1) && own <= 1 ? own : NO_CHECK;
  });
}

/** Words that a check reads from memory, over those of a layer: the candidates' rows, or all of the output embedding. */
export function checkCost({ config }: DecoderModel, { candidates, outputEmbedding }: ToexOptions): number {
  const { hidden, intermediate, vocabulary } = config;
  const layer = 4 * hidden * hidden + 2 * hidden * intermediate;
  const rows = outputEmbedding === 'full' ? vocabulary : Math.min(candidates, vocabulary);
  return (rows * hidden) / layer;
}
