/** What every technique promises, checked on one that a program brings: for its tests, whatever their framework. */
import { GraphBuilder } from '../graph/builder.js';
import { GraphIndex, withOutputs } from '../graph/edit.js';
import { differentiate } from '../graph/gradients/index.js';
import { encodeModel } from '../graph/onnx/encode.js';
import { type Graph, int, type Tensor } from '../graph/types.js';
import type { Feeds, Fetched } from '../runtime/types.js';
import { decodeTrace } from '../trace/decode.js';
import { encodeEnd, encodeHeader, encodeRecord } from '../trace/encode.js';
import type { MaskRecord, TraceRecord } from '../trace/types.js';
import type { Parameters, Ranges, StepFeedback, Technique, TrainingRewrite } from './types.js';

export interface TechniqueSubject {
  /** Options as a user writes them; the technique's schema fills in the rest. */
  readonly options: unknown;
  /** A model that the technique applies to, with an output `logits`. */
  readonly graph: Graph;
  /** A batch for it, its rows padded at their ends. */
  readonly feeds: Feeds;
  /** Real tokens of each row. */
  readonly lengths: readonly number[];
  /** Values of the graph's outputs. */
  run(graph: Graph, feeds: Feeds): Promise<Fetched>;
}

type Promised = (text: string, kept: boolean) => void;

/** Rewrites and runs the model, and returns each broken promise in words; none: the technique keeps them all. */
export async function checkTechnique<Options>(
  technique: Technique<Options>,
  subject: TechniqueSubject,
): Promise<string[]> {
  const parsed = technique.schema.safeParse(subject.options);
  if (!parsed.success) return [`its schema takes the options (${parsed.error.message})`];
  const broken: string[] = [];
  const promise: Promised = (text, kept) => {
    if (!kept) broken.push(text);
  };
  const before = encodeModel(subject.graph);
  const parameters = await checkTraining(technique, parsed.data, subject, promise);
  await checkInference(technique, parsed.data, subject, parameters, promise);
  promise('it leaves the model that it is given as it is', sameBytes(encodeModel(subject.graph), before));
  return broken;
}

/** @returns the parameters at the start of training */
async function checkTraining<Options>(
  technique: Technique<Options>,
  options: Options,
  { graph, feeds, lengths, run }: TechniqueSubject,
  promise: Promised,
): Promise<Parameters> {
  const rewrite = technique.forTraining(graph, options);
  if (!rewrite) return graph.initializers;
  const { trainable, penalty, monitors, feedback, observer } = rewrite;
  const own = new Set(graph.inputs.map(({ name }) => name));
  const added = rewrite.graph.inputs.map(({ name }) => name).filter((name) => !own.has(name));
  const steps = 5;
  for (let step = 0; step < steps; step++) {
    const names = Object.keys(rewrite.feeds(step, steps));
    const covers = names.length === added.length && added.every((name) => names.includes(name));
    promise(`feeds(${step}, ${steps}) gives exactly the inputs that training adds (${added.join(', ')})`, covers);
  }
  for (const name of trainable) {
    const isNew = rewrite.graph.initializers.has(name) && !graph.initializers.has(name);
    promise(`its parameter "${name}" is a new initializer`, isNew);
  }
  const share = rewrite.learnedUntil;
  const learns = rewrite.learningRate > 0 && share > 0 && share <= 1;
  promise('its parameters learn, over a share of the steps', learns || trainable.length === 0);
  const scalars = [...(penalty === undefined ? [] : [penalty]), ...Object.values(monitors)];
  const { graph: withLoss, loss, wrt } = lossOf(rewrite);
  const gradients = wrt.map((name) => `grad:${name}`);
  const outputs = [...scalars, ...(feedback?.measured ?? []), ...(observer?.observed ?? [])];
  const weights = rewrite.graph.initializers;
  const made = outputs.filter((name) => !gradients.includes(name) && !weights.has(name));
  const training = differentiate(withLoss, { loss, wrt, rules: rewrite.gradientRules, outputs: made });
  const fetches = withOutputs(training, ['logits', ...made, ...gradients]);
  const fetched = { ...Object.fromEntries(weights), ...(await run(fetches, { ...feeds, ...rewrite.feeds(0, steps) })) };
  for (const name of scalars) {
    const isScalar = fetched[name]!.data.length === 1 && finite(fetched[name]!);
    promise(`"${name}" is one finite number`, isScalar);
  }
  for (const name of gradients) promise(`the gradient of the loss "${name}" is finite`, finite(fetched[name]!));
  promise('logits in training are finite', finite(fetched.logits!));
  if (observer) await checkMasks([...observer.record(fetched, lengths, 2)], observer.headsPerLayer.length, promise);
  const after = feedback?.next(fetched, undefined);
  if (after) checkFeedback(rewrite, after, steps, promise);
  return new Map([...rewrite.graph.initializers, ...(feedback?.found(after!.carried) ?? [])]);
}

/** A loss that depends on the logits and the penalty, and what training would differentiate it by. */
function lossOf({ graph, penalty, trainable }: TrainingRewrite): { graph: Graph; loss: string; wrt: string[] } {
  const b = new GraphBuilder(graph.name, graph);
  const squares = b.op('ReduceMean', [b.mul('logits', 'logits')], { keepdims: int(0) });
  const loss = penalty === undefined ? squares : b.add(squares, penalty);
  const finished = b.finish();
  const index = new GraphIndex(finished);
  const behind = new Set([loss]);
  for (const value of behind) for (const input of index.producerOf(value)?.inputs ?? []) behind.add(input);
  const isWeight = ([name, { dtype, shape }]: [string, Tensor]) =>
    behind.has(name) && dtype === 'float32' && shape.length > 1;
  const weights = [...graph.initializers].filter(isWeight).map(([name]) => name);
  return { graph: finished, loss, wrt: [...new Set([...trainable, ...weights])] };
}

async function checkMasks(records: readonly MaskRecord[], layers: number, promise: Promised): Promise<void> {
  promise('it records masks of a training step', records.length > 0);
  const numbered = records.every(({ step, layer }) => step === 2 && layer < layers);
  promise('masks of training name their step and a layer that there is', numbered);
  promise('masks of training survive being written and read', await survivesTrace(records));
}

function checkFeedback(
  rewrite: TrainingRewrite,
  { monitors, carried }: ReturnType<StepFeedback['next']>,
  steps: number,
  promise: Promised,
): void {
  promise('what it measures of a step is finite', Object.values(monitors).every(Number.isFinite));
  promise('what it carries from step to step is finite', carried.every(Number.isFinite));
  const [first, second] = [rewrite.feeds(0, steps), rewrite.feeds(1, steps, carried)];
  const same = Object.keys(first).join() === Object.keys(second).join();
  promise('it feeds the same inputs at every step', same && Object.values(second).every(finite));
}

async function checkInference<Options>(
  technique: Technique<Options>,
  options: Options,
  { graph, feeds, lengths, run }: TechniqueSubject,
  parameters: Parameters,
  promise: Promised,
): Promise<void> {
  const calibrated = technique.calibrated(graph, options);
  const ranges: Ranges = new Map(
    Object.entries(calibrated.length > 0 ? await run(withOutputs(graph, calibrated), feeds) : {}).map(
      ([name, { data }]) => [name, Array.from(data as Float32Array, Math.abs).reduce((a, b) => Math.max(a, b), 0)],
    ),
  );
  const rewrite = technique.forInference(graph, options, parameters, ranges);
  const again = technique.forInference(graph, options, parameters, ranges);
  promise('equal input gives an equal rewrite', sameBytes(encodeModel(rewrite.graph), encodeModel(again.graph)));
  const own = rewrite.graph.inputs.filter(({ name }) => !Object.hasOwn(rewrite.feeds ?? {}, name));
  promise(
    'the adapted model has the inputs and outputs of the original, and inputs that the technique feeds',
    JSON.stringify([own, rewrite.graph.outputs]) === JSON.stringify([graph.inputs, graph.outputs]),
  );
  const counted = rewrite.counts ? [rewrite.counts.zeros, rewrite.counts.elements] : [];
  const fetches = ['logits', ...rewrite.observed, ...counted];
  const fetched = await run(withOutputs(rewrite.graph, fetches), { ...feeds, ...rewrite.feeds });
  promise('logits of the adapted model are finite', finite(fetched.logits!));
  const FIRST = 3;
  const records = [...rewrite.record(fetched, lengths, FIRST)];
  promise('it records what it decided', records.length > 0);
  const sequences = records.map(({ sequence }) => sequence);
  const inOrder = sequences.every((sequence, i) => i === 0 || sequences[i - 1]! <= sequence);
  const allThere = lengths.every((_, row) => sequences.includes(FIRST + row));
  const noOther = sequences.every((sequence) => sequence >= FIRST && sequence < FIRST + lengths.length);
  promise('records go sequence by sequence, from the first number given', inOrder && allThere && noOther);
  for (const record of records) {
    if (record.kind !== 'attention-head') continue;
    const at = `sequence ${record.sequence}, layer ${record.layer}, head ${record.head}`;
    promise(`the record of ${at} holds real tokens only`, record.queries === lengths[record.sequence - FIRST]);
    const ruled = rewrite.heads.some(({ layer, head }) => layer === record.layer && head === record.head);
    promise(`there is a rule for layer ${record.layer}, head ${record.head}`, ruled);
  }
  const layersExist = records.every((record) => !('layer' in record) || record.layer < rewrite.headsPerLayer.length);
  promise('records name layers that there are', layersExist);
  const ordered = rewrite.heads.every(({ layer, head }, i, { [i - 1]: previous }) => {
    return !previous || previous.layer < layer || (previous.layer === layer && previous.head < head);
  });
  promise('rules are in order of layer, then head', ordered);
  promise('records survive being written and read', await survivesTrace(records));
}

async function survivesTrace(records: readonly TraceRecord[]): Promise<boolean> {
  const header = { producer: '', model: '', task: '', technique: '', layers: 0, headsPerLayer: [], notes: {} };
  const bytes = records.map(encodeRecord);
  async function* chunks() {
    yield encodeHeader(header);
    yield* bytes;
    yield encodeEnd(records.length);
  }
  const read: Uint8Array[] = [];
  for await (const record of (await decodeTrace(chunks())).records) read.push(encodeRecord(record));
  return read.length === bytes.length && read.every((record, i) => sameBytes(record, bytes[i]!));
}

const finite = ({ data }: Tensor): boolean => (data as Float32Array).every(Number.isFinite);

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
