// The quick start with three seeds: accuracy lost, pruning, and each machine's gain, mean and range.
// Usage: npm run build && node benchmarks/quickstart-seeds.mjs [--json] [--keep=FOLDER] [--set path=value …] [experiment.yaml] [seed …]
import { printSpread, seedStudy, withRuns } from './seed-study.mjs';

const study = seedStudy('experiments/quickstart.yaml');

function summary({ accuracy, pruningRate, meanBits, machines, timings }) {
  const row = {
    baseline: 100 * accuracy.baseline,
    adapted: 100 * accuracy.adapted,
    pointsLost: 100 * (accuracy.baseline - accuracy.adapted),
    pruned: 100 * pruningRate,
    meanBits,
    measuringSeconds: timings.measuring,
    simulatingSeconds: timings.simulating,
  };
  for (const { name, feasible, speedup, energyRatio } of machines) {
    if (feasible) Object.assign(row, { [`${name} speed-up`]: speedup, [`${name} energy`]: energyRatio });
  }
  return row;
}

withRuns(study, (run) => {
  const rows = study.seeds.map((seed) => {
    const { seconds, result } = run(seed);
    return { seed, seconds, ...summary(result) };
  });
  printSpread(rows, study.json);
});
