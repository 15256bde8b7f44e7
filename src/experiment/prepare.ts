/** Loads what an experiment names: model and data, texts turned into token ids. */

import { resolve } from 'node:path';
import { datasets } from '../data/registry.js';
import type { Example, SplitDataset } from '../data/types.js';
import { TandemError } from '../errors.js';
import { checkFinite } from '../graph/check.js';
import { modelFamilies } from '../models/registry.js';
import type { ClassifierModel, Tokenizer } from '../models/types.js';
import type { LoadedExperiment } from './load.js';
import { optionsOf } from './named-options.js';

/** A split as the model sees it. */
export interface EncodedSplit {
  readonly ids: readonly (readonly number[])[];
  readonly labels: readonly number[];
}

export interface Prepared {
  readonly model: ClassifierModel;
  readonly dataset: SplitDataset;
  /** Name of the metric that the data set's benchmark quotes. */
  readonly metric: string;
  readonly train: EncodedSplit;
  readonly validation: EncodedSplit;
  readonly test: EncodedSplit;
}

/** @throws what the model family and the data set throw; TANDEM_WEIGHTS_NOT_FINITE, TANDEM_DATA_INVALID */
export async function prepare({ experiment, baseFolder }: LoadedExperiment): Promise<Prepared> {
  const { task, seed } = experiment;
  const source = datasets.get(task.dataset);
  const folder = task.folder === undefined ? undefined : resolve(baseFolder, task.folder);
  const { train, validation, test } = task;
  const dataset = await source.load({ seed, sizes: { train, validation, test }, folder });
  requireExamples(dataset, ['train', 'test']);
  const { name, options } = optionsOf(experiment.model);
  const model = await modelFamilies.get(name).load(options, { classes: dataset.classes.length, seed, baseFolder });
  checkFinite(model.graph);
  const maxTokens = Math.min(task.maxTokens, model.maxTokens);
  const encoded = (examples: readonly Example[]) => encode(model.tokenizer, examples, maxTokens);
  return {
    model,
    dataset,
    metric: source.metric,
    train: encoded(dataset.train),
    validation: encoded(dataset.validation),
    test: encoded(dataset.test),
  };
}

/** Small data sets leave nothing for a split that is cut from the training examples. */
export function requireExamples(dataset: SplitDataset, splits: readonly ('train' | 'validation' | 'test')[]): void {
  for (const split of splits) {
    if (dataset[split].length > 0) continue;
    throw new TandemError('TANDEM_DATA_INVALID', `The ${split} split of "${dataset.name}" has no examples.`, {
      place: dataset.source,
      remedy: 'Add examples, or give the split a file of its own.',
    });
  }
}

export function encode(tokenizer: Tokenizer, examples: readonly Example[], maxTokens: number): EncodedSplit {
  return {
    ids: examples.map(({ text }) => tokenizer.encode(text, maxTokens)),
    labels: examples.map(({ label }) => label),
  };
}
