// What a training step of BERT-Tiny costs (batch 8 × 128 tokens, AdamW over all 4.4 M weights). Needs `npm run build`.
//
//     node benchmarks/training-step.mjs [--threads 1,2] [--rounds 12] [--json]
//
// Side by side, in turns, on the same batches and from the same weights:
//   bare     onnxruntime-node alone: forward and backward of the gradient graph that Tandem makes, no optimiser
//   tandem   the whole step: the same graph, gradient norm, AdamW
//   pytorch  the whole step, if a python3 with torch is found; its losses must equal Tandem's
// Each row is the median over the rounds; ratios are medians of each round's ratio, which a busy machine disturbs less.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';
import { GraphBuilder } from '../dist/graph/builder.js';
import { addCrossEntropy } from '../dist/graph/losses.js';
import { encodeModel } from '../dist/graph/onnx/encode.js';
import { buildBert, freshBertWeights } from '../dist/models/bert.js';
import { collate, labelTensor } from '../dist/runtime/collate.js';
import { writeSafetensors } from '../dist/runtime/safetensors-files.js';
import { Trainer, trainingGraph } from '../dist/runtime/trainer.js';
import { BERT_SIZES } from '../dist/workload/named-transformers.js';

const BATCH = 8;
const TOKENS = 128;
/** Steps of one contestant before the next one's turn. */
const TURN = 3;
/** Rounds that warm caches and allocators up, not measured. */
const WARM_UP = 2;
const OPTIMIZER = {
  groups: [{ match: /./, learningRate: 1e-4, weightDecay: 0.01 }],
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  clipNorm: 0,
  warmup: 0,
  schedule: 'constant',
  accumulate: 1,
};
const config = {
  ...BERT_SIZES.tiny,
  vocabulary: 30522,
  positions: 512,
  segments: 2,
  epsilon: 1e-12,
  activation: 'gelu',
};

function model() {
  const { graph, trainable } = buildBert(config, freshBertWeights(1), 2);
  const b = new GraphBuilder('bert-tiny', graph);
  const loss = addCrossEntropy(b, 'logits', b.input('labels', 'int64', ['batch']));
  b.output(loss);
  return { graph: b.finish(), trainable, loss };
}

/** Token ids and labels of a step: a fixed sequence, spread over the whole vocabulary. */
function batchOf(step) {
  const id = (i) => Math.floor(Math.abs(Math.sin(step * 9973 + i)) * config.vocabulary);
  const rows = Array.from({ length: BATCH }, (_, row) =>
    Array.from({ length: TOKENS }, (_, i) => id(row * TOKENS + i)),
  );
  return { rows, labels: rows.map((_, row) => (row + step) % 2) };
}

const feedsOf = ({ rows, labels }) => ({ ...collate(rows), labels: labelTensor(labels) });
const toOrt = ({ dtype, shape, data }) => new ort.Tensor(dtype, data, shape);

/** Elapsed and processor time; the second says more where other programs use the processor too. */
async function timed(run) {
  const [start, used] = [performance.now(), process.cpuUsage()];
  const { loss } = await run();
  const { user, system } = process.cpuUsage(used);
  return { milliseconds: performance.now() - start, processor: (user + system) / 1e3, loss };
}

async function bareContestant(options) {
  const handle = await ort.InferenceSession.create(encodeModel(trainingGraph(options)), {
    intraOpNumThreads: options.runtime.threads,
    logSeverityLevel: 3,
  });
  const weights = Object.fromEntries(
    options.trainable.map((name) => [name, toOrt(options.graph.initializers.get(name))]),
  );
  return async (batch) => {
    const feeds = { ...weights };
    for (const [name, value] of Object.entries(feedsOf(batch))) feeds[name] = toOrt(value);
    return timed(() => handle.run(feeds));
  };
}

async function tandemContestant(options) {
  const trainer = await Trainer.create(options);
  return async (batch) => {
    const feeds = feedsOf(batch);
    return timed(() => trainer.step(feeds));
  };
}

/** A child process that does one step for every line it reads. */
async function pytorchContestant(weightsFile, threads) {
  const script = fileURLToPath(new URL('training-step-pytorch.py', import.meta.url));
  const env = { ...process.env, OMP_NUM_THREADS: String(threads), OPENBLAS_NUM_THREADS: String(threads) };
  const child = spawn(PYTHON, [script, weightsFile, String(threads)], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => JSON.parse((await lines.next()).value);
  const { matmulGflops } = await answer();
  const step = async (batch) => {
    child.stdin.write(`${JSON.stringify(batch)}\n`);
    return answer();
  };
  return { step, matmulGflops, stop: () => child.stdin.end() };
}

const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
const hasTorch = spawnSync(PYTHON, ['-c', 'import torch']).status === 0;
/** Below this, PyTorch runs on the reference BLAS; any optimised one is several times faster on one core. */
const SLOW_GFLOPS = 20;
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

async function measure(threads, rounds) {
  const steps = TURN * (rounds + WARM_UP);
  const options = { ...model(), optimizer: OPTIMIZER, steps, runtime: { threads } };
  const folder = mkdtempSync(join(tmpdir(), 'tandem-benchmark-'));
  const weights = join(folder, 'weights.safetensors');
  await writeSafetensors(weights, {
    tensors: new Map(options.trainable.map((name) => [name, options.graph.initializers.get(name)])),
    metadata: {},
  });
  const pytorch = hasTorch ? await pytorchContestant(weights, threads) : undefined;
  const contestants = { bare: await bareContestant(options), tandem: await tandemContestant(options) };
  if (pytorch) contestants.pytorch = pytorch.step;

  const times = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  const processor = { bare: [], tandem: [] };
  const backward = [];
  let worstLossGap = 0;
  for (let round = 0; round < rounds + WARM_UP; round++) {
    const losses = {};
    for (const [name, run] of Object.entries(contestants)) {
      const turn = [];
      losses[name] = [];
      for (let i = 0; i < TURN; i++) {
        const result = await run(batchOf(round * TURN + i));
        turn.push(result);
        losses[name].push(result.loss);
      }
      if (round < WARM_UP) continue;
      times[name].push(median(turn.map(({ milliseconds }) => milliseconds)));
      if (name === 'pytorch') backward.push(median(turn.map(({ backwardMilliseconds }) => backwardMilliseconds)));
      else processor[name].push(median(turn.map((result) => result.processor)));
    }
    for (const [i, loss] of (losses.pytorch ?? []).entries()) {
      worstLossGap = Math.max(worstLossGap, Math.abs(loss - losses.tandem[i]));
    }
  }
  pytorch?.stop();
  rmSync(folder, { recursive: true });
  if (worstLossGap > 1e-4) throw new Error(`PyTorch computes other losses: they differ by ${worstLossGap}.`);
  const ratio = (name, to, of = times) => median(of[name].map((value, round) => value / of[to][round]));
  return {
    threads,
    milliseconds: Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)])),
    ...(pytorch && {
      pytorchForwardBackward: median(backward),
      worstLossGap,
      tandemToPytorch: ratio('tandem', 'pytorch'),
    }),
    tandemToBare: ratio('tandem', 'bare'),
    tandemToBareProcessor: ratio('tandem', 'bare', processor),
  };
}

const { values } = parseArgs({
  options: {
    threads: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '12' },
    json: { type: 'boolean', default: false },
  },
});
const results = [];
for (const threads of values.threads.split(',').map(Number))
  results.push(await measure(threads, Number(values.rounds)));

if (values.json) {
  console.log(
    JSON.stringify({ processor: cpus()[0].model, node: process.version, batch: BATCH, tokens: TOKENS, results }),
  );
} else {
  if (!hasTorch) console.log(`${PYTHON} has no torch: measured without PyTorch.`);
  console.table(
    results.map(({ threads, milliseconds, pytorchForwardBackward, ...ratios }) => {
      const row = { ...milliseconds, 'pytorch, no optimiser': pytorchForwardBackward };
      const rounded = Object.entries(row).map(([name, value]) => [`${name}, ms`, value && Number(value.toFixed(1))]);
      return {
        threads,
        ...Object.fromEntries(rounded),
        'tandem / bare': ratios.tandemToBare.toFixed(2),
        '… in processor time': ratios.tandemToBareProcessor.toFixed(2),
        'tandem / pytorch': ratios.tandemToPytorch?.toFixed(2),
      };
    }),
  );
  const slow = results.find(({ pytorchMatmulGflops }) => pytorchMatmulGflops < SLOW_GFLOPS);
  if (slow) {
    const rate = slow.pytorchMatmulGflops.toFixed(0);
    console.log(`PyTorch multiplies matrices at ${rate} GFLOP/s only: install OpenBLAS or MKL for a fair comparison.`);
  }
}
