/** How much each exit's loss counts in training. */
import { TandemError } from '../../errors.js';
import type { DecoderTraining } from './schema.js';

/** @throws TANDEM_CONFIG_INVALID for a list that does not fit the layers */
export function exitWeights({ exitWeights: given }: Pick<DecoderTraining, 'exitWeights'>, layers: number): number[] {
  if (typeof given !== 'string') {
    if (given.length === layers && given.some((weight) => weight > 0)) return given;
    throw new TandemError('TANDEM_CONFIG_INVALID', `${given.length} weights for ${layers} exits, or all of them 0.`, {
      place: 'training.exitWeights',
      remedy: `Give ${layers} weights, one for each layer's exit, at least one of them above 0.`,
    });
  }
  return Array.from({ length: layers }, (_, layer) => {
    if (given === 'uniform') return 1;
    return given === 'depth' ? layer + 1 : Number(layer === layers - 1);
  });
}
