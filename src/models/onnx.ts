/** A text encoder or classifier that the user exported to ONNX, adapted to Tandem's inputs and outputs. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { GraphBuilder, ONNX_TYPE, OPSET } from '../graph/builder.js';
import { pruneUnused, renameValues, withFixedDefaults, withOutputs } from '../graph/edit.js';
import { readModelFile } from '../graph/onnx/files.js';
import { type Graph, int, sizeOf, type ValueInfo } from '../graph/types.js';
import { architectureOf } from './architecture.js';
import * as blocks from './blocks.js';
import { readHuggingFaceTokenizer, requireTokenizerFits } from './hugging-face-tokenizer.js';
import type { ModelFamily } from './types.js';
import { normalWeights, zeros } from './weights.js';

/** From here on Squeeze, Unsqueeze and ReduceSum take axes as an input and Softmax works on one axis. */
const OLDEST_OPSET = 13;

export const onnxOptions = z.strictObject({
  file: z.string().describe('the .onnx file'),
  tokenizer: z
    .string()
    .optional()
    .describe("tokenizer.json or vocab.txt, or a folder with one; default: the model's folder"),
  maxTokens: z.int().min(2).default(128).describe('longer texts are cut; at most what the model was exported for'),
  output: z
    .string()
    .optional()
    .describe('the value to classify from; default: the output "logits", or else the first output'),
});
export type OnnxOptions = z.infer<typeof onnxOptions>;

export const onnx: ModelFamily<OnnxOptions> = {
  name: 'onnx',
  description: 'Your own encoder or classifier from an .onnx file with a Hugging Face tokenizer.',
  schema: onnxOptions,
  async load({ file, tokenizer, maxTokens, output }, { classes, seed, baseFolder }) {
    const path = resolve(baseFolder, file);
    const model = readModelFile(path);
    const graph = adapt(model, { path, classes, seed, output });
    const loaded = await readHuggingFaceTokenizer(tokenizer ? resolve(baseFolder, tokenizer) : dirname(path));
    requireVocabulary(graph, loaded.vocabularySize, path);
    const name = model.name || 'onnx';
    const architecture = architectureOf(graph, name, maxTokens);
    return {
      name,
      graph,
      ...(architecture && { architecture }),
      tokenizer: loaded,
      maxTokens,
      trainable: [...graph.initializers]
        .filter(([, { dtype, shape }]) => dtype === 'float32' && sizeOf(shape) > 1)
        .map(([name]) => name),
      provenance: {
        source: path,
        licence: 'not stated',
        sha256: createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      },
    };
  },
};

interface AdaptOptions {
  readonly path: string;
  readonly classes: number;
  readonly seed: number;
  readonly output: string | undefined;
}

/**
 * Gives a model Tandem's signature: input_ids int64 and attention_mask float32 in, logits [batch, classes] out. Masks of
 * other types are cast, token types are zeros, positions must be the model's own, other inputs hold their defaults. An output with one vector per token is
 * averaged over the real tokens; one that is no logits yet gets a fresh classifier.
 * @throws TANDEM_MODEL_UNSUPPORTED when an input or the output has no such meaning
 */
export function adapt(model: Graph, options: AdaptOptions): Graph {
  const opset = model.opsets[''] ?? 0;
  if (opset < OLDEST_OPSET) {
    unsupported(
      options.path,
      `It uses operator set ${opset}.`,
      `Export with operator set ${OLDEST_OPSET} or later; 17 is best.`,
    );
  }
  return classify(adaptInputs(raised(model, opset), options.path), options);
}

/**
 * What encoders are made of means the same in operator sets 13 to 17, and gradients need a later one than exporters used
 * to write by default: the model is declared to be of set 17.
 */
const raised = (model: Graph, opset: number): Graph =>
  opset < OPSET ? { ...model, opsets: { ...model.opsets, '': OPSET } } : model;

const KNOWN_INPUTS = ['input_ids', 'attention_mask', 'token_type_ids'];

/** The model's own inputs become values made from Tandem's two. */
function adaptInputs(file: Graph, path: string): Graph {
  const model = withOwnDefaults(file);
  const unknown = model.inputs.find(({ name }) => !KNOWN_INPUTS.includes(name));
  const ids = model.inputs.find(({ name }) => name === 'input_ids');
  if (unknown ?? !ids) {
    const names = model.inputs.map(({ name }) => name).join(', ');
    const remedy = `Export a model whose inputs are ${KNOWN_INPUTS.join(', ')} (the last two may be absent).`;
    unsupported(path, `Its inputs are ${names}.`, remedy);
  }
  const own = Object.fromEntries(model.inputs.map(({ name }) => [name, `model.${name}`]));
  const inner = renameValues(model, own);
  const b = new GraphBuilder(model.name, { ...inner, inputs: [], outputs: [], nodes: [] });
  const inputIds = b.input('input_ids', 'int64', ['batch', 'tokens']);
  const mask = b.input('attention_mask', 'float32', ['batch', 'tokens']);
  const zero = b.scalar('int64', 0, 'zero');
  for (const { name, dtype } of model.inputs) {
    const source = name === 'attention_mask' ? mask : inputIds;
    const value = name === 'token_type_ids' ? b.mul(inputIds, zero, 'no_token_types') : source;
    b.append({
      name: b.unique(`cast_${name}`),
      opType: 'Cast',
      domain: '',
      inputs: [value],
      outputs: [own[name]!],
      attributes: { to: int(ONNX_TYPE[dtype]) },
    });
  }
  for (const node of inner.nodes) b.append(node);
  for (const { name } of inner.outputs) b.output(name);
  return b.finish();
}

/** Inputs beyond the known ones hold their defaults; the known ones need none. */
function withOwnDefaults(file: Graph): Graph {
  const others = file.inputs.map(({ name }) => name).filter((name) => !KNOWN_INPUTS.includes(name));
  const fixed = withFixedDefaults(file, others);
  const fed = new Set(fixed.inputs.map(({ name }) => name));
  return { ...fixed, initializers: new Map([...fixed.initializers].filter(([name]) => !fed.has(name))) };
}

function classify(graph: Graph, { path, classes, seed, output }: AdaptOptions): Graph {
  const chosen = choose(graph, output, path);
  const width = chosen.shape?.at(-1);
  const rank = chosen.shape?.length;
  const isLogits = rank === 2 && width === classes;
  if (isLogits && chosen.name === 'logits') return pruneUnused(withOutputs(graph, ['logits']));
  if (chosen.name === 'logits') {
    const found = `Its logits are [${chosen.shape?.join(', ') ?? '?'}]; the task has ${classes} classes.`;
    unsupported(path, found, 'Set `output` to the value before the classifier; a fresh classifier is added.');
  }
  if (typeof width !== 'number' || (rank !== 2 && rank !== 3) || chosen.dtype !== 'float32') {
    const found = `"${chosen.name}" is ${chosen.dtype} [${chosen.shape?.join(', ') ?? '?'}].`;
    unsupported(
      path,
      found,
      'Set `output` to a float32 value [batch, width] or [batch, tokens, width] of known width.',
    );
  }
  // Without what lies behind the chosen value, the names of an old classifier are free again.
  const b = new GraphBuilder(graph.name, pruneUnused(withOutputs(graph, [chosen.name])));
  const pooled = rank === 3 ? blocks.meanOverTokens(b, chosen.name, 'attention_mask', 'pooled') : chosen.name;
  const fresh = normalWeights(seed);
  const head: blocks.WeightSource = (name, shape) => (name.endsWith('.bias') ? zeros(shape) : fresh(shape));
  blocks.linear(b, head, pooled, [width, classes], 'classifier', 'logits');
  return pruneUnused(withOutputs(b.finish(), ['logits']));
}

function choose(graph: Graph, output: string | undefined, path: string): ValueInfo {
  const declared = graph.outputs.map(({ name }) => name);
  const name = output ?? (declared.includes('logits') ? 'logits' : declared[0]!);
  const type = graph.types.get(name);
  if (type) return { name, ...type };
  const nearest = closest(name, [...graph.types.keys()]);
  return unsupported(
    path,
    `It has no value "${name}" of known type; the nearest name is "${nearest}".`,
    'Set `output`.',
  );
}

function requireVocabulary(graph: Graph, size: number, path: string): void {
  const lookup = graph.nodes.find(({ opType, inputs }) => opType === 'Gather' && inputs[1] === 'model.input_ids');
  const rows = lookup && graph.initializers.get(lookup.inputs[0]!)?.shape[0];
  if (rows !== undefined) requireTokenizerFits(size, rows, path);
}

function unsupported(path: string, message: string, remedy: string): never {
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `The model cannot be used as a text classifier. ${message}`, {
    place: path,
    remedy,
  });
}
