// Which signal tells that a token may leave? Thresholds of each signal are calibrated on held-out text to equal quality; the
// fewer layers, the better the signal. Run `npm run build` first; takes about five minutes. `node
// benchmarks/exit-signals.mjs [FOLDER]`: of the decoder in a folder, by default the one that comes with Tandem.
import { loadText } from '../dist/data/text.js';
import { sequenceFeeds, sequencesIn } from '../dist/experiment/decoding/sequences.js';
import { GraphBuilder } from '../dist/graph/builder.js';
import { withOutputs } from '../dist/graph/edit.js';
import { encodeDocuments } from '../dist/models/byte-pair.js';
import { gpt2 } from '../dist/models/gpt2-family.js';
import { Session } from '../dist/runtime/session.js';
import { calibrate, fullQuality } from '../dist/techniques/toex-calibration.js';
import { decoderExits, ExitBuilder } from '../dist/techniques/toex-exits.js';

const SEQUENCES = 160;
/** Thresholds are calibrated on the second half of the tokens; what is fitted, is fitted on the first. */
const FITTED = ['fitted to tokens', 'fitted to losses'];
const SIGNALS = ['gap', 'largest probability', '1 − largest', 'change of the distribution', 'change of the state'];
const BUDGETS = [
  { measure: 'perplexity', loss: 0.01, confidence: 0.95 },
  { measure: 'perplexity', loss: 0.02, confidence: 0.95 },
  { measure: 'agreement', loss: 0.02, confidence: 0.95 },
];

const text = await loadText({ corpora: ['state-of-the-union', 'moby-dick'], heldOut: 0.1 });
const { graph, config, tokenizer } = await gpt2.load(
  process.argv[2] ? { folder: process.argv[2] } : { pretrained: 'gpt-12x128' },
  { seed: 1, baseFolder: '.' },
);
const tokens = encodeDocuments(tokenizer, text.validation);
const { layers, hidden, vocabulary, context } = config;
const builder = new GraphBuilder(graph.name, graph);
const exits = new ExitBuilder(builder, decoderExits(graph), { candidates: vocabulary, confidence: 'gap' });
const states = Array.from({ length: layers }, (_, layer) => exits.normed(layer));
const logits = Array.from({ length: layers }, (_, layer) => exits.logits(layer));
const session = await Session.create(withOutputs(builder.finish(), [...states, ...logits]));

const size = SEQUENCES * context * layers;
const signals = Object.fromEntries([...SIGNALS, ...FITTED].map((name) => [name, new Float32Array(size)]));
const likelihood = new Float32Array(size);
const token = new Int32Array(size);

/** log softmax, and the places of the two largest. */
function distribution(row) {
  let [first, second] = [0, -1];
  for (let i = 1; i < row.length; i++) {
    if (row[i] > row[first]) [first, second] = [i, first];
    else if (second < 0 || row[i] > row[second]) second = i;
  }
  let sum = 0;
  for (const value of row) sum += Math.exp(value - row[first]);
  const shift = row[first] + Math.log(sum);
  return { logarithms: row.map((value) => value - shift), first, second };
}

function cosine(a, b) {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return Math.max(0, ab / Math.sqrt(aa * bb));
}

const all = sequencesIn(tokens, context);
for (let sequence = 0; sequence < SEQUENCES; sequence++) {
  const { targets, ...feeds } = sequenceFeeds(tokens, [Math.floor((sequence * all) / SEQUENCES)], context);
  const found = await session.run(feeds);
  for (let step = 0; step < context; step++) {
    let before;
    for (let layer = 0; layer < layers; layer++) {
      const row = found[logits[layer]].data.subarray(step * vocabulary, (step + 1) * vocabulary);
      const state = found[states[layer]].data.subarray(step * hidden, (step + 1) * hidden);
      const { logarithms, first, second } = distribution(row);
      const at = (sequence * context + step) * layers + layer;
      const largest = Math.exp(logarithms[first]);
      likelihood[at] = logarithms[Number(targets.data[step])];
      token[at] = first;
      signals.gap[at] = largest - Math.exp(logarithms[second]);
      signals['largest probability'][at] = largest;
      signals['1 − largest'][at] = 1 - largest;
      if (before) {
        let divergence = 0;
        for (let i = 0; i < vocabulary; i++)
          divergence += Math.exp(logarithms[i]) * (logarithms[i] - before.logarithms[i]);
        signals['change of the distribution'][at] = Math.exp(-5 * divergence);
        signals['change of the state'][at] = cosine(state, before.state);
      }
      before = { logarithms, state };
    }
  }
}

/** Of a token at an exit: everything above, there and at the exit before. */
function features(at) {
  const here = SIGNALS.filter((name) => name !== '1 − largest').map((name) => signals[name][at]);
  if (at % layers === 0) return [1, ...here];
  const sure = Math.log(1 - Math.min(signals['largest probability'][at], 1 - 1e-6));
  return [1, ...here, signals.gap[at - 1], Number(token[at] === token[at - 1]), sure];
}

/** Weighted least squares by the normal equations, a little ridge on them. */
function leastSquares(rows, values, weights) {
  const size = rows[0].length;
  const system = Array.from({ length: size }, (_, i) => new Float64Array(size + 1).fill(0).fill(1e-3, i, i + 1));
  for (const [n, row] of rows.entries()) {
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) system[i][j] += weights[n] * row[i] * row[j];
      system[i][size] += weights[n] * row[i] * values[n];
    }
  }
  for (let i = 0; i < size; i++) {
    for (let below = 0; below < size; below++) {
      if (below === i) continue;
      const factor = system[below][i] / system[i][i];
      for (let j = i; j <= size; j++) system[below][j] -= factor * system[i][j];
    }
  }
  return system.map((row, i) => row[size] / row[i]);
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const logistic = (value) => 1 / (1 + Math.exp(-value));

/** Logistic regression by reweighted least squares (Newton). */
function logisticFit(rows, values) {
  let fit = rows[0].map(() => 0);
  for (let round = 0; round < 8; round++) {
    const scores = rows.map((row) => dot(row, fit));
    const weights = scores.map((score) => Math.max(1e-4, logistic(score) * (1 - logistic(score))));
    fit = leastSquares(
      rows,
      scores.map((score, n) => score + (values[n] - logistic(score)) / weights[n]),
      weights,
    );
  }
  return fit;
}

// CALM's third kind of signal, a classifier of the exit: as good as linear ones of these features can be.
const half = Math.floor((SEQUENCES * context) / 2);
for (let layer = 0; layer < layers - 1; layer++) {
  const places = Array.from({ length: SEQUENCES * context }, (_, one) => one * layers + layer);
  const rows = places.map(features);
  const end = (at) => at - layer + layers - 1;
  const learn = rows.slice(0, half);
  const equal = logisticFit(
    learn,
    places.slice(0, half).map((at) => Number(token[at] === token[end(at)])),
  );
  const lost = leastSquares(
    learn,
    places.slice(0, half).map((at) => likelihood[end(at)] - likelihood[at]),
    learn.map(() => 1),
  );
  for (const [one, at] of places.entries()) {
    signals['fitted to tokens'][at] = logistic(dot(rows[one], equal));
    signals['fitted to losses'][at] = logistic(-dot(rows[one], lost));
  }
}

const second = (values) => values.subarray(half * layers);
const tokensLeft = second(token);
const base = {
  layers,
  tokens: SEQUENCES * context - half,
  likelihood: second(likelihood),
  token: tokensLeft,
  fullToken: tokensLeft,
};
const profile = (signal) => ({ ...base, confidence: second(signal), fullConfidence: second(signal) });
const full = fullQuality(profile(signals.gap));
console.log(`${base.tokens} validation tokens, perplexity ${full.perplexity.toFixed(2)} after all ${layers} layers`);
console.log('\nLayers a token, by signal and what is kept (95 % sure): thresholds by layer, and one for all layers');
const cells = (values) => console.log(values.map((value, i) => String(value).padStart(i === 0 ? 28 : 20)).join(''));
cells([
  'signal',
  ...BUDGETS.map(({ measure, loss }) =>
    measure === 'perplexity' ? `perplexity +${100 * loss} %` : `${100 * (1 - loss)} % of tokens`,
  ),
]);
for (const name of [...SIGNALS, ...FITTED]) {
  const row = BUDGETS.map((budget) => {
    const request = { checks: 'all', budget, checkCost: 0, blockTokens: context };
    const { quality, uniform } = calibrate(profile(signals[name]), request);
    return `${quality.meanDecoders.toFixed(2)} ${uniform.quality.meanDecoders.toFixed(2)}`;
  });
  cells([name, ...row]);
}

// A bound, not a method: each token leaves after the first layer that gives what follows it as much probability as the last.
let depth = 0;
for (let one = 0; one < base.tokens; one++) {
  const last = base.likelihood[one * layers + layers - 1];
  let exit = 1;
  while (base.likelihood[one * layers + exit - 1] < last - 0.01) exit++;
  depth += exit;
}
console.log(`\nIf it were known what follows: ${(depth / base.tokens).toFixed(2)} layers a token`);
