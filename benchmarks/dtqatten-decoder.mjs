// DTQAtten on a decoder: perplexity against the bits of keys and values that a step reads, which decoding is bound by. The
// ratios are searched for the fewest bits that keep a budget on validation text, confirmed on other validation text, and
// measured on test text. Run `npm run build` first; takes about ten minutes.
import { loadText } from '../dist/data/text.js';
import { sequenceFeeds, sequencesIn } from '../dist/experiment/decoding/sequences.js';
import { GraphBuilder } from '../dist/graph/builder.js';
import { withOutputs } from '../dist/graph/edit.js';
import { addCrossEntropy } from '../dist/graph/losses.js';
import { encodeDocuments } from '../dist/models/byte-pair.js';
import { gpt2 } from '../dist/models/gpt2-family.js';
import { formatTable } from '../dist/report/tables.js';
import { Session } from '../dist/runtime/session.js';
import { samplers } from '../dist/search/registry.js';
import { runStudy } from '../dist/search/study.js';
import { dtqatten } from '../dist/techniques/dtqatten.js';
import { dtqattenOptions, rowsFor } from '../dist/techniques/dtqatten-options.js';

const WIDTHS = [8, 4, 0];
const BUDGET = 0.01;
const TRIALS = 40;
/** Sequences of 256 tokens. */
const [CALIBRATION, CONFIRMATION, TEST] = [24, 48, 96];
const BATCH = 4;

const text = await loadText({ corpora: ['state-of-the-union', 'moby-dick'], heldOut: 0.1 });
const { graph, config, tokenizer } = await gpt2.load({ pretrained: 'gpt-12x128' }, { seed: 1, baseFolder: '.' });
const [validation, test] = [text.validation, text.test].map((documents) => encodeDocuments(tokenizer, documents));
const spread = (tokens, count) => {
  const all = sequencesIn(tokens, config.context);
  return Array.from({ length: count }, (_, i) => Math.floor((i * all) / count));
};
const held = spread(validation, CALIBRATION + CONFIRMATION);
// Every third sequence calibrates: both parts come from all of the text.
const splits = {
  calibration: [validation, held.filter((_, i) => i % 3 === 0)],
  confirmation: [validation, held.filter((_, i) => i % 3 !== 0)],
  test: [test, spread(test, TEST)],
};

async function measured(source) {
  const b = new GraphBuilder('measured', source);
  const loss = addCrossEntropy(b, 'logits', b.input('targets', 'int64', ['batch', 'tokens']));
  const session = await Session.create(withOutputs(b.finish(), [loss]), { threads: 1 });
  return async ([tokens, sequences], feeds = {}) => {
    let sum = 0;
    for (let from = 0; from < sequences.length; from += BATCH) {
      const batch = sequences.slice(from, from + BATCH);
      const found = await session.run({ ...sequenceFeeds(tokens, batch, config.context), ...feeds });
      sum += Number(found[loss].data[0]) * batch.length;
    }
    return Math.exp(sum / sequences.length);
  };
}

const full = await measured(graph);
const base = Object.fromEntries(
  await Promise.all(Object.entries(splits).map(async ([name, of]) => [name, await full(of)])),
);
const options = dtqattenOptions.parse({ widths: WIDTHS, decoder: true });
const space = dtqatten.space(graph, options);
const adapted = await measured(space.rewrite(space.dimensions.map(() => 0)).graph);
const perplexity = (given, split) => adapted(splits[split], dtqatten.forInference(graph, given).feeds);
/** Bits of keys and values that a step reads, over those of 8 bits for every token that it sees. */
const bitsOf = (given) => {
  const rows = rowsFor(given, WIDTHS, config.layers);
  const sum = rows.flatMap((row) => row.map((share, width) => share * WIDTHS[width])).reduce((a, c) => a + c, 0);
  return sum / (8 * config.layers);
};

const rows = [];
async function show(name, given) {
  const found = await perplexity(given, 'test');
  const shares = rowsFor(given, WIDTHS, config.layers);
  rows.push({
    name,
    perplexity: found.toFixed(2),
    change: `${(100 * (found / base.test - 1)).toFixed(2)} %`,
    'bits of K and V': `${(100 * bitsOf(given)).toFixed(1)} %`,
    'tokens read, layers 1 … 12': shares.map((row) => `${Math.round(100 * (1 - row[2]))}`).join(' '),
    'of these at 8 bits': shares.map((row) => `${Math.round((100 * row[0]) / (1 - row[2]))}`).join(' '),
  });
}
const fixed = (first, row) =>
  dtqattenOptions.parse({ widths: WIDTHS, decoder: true, firstLayer: first, ratios: [row] });
await show('8 bits', fixed(8, [1, 0, 0]));
await show('4 bits', fixed(4, [0, 1, 0]));
await show('published mean ratios', options);
for (const name of ['bayesian', 'greedy', 'random']) {
  const sampler = samplers.get(name);
  const { trials } = await runStudy({
    space,
    sampler,
    options: sampler.schema.parse({}),
    seed: 1,
    trials: TRIALS,
    async judge(point) {
      const given = space.options(point);
      const found = await perplexity(given, 'calibration');
      return { cost: bitsOf(given), violation: found / base.calibration - 1 - BUDGET };
    },
  });
  const kept = trials.filter(({ violation }) => violation <= 0).sort((a, b) => a.cost - b.cost);
  for (const { point } of kept) {
    const given = space.options(point);
    if ((await perplexity(given, 'confirmation')) / base.confirmation - 1 > BUDGET) continue;
    await show(`searched: ${name}`, given);
    break;
  }
}
console.log(`Perplexity of the decoder as it is: ${base.test.toFixed(2)} on ${TEST * config.context} test tokens`);
const columns = Object.keys(rows[0]).map((key) => ({ key, header: key, value: (row) => row[key] }));
process.stdout.write(formatTable(rows, columns, 'table'));
