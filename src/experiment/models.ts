/** Models of a finished training, outside their run: evaluated on other data, or exported as .onnx. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { datasets } from '../data/registry.js';
import { TandemError } from '../errors.js';
import { checkFinite } from '../graph/check.js';
import { withDefaults } from '../graph/edit.js';
import { readModelFile, writeModelFile } from '../graph/onnx/files.js';
import { floatTensor, type Graph } from '../graph/types.js';
import { modelFamilies } from '../models/registry.js';
import { techniques } from '../techniques/registry.js';
import type { SparsityCounts } from '../techniques/types.js';
import { tandemVersion } from '../version.js';
import type { EvaluationRequest, EvaluationResult, ExportSummary, Pipeline, RunContext } from './api.js';
import { assess, sparsityOf } from './assess.js';
import { writable } from './file-errors.js';
import { requireClassification } from './load.js';
import { optionsOf } from './named-options.js';
import { encode, requireExamples } from './prepare.js';
import { RunFolder } from './run-folder.js';
import type { Experiment } from './schema.js';
import { lastTrainingStage, trainModels } from './trained.js';

type ModelKind = EvaluationResult['model'];

/** What an exported file says of itself, so that it can be evaluated without its run. */
const METADATA = {
  model: 'tandem.model',
  experiment: 'tandem.experiment',
  version: 'tandem.version',
  /** Of a model that counts its zeros: SparsityCounts as JSON. */
  counts: 'tandem.counts',
} as const;

interface TrainedModel {
  readonly model: ModelKind;
  /** What may change at run time is an input with a default. */
  readonly graph: Graph;
  readonly counts?: SparsityCounts | undefined;
}

/** Models and what is needed to feed them. */
interface Source {
  readonly models: readonly TrainedModel[];
  /** Where the experiment's relative paths (tokenizer, data) start. */
  readonly experiment: Experiment;
  readonly baseFolder: string;
}

export const evaluateModel: Pipeline['evaluateModel'] = async (request, context) => {
  const { models, experiment, baseFolder } = request.source.endsWith('.onnx')
    ? exportedSource(request.source)
    : await runSource(request.source, context);
  const threshold = techniques.get(experiment.technique.name).profiler?.input;
  const evaluated = request.threshold === undefined ? models : atThreshold(models, threshold, request.threshold);
  const name = request.dataset ?? experiment.task.dataset;
  const { validation, test } = experiment.task;
  const sizes = name === experiment.task.dataset ? { train: 1, validation, test } : {};
  const own = name === experiment.task.dataset ? experiment.task.folder : undefined;
  const folder = request.folder ?? (own && resolve(baseFolder, own));
  const dataset = await datasets.get(name).load({ seed: experiment.seed, sizes, folder });
  requireExamples(dataset, [request.split]);
  requireClasses(models[0]!.graph, dataset.classes.length, request);
  const { name: family, options } = optionsOf(experiment.model);
  const loadContext = { classes: dataset.classes.length, seed: experiment.seed, baseFolder };
  const { tokenizer, maxTokens } = await modelFamilies.get(family).load(options, loadContext);
  const examples = dataset[request.split].slice(0, request.examples);
  const split = encode(tokenizer, examples, Math.min(experiment.task.maxTokens, maxTokens));
  const results: EvaluationResult[] = [];
  for (const { model, graph, counts } of evaluated) {
    const { metrics, zeros } = await assess(graph, split, `testing ${model}`, experiment.runtime, context, { counts });
    const common = { model, dataset: name, split: request.split, examples: examples.length, metrics };
    const used = threshold === undefined ? undefined : graph.initializers.get(threshold);
    results.push({
      ...common,
      ...(used && { threshold: decimal((used.data as Float32Array)[0]!) }),
      ...(counts && { sparsity: sparsityOf(zeros) }),
    });
  }
  return results;
};

/** The number that was rounded to float32, whose 7 digits tell it. */
const decimal = (value: number): number => Number(value.toPrecision(7));

/** The models with another threshold, where they have one. */
function atThreshold(
  models: readonly TrainedModel[],
  input: string | undefined,
  threshold: number,
): readonly TrainedModel[] {
  const isOpen = ({ graph }: TrainedModel) => graph.inputs.some(({ name }) => name === input);
  if (input === undefined || !models.some(isOpen)) {
    throw new TandemError('TANDEM_CONFIG_INVALID', 'The model has no threshold that may change at run time.', {
      place: `--threshold ${threshold}`,
      remedy: 'Leave it out, or name the adapted model of a technique that has one (dynatran).',
    });
  }
  if (!(threshold >= 0)) {
    throw new TandemError('TANDEM_CONFIG_INVALID', `A threshold is a magnitude; ${threshold} is none.`, {
      place: `--threshold ${threshold}`,
      remedy: 'Give a number of at least 0; 0 prunes nothing.',
    });
  }
  const value = new Map([[input, floatTensor([threshold], [])]]);
  return models.map((one) => (isOpen(one) ? { ...one, graph: withDefaults(one.graph, value) } : one));
}

export const exportModel: Pipeline['exportModel'] = async ({ run, output, model }, context) => {
  const { models, experiment } = await runSource(run, context);
  const { graph, counts } = models.find((candidate) => candidate.model === model)!;
  const named = {
    ...graph,
    metadata: {
      ...graph.metadata,
      [METADATA.model]: model,
      [METADATA.version]: tandemVersion,
      [METADATA.experiment]: JSON.stringify(experiment),
      ...(counts && { [METADATA.counts]: JSON.stringify(counts) }),
    },
  };
  await writable(output, async () => writeModelFile(output, named));
  return {
    output,
    model,
    bytes: (await stat(output)).size,
    sha256: await hashOf(output),
    inputs: named.inputs.map(({ name }) => name),
    outputs: named.outputs.map(({ name }) => name),
  } satisfies ExportSummary;
};

/** The models of a run whose training is done; nothing is trained here. */
async function runSource(path: string, context: RunContext): Promise<Source> {
  const { folder, loaded: found } = await RunFolder.resume(path);
  try {
    const loaded = requireClassification(found, path);
    const last = lastTrainingStage(loaded.experiment);
    if (!folder.completed.includes(last)) throw unfinished(path, last);
    const { baseline, adapted } = await trainModels(loaded, folder, context);
    const { graph, feeds = {}, counts } = adapted;
    const models = [
      { model: 'baseline', graph: baseline },
      { model: 'adapted', graph: withDefaults(graph, new Map(Object.entries(feeds))), counts },
    ] as const;
    return { models, experiment: loaded.experiment, baseFolder: loaded.baseFolder };
  } finally {
    await folder.release();
  }
}

const unfinished = (path: string, missing: string): TandemError =>
  new TandemError('TANDEM_CANNOT_RESUME', `The run has no trained models yet (missing: ${missing}).`, {
    place: path,
    remedy: `Finish it first: tandem run --resume ${path}`,
  });

function exportedSource(path: string): Source {
  const graph = readModelFile(path);
  checkFinite(graph);
  const { [METADATA.experiment]: experiment, [METADATA.model]: model, [METADATA.counts]: counts } = graph.metadata;
  if (experiment === undefined || (model !== 'baseline' && model !== 'adapted')) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', 'This .onnx file does not say how its texts become tokens.', {
      place: path,
      remedy:
        'Name a run folder, or a file that `tandem export` wrote; any other model runs as `model: { name: onnx }`.',
    });
  }
  return {
    models: [{ model, graph, counts: counts === undefined ? undefined : (JSON.parse(counts) as SparsityCounts) }],
    experiment: JSON.parse(experiment) as Experiment,
    baseFolder: process.cwd(),
  };
}

function requireClasses(graph: Graph, classes: number, { dataset }: EvaluationRequest): void {
  const logits = graph.outputs.find(({ name }) => name === 'logits')?.shape?.at(-1);
  if (logits === classes) return;
  throw new TandemError(
    'TANDEM_CONFIG_INVALID',
    `The model tells ${logits} classes apart; the data set has ${classes}.`,
    {
      place: `--dataset ${dataset}`,
      remedy: 'Evaluate on a data set with as many classes as the model was trained for.',
    },
  );
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
