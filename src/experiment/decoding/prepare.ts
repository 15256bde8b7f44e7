/** Loads what a decoding experiment names: text, decoder, and the text as tokens. */
import { resolve } from 'node:path';
import { loadText } from '../../data/text.js';
import type { SplitText } from '../../data/types.js';
import { TandemError } from '../../errors.js';
import { checkFinite } from '../../graph/check.js';
import { encodeDocuments } from '../../models/byte-pair.js';
import type { DecoderModel } from '../../models/decoder-types.js';
import { decoderFamilies } from '../../models/registry.js';
import { checkedLayers } from '../../techniques/toex-calibration.js';
import type { LoadedDecoding } from '../load.js';
import { optionsOf } from '../named-options.js';
import { givenThresholds } from './calibrate.js';
import { exitWeights } from './exit-weights.js';
import type { DecodingExperiment } from './schema.js';

export type Tokens = Uint16Array | Uint32Array;

export interface PreparedDecoding {
  readonly text: SplitText;
  readonly model: DecoderModel;
  /** Documents in turn, each followed by the end of text. */
  readonly tokens: { readonly training: Tokens; readonly validation: Tokens; readonly test: Tokens };
}

/** @throws what `prepareDecoder` throws; TANDEM_CONFIG_INVALID */
export const prepareDecoding = ({ experiment, baseFolder }: LoadedDecoding): Promise<PreparedDecoding> =>
  prepareDecoder(experiment, baseFolder, ({ config }) => requireFitting(experiment, config.layers));

/**
 * @param check of the decoder, before the text is encoded
 * @throws what corpora and the decoder family throw; TANDEM_WEIGHTS_NOT_FINITE, TANDEM_CONFIG_INVALID
 */
export async function prepareDecoder(
  experiment: Pick<DecodingExperiment, 'seed' | 'decoder' | 'text' | 'training'>,
  baseFolder: string,
  check: (model: DecoderModel) => void = () => {},
): Promise<PreparedDecoding> {
  const { seed, training } = experiment;
  const { corpora, heldOut, folder: given } = experiment.text;
  const folder = given === undefined ? undefined : resolve(baseFolder, given);
  const text = await loadText({ corpora, heldOut, folder });
  const { name, options } = optionsOf(experiment.decoder);
  const documents = async () => text.training;
  const model: DecoderModel = await decoderFamilies.get(name).load(options, { seed, baseFolder, documents });
  checkFinite(model.graph);
  if (model.fresh && training === undefined) {
    throw new TandemError('TANDEM_CONFIG_INVALID', 'A fresh decoder has random weights, and nothing trains it.', {
      place: 'training',
      remedy: 'Add a `training`, or name a `pretrained` decoder or a `folder`.',
    });
  }
  check(model);
  const encode = (split: 'training' | 'validation' | 'test') => encodeDocuments(model.tokenizer, text[split]);
  // What is not trained on need not be read.
  const learned = training === undefined ? new Uint16Array(0) : encode('training');
  return { text, model, tokens: { training: learned, validation: encode('validation'), test: encode('test') } };
}

/** What names layers is checked before any training. @throws TANDEM_CONFIG_INVALID */
function requireFitting({ technique, training }: DecodingExperiment, layers: number): void {
  checkedLayers(technique.checks, layers);
  if (technique.threshold !== undefined) givenThresholds(technique, layers);
  if (training) exitWeights(training, layers);
}
