// DynaProp with three seeds: accuracy against dense training, and the shares of zeros while training, mean and range.
// Usage: npm run build && node benchmarks/dynaprop-seeds.mjs [--json] [--keep=FOLDER] [--set path=value …] [experiment.yaml] [seed …]
import { printSpread, seedStudy, withRuns } from './seed-study.mjs';

const study = seedStudy('experiments/transcode/dynaprop.yaml');

function summary({ accuracy, pruningRate, training, trainingSparsity, timings }) {
  const zeros = Object.entries(trainingSparsity).map(([kind, share]) => [`zero ${kind}, %`, 100 * share]);
  // Before the first threshold that follows a sparsity: the zeros that are there anyway.
  const [first] = training.filter(({ stage }) => stage === 'adapted');
  return {
    baseline: 100 * accuracy.baseline,
    adapted: 100 * accuracy.adapted,
    pointsLost: 100 * (accuracy.baseline - accuracy.adapted),
    ...Object.fromEntries(zeros),
    'zero gradients at step 0, %': 100 * first.monitors['sparsity.gradients'],
    'zero activations at inference, %': 100 * pruningRate,
    trainingSeconds: timings.training,
  };
}

withRuns(study, (run) => {
  const rows = study.seeds.map((seed) => {
    const { seconds, result } = run(seed);
    return { seed, seconds, ...summary(result) };
  });
  printSpread(rows, study.json);
});
