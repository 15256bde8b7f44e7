/** The stages of an experiment on decoding. */
import type { DecodingPipeline } from '../api.js';
import { prepareDecoding } from './prepare.js';
import { trainedDecoder } from './trained.js';

export const trainDecoding: DecodingPipeline['trainDecoding'] = async (loaded, folder, context) => {
  const prepared = await prepareDecoding(loaded);
  const { losses } = await trainedDecoder(loaded, prepared, folder, context);
  return { losses, testTokens: prepared.tokens.test.length };
};
