// DynaTran's accuracy-sparsity curve against top-k's, over seeds: what each point of top-k's curve loses or gains against
// DynaTran's at as many zeros (interpolated), and how many zeros DynaTran reaches within half a point.
// Usage: npm run build && node benchmarks/dynatran-curves.mjs [--json] [--keep=FOLDER] [--set path=value …] [experiment.yaml] [seed …]
import { seedStudy, withRuns } from './seed-study.mjs';

const study = seedStudy('experiments/transcode/dynatran.yaml');

/** Accuracy of a curve at a sparsity, between the measured points around it; undefined outside of them. */
function accuracyAt({ points }, sparsity) {
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1], points[i]];
    if (sparsity < a.sparsity || sparsity > b.sparsity || a.sparsity === b.sparsity) continue;
    return a.accuracy + ((sparsity - a.sparsity) / (b.sparsity - a.sparsity)) * (b.accuracy - a.accuracy);
  }
  return undefined;
}

function summary({ seed, curves, accuracy, machines }) {
  const dynatran = curves.find(({ rule }) => rule === 'dynatran');
  const topK = curves.find(({ rule }) => rule === 'top-k');
  const plainAccuracy = dynatran.points[0].accuracy;
  const gains = topK.points.flatMap(({ parameter, sparsity, accuracy: reached }) => {
    const other = accuracyAt(dynatran, sparsity);
    return other === undefined ? [] : [{ k: parameter, sparsity, points: 100 * (other - reached) }];
  });
  const within = dynatran.points.filter((point) => plainAccuracy - point.accuracy < 0.005);
  const best = within.at(-1);
  return {
    seed,
    test: accuracy.examples,
    baseline: 100 * plainAccuracy,
    naturalZeros: 100 * dynatran.points[0].sparsity,
    mostZerosWithinHalfAPoint: 100 * best.sparsity,
    atThreshold: best.parameter,
    chosen: dynatran.chosen,
    chosenLoss: 100 * (accuracy.baseline - accuracy.adapted),
    speedup: machines.at(-1)?.speedup,
    energyRatio: machines.at(-1)?.energyRatio,
    gains,
  };
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

withRuns(study, (run) => {
  const rows = study.seeds.map((seed) => summary({ seed, ...run(seed, { reuse: true }).result }));
  const ks = [...new Set(rows.flatMap(({ gains }) => gains.map(({ k }) => k)))].sort((a, b) => a - b);
  const byK = ks.map((k) => {
    const at = rows.flatMap(({ gains }) => gains.filter((gain) => gain.k === k));
    const points = at.map((gain) => gain.points);
    return {
      k,
      'zeros, %': 100 * mean(at.map(({ sparsity }) => sparsity)),
      'DynaTran over top-k, points: mean': mean(points),
      low: Math.min(...points),
      high: Math.max(...points),
      runs: points.length,
    };
  });
  if (study.json) console.log(JSON.stringify({ rows, byK }, null, 2));
  else {
    console.table(rows.map(({ gains: _, ...row }) => row));
    console.table(byK);
  }
});
