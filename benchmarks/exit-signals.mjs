// Which signal tells that a token may leave? Thresholds of each signal are calibrated on held-out text to equal quality; the
// fewer layers, the better the signal. Run `npm run build` first; takes about three minutes.
import { loadText } from '../dist/data/text.js';
import { sequenceFeeds, sequencesIn } from '../dist/experiment/decoding/sequences.js';
import { GraphBuilder } from '../dist/graph/builder.js';
import { withOutputs } from '../dist/graph/edit.js';
import { encodeDocuments } from '../dist/models/byte-pair.js';
import { gpt2 } from '../dist/models/gpt2-family.js';
import { Session } from '../dist/runtime/session.js';
import { calibrate, fullQuality } from '../dist/techniques/toex-calibration.js';
import { decoderExits, ExitBuilder } from '../dist/techniques/toex-exits.js';

const SEQUENCES = 100;
const SIGNALS = ['gap', 'largest probability', '1 − largest', 'change of the distribution', 'change of the state'];
const BUDGETS = [
  { measure: 'perplexity', loss: 0.01, confidence: 0.95 },
  { measure: 'perplexity', loss: 0.02, confidence: 0.95 },
  { measure: 'agreement', loss: 0.02, confidence: 0.95 },
];

const text = await loadText({ corpora: ['state-of-the-union', 'moby-dick'], heldOut: 0.1 });
const { graph, config, tokenizer } = await gpt2.load({ pretrained: 'gpt-12x128' }, { seed: 1, baseFolder: '.' });
const tokens = encodeDocuments(tokenizer, text.validation);
const { layers, hidden, vocabulary, context } = config;
const builder = new GraphBuilder(graph.name, graph);
const exits = new ExitBuilder(builder, decoderExits(graph), { candidates: vocabulary, confidence: 'gap' });
const states = Array.from({ length: layers }, (_, layer) => exits.normed(layer));
const logits = Array.from({ length: layers }, (_, layer) => exits.logits(layer));
const session = await Session.create(withOutputs(builder.finish(), [...states, ...logits]));

const size = SEQUENCES * context * layers;
const signals = Object.fromEntries(SIGNALS.map((name) => [name, new Float32Array(size)]));
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

const base = { layers, tokens: SEQUENCES * context, likelihood, token, fullToken: token };
const profile = (confidence) => ({ ...base, confidence, fullConfidence: confidence });
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
for (const name of SIGNALS) {
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
  const last = likelihood[one * layers + layers - 1];
  let exit = 1;
  while (likelihood[one * layers + exit - 1] < last - 0.01) exit++;
  depth += exit;
}
console.log(`\nIf it were known what follows: ${(depth / base.tokens).toFixed(2)} layers a token`);
