// How fast ELECTOR is simulated, in its four modes, on one core. Needs `npm run build`.
//
//     node benchmarks/elector.mjs [--json] [--only edge]
//
// BERT-Tiny on the edge machine and BERT-Base on the server, inference. The modes cycle and published-cycle are whole
// simulations with all their evidence, in seconds (median of some runs after one to warm up); fast and published-fast are
// design points as a search asks for them, a second (median of some spans). All of them in one run, one after the other.
// Seconds are those of a core (CPU time, the garbage collector's included), so that other work on the machine disturbs
// little; on an idle machine they are about those of the clock.
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { readPreset } from '../dist/hardware/preset-files.js';
import { presetConfig } from '../dist/hardware/presets.js';
import { electorSchema } from '../dist/simulator/elector/config.js';
import { designPoint } from '../dist/simulator/elector/corrected.js';
import { publishedFast } from '../dist/simulator/elector/published-fast.js';
import { publishedOperations } from '../dist/simulator/elector/published-generator.js';
import { elector } from '../dist/simulator/elector.js';
import { namedArchitecture } from '../dist/workload/named-transformers.js';

const RUNS = 3;
const SPANS = 5;
const SPAN_SECONDS = 0.6;
const PAIRS = [
  { name: 'BERT-Tiny, edge', key: 'edge', preset: 'elector-edge', model: 'bert-tiny' },
  { name: 'BERT-Base, server', key: 'server', preset: 'elector-server', model: 'bert-base' },
];

const { values: args } = parseArgs({ options: { json: { type: 'boolean' }, only: { type: 'string' } } });

function coreSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function seconds(run) {
  const taken = [];
  for (let round = 0; round <= RUNS; round++) {
    const start = coreSeconds();
    await run();
    if (round > 0) taken.push(coreSeconds() - start);
  }
  return median(taken);
}

/** Points a second. Points differ in their shares of zeros, so that nothing can be kept from one to the next. */
function rate(evaluate) {
  const spans = [];
  let point = 0;
  for (let span = 0; span <= SPANS; span++) {
    const start = coreSeconds();
    let [done, elapsed] = [0, 0];
    for (; elapsed < SPAN_SECONDS; elapsed = coreSeconds() - start, done++) evaluate((point++ % 90) / 100);
    if (span > 0) spans.push(done / elapsed);
  }
  return median(spans);
}

const results = {};
for (const { name, key, preset, model } of PAIRS) {
  if (args.only && args.only !== key) continue;
  const config = presetConfig(readPreset(preset), electorSchema);
  const architecture = namedArchitecture(model);
  const workload = { kind: 'transformer', architecture };
  const whole = (mode) => seconds(() => elector.simulate({ ...config, mode }, workload, { name }));
  const zeros = (share) => ({ ...config, sparsity: { activation: share, weight: share, gradient: share } });
  results[name] = {
    'cycle, s': await whole('cycle'),
    'published-cycle, s': await whole('published-cycle'),
    'fast, points/s': rate((share) => designPoint({ ...zeros(share), mode: 'fast' }, architecture, name).cycles),
    'published-fast, points/s': rate((share) => {
      const machine = zeros(share);
      return publishedFast(
        machine,
        publishedOperations(architecture, { batch: machine.batch, tokens: architecture.tokens }, machine.phase),
      ).cycles;
    }),
  };
}

if (args.json) {
  const machine = { node: process.version, cpu: cpus()[0]?.model, load: loadavg() };
  console.log(JSON.stringify({ benchmark: 'elector', ...machine, results }));
} else {
  const digits = (value) => (value < 10 ? value.toFixed(2) : Math.round(value));
  const shown = (row) => Object.fromEntries(Object.entries(row).map(([what, value]) => [what, digits(value)]));
  console.table(Object.fromEntries(Object.entries(results).map(([name, row]) => [name, shown(row)])));
  console.log(
    `load average: ${loadavg()
      .map((load) => load.toFixed(1))
      .join(', ')}`,
  );
}
