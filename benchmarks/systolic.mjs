// How many design points per second the dense systolic array evaluates. Needs `npm run build`.
//
//     node benchmarks/systolic.mjs [--json]
//
// "counts" is a layer on an array in closed form (cycles, SRAM accesses, register writes); "layer" adds off-chip traffic;
// "machine" is a whole simulation of BERT-Base's six products, with energy, area and conservation checks.
import { cpus } from 'node:os';
import { simulateLayer, systolic } from '../dist/simulator/systolic.js';
import { systolicCounts } from '../dist/simulator/systolic-counts.js';

const SECONDS = 2;
const config = systolic.schema.parse({
  technology: { nodeNanometres: 45, voltage: 0.9, clockHertz: 1e9 },
  array: { rows: 32, columns: 32 },
  dataflow: 'ws',
  sram: { ifmapKilobytes: 256, filterKilobytes: 256, ofmapKilobytes: 256 },
});
const bertBase = [
  { name: 'query, key, value', m: 128, n: 2304, k: 768 },
  { name: 'scores', m: 128, n: 128, k: 64 },
  { name: 'attention output', m: 128, n: 64, k: 128 },
  { name: 'projection', m: 128, n: 768, k: 768 },
  { name: 'expand', m: 128, n: 3072, k: 768 },
  { name: 'contract', m: 128, n: 768, k: 3072 },
];
const sides = [8, 16, 32, 64, 128, 256];
const arrays = sides.flatMap((rows) => sides.map((columns) => ({ rows, columns })));
const dataflows = ['os', 'ws', 'is'];

/** Cycles through arrays, dataflows and layers, so that no two neighbouring points are equal. */
function* points() {
  for (let index = 0; ; index++) {
    yield {
      array: arrays[index % arrays.length],
      dataflow: dataflows[index % dataflows.length],
      layer: bertBase[index % bertBase.length],
    };
  }
}

/** @returns points per second, and a checksum that keeps the work from being optimised away. */
async function rate(evaluate) {
  const source = points();
  for (let warm = 0; warm < 2000; warm++) await evaluate(source.next().value);
  let [done, checksum] = [0, 0];
  const start = performance.now();
  while (performance.now() - start < SECONDS * 1000) {
    for (let batch = 0; batch < 100; batch++, done++) {
      const cycles = evaluate(source.next().value);
      checksum += typeof cycles === 'number' ? cycles : await cycles;
    }
  }
  return { pointsPerSecond: Math.round((done * 1000) / (performance.now() - start)), checksum };
}

const results = {
  counts: await rate(({ array, dataflow, layer }) => systolicCounts(array, dataflow, 'scale-sim', layer).cycles),
  layer: await rate(({ array, dataflow, layer }) => simulateLayer({ ...config, array, dataflow }, layer).counts.cycles),
  machine: await rate(async ({ array, dataflow }) => {
    const workload = { kind: 'gemms', layers: bertBase };
    return (await systolic.simulate({ ...config, array, dataflow }, workload, { name: 'benchmark' })).cycles;
  }),
};

if (process.argv.includes('--json')) {
  const rates = Object.fromEntries(
    Object.entries(results).map(([name, { pointsPerSecond }]) => [name, pointsPerSecond]),
  );
  console.log(
    JSON.stringify({ benchmark: 'systolic', node: process.version, cpu: cpus()[0]?.model, pointsPerSecond: rates }),
  );
} else {
  console.table(
    Object.fromEntries(
      Object.entries(results).map(([name, { pointsPerSecond }]) => [name, { 'points/s': pointsPerSecond }]),
    ),
  );
}
