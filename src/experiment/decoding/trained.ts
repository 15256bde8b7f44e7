/** The decoder of a run: trained where the experiment says so, as it came otherwise. */
import { dirname } from 'node:path';
import type { Tensor } from '../../graph/types.js';
import { tokenizerJson } from '../../models/byte-pair-files.js';
import type { DecoderModel } from '../../models/decoder-types.js';
import { writeGpt2Folder } from '../../models/gpt2-folder.js';
import { toFloat16, toFloat32 } from '../../models/half.js';
import type { RunContext } from '../api.js';
import type { LoadedDecoding } from '../load.js';
import type { RunFolder } from '../run-folder.js';
import { lossesAtExits } from './exit-losses.js';
import { modelCard } from './model-card.js';
import { MODEL_FOLDER } from './model-folder.js';
import type { PreparedDecoding } from './prepare.js';
import { type DecoderTrainingPoint, trainDecoder } from './train.js';

const MODEL_FILES = ['model.safetensors', 'config.json', 'tokenizer.json', 'README.md'];

export interface TrainedDecoder {
  readonly model: DecoderModel;
  /** Nats at each exit on the whole test split; undefined where nothing was trained. */
  readonly losses?: readonly number[];
  /** Empty where nothing was trained. */
  readonly course: readonly DecoderTrainingPoint[];
}

/** A trained decoder is also written to the run's folder `model`, in half precision; what is measured is that one. */
export async function trainedDecoder(
  loaded: LoadedDecoding,
  prepared: PreparedDecoding,
  folder: RunFolder,
  context: RunContext,
): Promise<TrainedDecoder> {
  const { training, runtime } = loaded.experiment;
  if (training === undefined) return { model: prepared.model, course: [] };
  const { weights, course } = await trainDecoder(prepared, { ...loaded.experiment, training }, folder, context);
  const model = withWeights(prepared.model, weights);
  const losses = await folder.stage('measure exits', async (stage) => {
    const found = await lossesAtExits(model.graph, model.config, prepared.tokens.test, runtime, context);
    await writeGpt2Folder(dirname(await stage.path(`${MODEL_FOLDER}/config.json`)), {
      config: model.config,
      weights,
      tokenizer: tokenizerJson(model.tokenizer),
      card: modelCard(loaded, prepared, found),
    });
    for (const file of MODEL_FILES) await stage.keep(`${MODEL_FOLDER}/${file}`);
    return found;
  });
  return { model, losses, course };
}

/** The decoder with weights rounded to half precision, as its folder holds them. */
function withWeights(model: DecoderModel, weights: ReadonlyMap<string, Tensor>): DecoderModel {
  const initializers = new Map(model.graph.initializers);
  for (const [name, value] of weights) initializers.set(name, toFloat32(toFloat16(value)));
  return { ...model, graph: { ...model.graph, initializers }, fresh: false };
}
