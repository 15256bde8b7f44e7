// The study of DTQAtten over tasks: what runs of experiments/dtqatten found, as tables. Runs on the same data are put together,
// so that a sampler may have been run apart from the others.
// Usage: npm run build && node benchmarks/dtqatten.mjs RUN-FOLDER …
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { mean, sampleStandardDeviation } from 'simple-statistics';
import { bestSoFar, interval } from '../dist/report/over-seeds.js';
import { accuracyView } from '../dist/report/search-view.js';
import { formatTable } from '../dist/report/tables.js';

const folders = process.argv.slice(2);
const runs = folders.map((folder) => JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8')));
const tasks = [...new Set(runs.map(({ data }) => data.name))];
/** The run that has the rival too. */
const main = (task) =>
  runs.find(({ data, rivals }) => data.name === task && rivals) ?? runs.find(({ data }) => data.name === task);
/** Points of accuracy lost on the test split, with the 95 % interval of paired differences (normal). */
const lost = (run) => {
  const folder = folders[runs.indexOf(run)];
  const data = parse(readFileSync(join(folder, 'predictions.csv')), { columns: true });
  const differences = data.map(({ label, baseline, adapted }) => 100 * ((baseline === label) - (adapted === label)));
  const error = (1.96 * sampleStandardDeviation(differences)) / Math.sqrt(differences.length);
  return `${mean(differences).toFixed(2)} ± ${error.toFixed(2)}`;
};
/** Largest loss that the examples that confirm leave possible, at the confidence asked for. */
const confirmed = ({ chosen, confirmation: { examples, tests, steps } }) =>
  `${(100 * chosen.confirmedAtMost).toFixed(2)} (${examples}; ${tests.length} of ${steps} steps)`;
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const machine = (run, name) => run.machines.find((one) => one.name === name && one.feasible);
const seconds = ({ cycles, clockHertz }) => cycles / clockHertz;
const print = (title, rows) => {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  console.log(`\n${title}`);
  process.stdout.write(
    formatTable(
      rows,
      keys.map((key) => ({ key, header: key, value: (row) => row[key] })),
      'table',
    ),
  );
};

print(
  'Accuracy on the test split, and what was left of tokens in the layers',
  tasks.map((task) => {
    const { accuracy, rivals, widthShares, data } = main(task);
    const { search } = runs.find((run) => run.data.name === task && run.search);
    const left = (shares) =>
      shares
        .map(({ shares: all }) =>
          all
            .filter(({ bits }) => bits > 0)
            .map(({ bits, share }) => `${percent(share, 0)} at ${bits}`)
            .join(' + '),
        )
        .join(', ');
    return {
      task,
      test: accuracy.examples,
      baseline: percent(accuracy.baseline, 2),
      dtqatten: percent(accuracy.adapted, 2),
      'points lost': lost(main(task)),
      'confirmed: at most': confirmed(search),
      ...(rivals && {
        spatten: percent(rivals[0].accuracy, 2),
        'spatten: at most': confirmed(rivals[0].search),
        'published shares': rivals[1] && percent(rivals[1].accuracy, 2),
      }),
      'dtqatten, tokens by layer': left(widthShares),
      validation: data.validation,
    };
  }),
);

/** Time and energy of `other` over those of `own`. */
const gain = (run, own, other) => {
  const [a, b] = [machine(run, own), machine(run, other)];
  return a && b && { time: seconds(b) / seconds(a), energy: b.energyPicojoules / a.energyPicojoules };
};
for (const own of ['vssa', 'vssa-halved', 'vssa-layerwise']) {
  const others = ['spatten-1-8', 'eyeriss-40nm', 'eyeriss-65nm', 'vssa-dense', 'vssa-unsorted', 'vssa-mean-shares'];
  const rows = tasks.map((task) => ({ task, gains: others.map((other) => gain(main(task), own, other)) }));
  const shown = rows.map(({ task, gains }) => ({
    task,
    ...Object.fromEntries(
      others.map((other, at) => [
        other,
        gains[at] ? `${gains[at].time.toFixed(2)}× ${gains[at].energy.toFixed(2)}×` : '–',
      ]),
    ),
  }));
  const means = others.map((_, at) => {
    const known = rows.flatMap(({ gains }) => gains[at] ?? []);
    const average = (of) => mean(known.map((one) => one[of])).toFixed(2);
    return `${average('time')}× ${average('energy')}×`;
  });
  print(`${own}: time and energy of the others over its own`, [
    ...shown,
    { task: 'mean', ...Object.fromEntries(others.map((other, at) => [other, means[at]])) },
  ]);
}

print(
  'Search: lowest relative cost that keeps the budget, mean over seeds and 95 % interval',
  tasks.flatMap((task) => {
    const own = runs.filter(({ data, search }) => data.name === task && search);
    const samplers = new Map(
      own.flatMap(({ search }) =>
        accuracyView({ technique: 'dtqatten', search }).samplers.map((sampler) => [sampler.name, sampler]),
      ),
    );
    return [...samplers.values()].map((sampler) => {
      const best = sampler.runs.map((run) => bestSoFar(run).at(-1) ?? 1);
      const { mean, low, high } = interval(best);
      return {
        task,
        sampler: sampler.name,
        seeds: best.length,
        trials: Math.max(...sampler.runs.map(({ trials }) => trials.length)),
        'relative cost': mean.toFixed(4),
        interval: `${low.toFixed(4)} … ${high.toFixed(4)}`,
      };
    });
  }),
);

print(
  'By shape: time and energy of the first machine over each, shares as measured on the task',
  tasks.flatMap((task) =>
    (main(task).shapes ?? []).map(({ model, tokens, machines }) => ({
      task,
      model,
      tokens,
      ...Object.fromEntries(
        machines.map((one) => [
          one.name,
          one.feasible ? `${one.speedup.toFixed(2)}× ${one.energyRatio.toFixed(2)}×` : '–',
        ]),
      ),
    })),
  ),
);
