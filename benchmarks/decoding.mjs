// What a generated token costs on a decoder of GPT-2 small's size with random weights. Needs `npm run build`.
//
//     node benchmarks/decoding.mjs [--threads 1,2] [--rounds 4] [--tokens 24] [--prompt 32] [--exits run.trace] [--json]
//
// Side by side, a text each in turns (ONNX Runtime's threads go on waiting for work after a run, and would take the next one's cores if it
// were another contestant's), from the same weights and prompt:
//   plain    ONNX Runtime alone: one graph with past and present keys and values, as exporters write it
//   full     this engine, every token through all layers; it must choose the same tokens as `plain`
//   early    this engine with lazy back-fill: a light check after every checked layer that a token runs, and its exit as given
// Exits come from the trace of a run of ToEx (`--exits`, a 12-layer model), or are drawn: a geometric distribution cut at 12
// layers, of mean 4.6. Weights being random, the checks are made and paid for, but what they say is not used.
// Each round continues the prompt anew. A ratio is the median of the rounds' ratios of summed times, of elapsed time and of
// processor time: on a busy machine the latter says more, where threads do not wait for each other.
import { parseArgs } from 'node:util';
import { floatTensor, int64Tensor } from '../dist/graph/types.js';
import { freshGpt2Weights } from '../dist/models/gpt2.js';
import { gpt2WithCache } from '../dist/models/gpt2-cache.js';
import { gpt2Stages } from '../dist/models/gpt2-stages.js';
import { LightEmbedding } from '../dist/runtime/decoding/light-embedding.js';
import { lightChoices } from '../dist/runtime/decoding/policies.js';
import { choose, seededRandom } from '../dist/runtime/decoding/sampling.js';
import { Sequence } from '../dist/runtime/decoding/sequence.js';
import { DecoderSessions } from '../dist/runtime/decoding/sessions.js';
import { step } from '../dist/runtime/decoding/step.js';
import { Session } from '../dist/runtime/session.js';
import { exitChecks } from '../dist/trace/exits.js';
import { openTrace } from '../dist/trace/files.js';

const config = {
  layers: 12,
  hidden: 768,
  heads: 12,
  intermediate: 3072,
  vocabulary: 50257,
  context: 1024,
  epsilon: 1e-5,
  activation: 'gelu-tanh',
};
/** The technique's default. */
const CANDIDATES = 64;
/** 12 layers / 2.6: what ToEx publishes as the mean reduction. */
const MEAN_DEPTH = 4.6;
const greedy = { temperature: 0 };
const pick = (choices) => choose(choices, greedy, () => 0);

const { values: options } = parseArgs({
  options: {
    threads: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '4' },
    tokens: { type: 'string', default: '24' },
    prompt: { type: 'string', default: '32' },
    exits: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [rounds, tokens, promptLength] = [options.rounds, options.tokens, options.prompt].map(Number);

/** Depths one after the other, and the layers that have a check: of a trace's tokens, or drawn. */
async function givenExits() {
  if (options.exits === undefined)
    return { depths: drawnDepths(), checks: Array.from({ length: 11 }, (_, i) => i + 1) };
  const depths = [];
  const { header, records } = await openTrace(options.exits);
  for await (const record of records) {
    if (record.kind !== 'token-exits') continue;
    if (record.layers !== config.layers) throw new Error(`${options.exits} is of ${record.layers} layers, not 12`);
    depths.push(...record.exits.slice(record.prompt));
  }
  return { depths, checks: exitChecks(header).checks };
}

function drawnDepths() {
  const all = Array.from({ length: config.layers }, (_, i) => i + 1);
  const shares = (ratio) => all.map((depth) => ratio ** depth);
  const mean = (weights) => weights.reduce((s, w, i) => s + w * all[i], 0) / weights.reduce((s, w) => s + w, 0);
  let [low, high] = [0.01, 1];
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (mean(shares(middle)) < MEAN_DEPTH) low = middle;
    else high = middle;
  }
  const choices = { ids: Int32Array.from(all), logits: Float32Array.from(shares(low), Math.log) };
  const random = seededRandom(1);
  return Array.from({ length: 5000 }, () => choose(choices, { temperature: 1 }, random));
}

/** One tensor for each name, for all contestants. */
function sharedWeights() {
  const fresh = freshGpt2Weights(1, config.layers);
  const made = new Map();
  return (name, shape) => {
    if (!made.has(name)) made.set(name, fresh(name, shape));
    return made.get(name);
  };
}

class Plain {
  constructor(session) {
    this.session = session;
  }

  begin(prompt) {
    const empty = floatTensor([], [1, config.heads, 0, config.hidden / config.heads]);
    this.caches = Object.fromEntries(
      this.session.inputs.filter(({ name }) => name.startsWith('past_')).map(({ name }) => [name, empty]),
    );
    this.past = 0;
    return this.run(prompt);
  }

  async run(ids) {
    const all = this.past + ids.length;
    const outputs = await this.session.run({
      input_ids: int64Tensor(ids, [1, ids.length]),
      position_ids: int64Tensor(
        ids.map((_, i) => this.past + i),
        [1, ids.length],
      ),
      attention_mask: floatTensor(new Float32Array(all).fill(1), [1, all]),
      ...this.caches,
    });
    for (const name of Object.keys(this.caches))
      this.caches[name] = outputs[name.replace('past_key_values', 'present')];
    this.past = all;
    return pick({ logits: outputs.logits.data.subarray(-config.vocabulary) });
  }
}

class Engine {
  /** @param policy depth of the next token → ExitPolicy */
  constructor(sessions, policy) {
    this.sessions = sessions;
    this.policy = policy;
  }

  begin(prompt) {
    this.sequence = new Sequence(prompt, config);
    this.loads = 0;
    return this.next();
  }

  run([id], depth) {
    this.sequence.tokens.push(id);
    return this.next(depth);
  }

  async next(depth) {
    const options = this.policy && depth !== undefined ? { policy: this.policy(depth) } : {};
    const { choices, loads } = await step(this.sessions, [this.sequence], options);
    if (depth !== undefined) this.loads += loads;
    return pick(choices[0]);
  }
}

async function timed(run) {
  const [start, used] = [performance.now(), process.cpuUsage()];
  const token = await run();
  const { user, system } = process.cpuUsage(used);
  return { token, elapsed: performance.now() - start, processor: (user + system) / 1e3 };
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const sum = (values) => values.reduce((total, value) => total + value, 0);

async function measure(threads, weights, { depths, checks: checkedLayers }) {
  const stages = gpt2Stages(config, weights);
  const whole = await DecoderSessions.create(stages, { threads, stops: [] });
  const sessions = await DecoderSessions.create(stages, { threads, stops: checkedLayers });
  const session = await Session.create(gpt2WithCache(config, weights), { threads });
  const light = new LightEmbedding(sessions.words, config.hidden, CANDIDATES);
  const checked = (depth) => ({
    async afterLayer(layers, candidates) {
      const [choices] = await lightChoices(sessions, light, candidates);
      return [{ exit: layers >= depth, choices }];
    },
  });
  const contestants = {
    plain: new Plain(session),
    full: new Engine(whole),
    early: new Engine(sessions, checked),
  };
  const names = Object.keys(contestants);
  const prompt = Array.from({ length: promptLength }, (_, i) => (i * 7919) % config.vocabulary);
  const perRound = [];
  const meanDepths = [];
  // The first round warms caches and compilers up.
  for (let round = 0; round <= rounds; round++) {
    const chosen = {};
    const times = {};
    for (const at of names.keys()) {
      const name = names[(round + at) % names.length];
      chosen[name] = [await contestants[name].begin(prompt)];
      times[name] = { elapsed: 0, processor: 0 };
      for (let i = 0; i < tokens; i++) {
        const depth = depths[(round * tokens + i) % depths.length];
        const { token, elapsed, processor } = await timed(() => contestants[name].run([chosen[name].at(-1)], depth));
        chosen[name].push(token);
        times[name].elapsed += elapsed / tokens;
        times[name].processor += processor / tokens;
      }
    }
    const differs = chosen.plain.findIndex((token, i) => token !== chosen.full[i]);
    if (differs >= 0)
      throw new Error(`token ${differs}: plain chooses ${chosen.plain[differs]}, full ${chosen.full[differs]}`);
    if (round === 0) continue;
    perRound.push(times);
    meanDepths.push(contestants.early.loads / tokens);
  }
  const state = { state: sessions.words.slice(0, config.hidden) };
  const checks = [];
  for (let i = 0; i < 100; i++) checks.push((await timed(() => lightChoices(sessions, light, [state]))).elapsed);
  await whole.dispose();
  await sessions.dispose();
  await session.dispose();
  const ratio = (of, to, kind) => median(perRound.map((times) => times[of][kind] / times[to][kind]));
  return {
    threads,
    check: median(checks),
    meanDepth: sum(meanDepths) / rounds,
    milliseconds: Object.fromEntries(names.map((name) => [name, median(perRound.map((times) => times[name].elapsed))])),
    fullToPlain: { elapsed: ratio('full', 'plain', 'elapsed'), processor: ratio('full', 'plain', 'processor') },
    speedUp: { elapsed: ratio('full', 'early', 'elapsed'), processor: ratio('full', 'early', 'processor') },
    speedUpOnPlain: { elapsed: ratio('plain', 'early', 'elapsed'), processor: ratio('plain', 'early', 'processor') },
  };
}

const weights = sharedWeights();
const exits = await givenExits();
const results = [];
for (const threads of options.threads.split(',').map(Number)) results.push(await measure(threads, weights, exits));
if (options.json) console.log(JSON.stringify(results, null, 2));
else {
  const cell = ({ elapsed, processor }) => `${elapsed.toFixed(2)} (${processor.toFixed(2)})`;
  console.log(
    '| threads | mean exit | light check, ms | plain, ms | full, ms | early, ms | full : plain | full : early | plain : early |',
  );
  console.log('|---|---|---|---|---|---|---|---|---|');
  for (const { threads, check, meanDepth, milliseconds, ...ratios } of results) {
    const { fullToPlain, speedUp, speedUpOnPlain } = ratios;
    const times = Object.values(milliseconds).map((value) => value.toFixed(1));
    const cells = [
      threads,
      meanDepth.toFixed(2),
      check.toFixed(2),
      ...times,
      ...[fullToPlain, speedUp, speedUpOnPlain].map(cell),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}
