/** Other techniques on the same trained baseline, measured on the same test split, with machines of their own. */
import type { RunContext } from './api.js';
import type { LoadedExperiment } from './load.js';
import { type AdaptedMeasurement, measureAdapted } from './measure.js';
import type { MachineOutcome, RivalOutcome, SearchOutcome } from './result.js';
import type { RunFolder } from './run-folder.js';
import { type Judgements, searchOptions } from './search.js';
import { resolved, searchedMachine } from './search-checks.js';
import { simulateMachines, traceSource } from './simulate.js';
import { calibrate, type TrainedModels } from './trained.js';

export interface MeasuredRival {
  readonly outcome: RivalOutcome;
  readonly machines: readonly MachineOutcome[];
}

export async function measureRivals(
  models: TrainedModels,
  loaded: LoadedExperiment,
  folder: RunFolder,
  context: RunContext,
): Promise<MeasuredRival[]> {
  const measured: MeasuredRival[] = [];
  for (const number of loaded.experiment.rivals.keys()) {
    measured.push(await measureRival(number, models, loaded, folder, context));
  }
  return measured;
}

async function measureRival(
  number: number,
  { prepared, baseline }: TrainedModels,
  loaded: LoadedExperiment,
  folder: RunFolder,
  context: RunContext,
): Promise<MeasuredRival> {
  const { experiment } = loaded;
  const { name, technique: named, search: settings } = experiment.rivals[number]!;
  const machines = loaded.rivals[number]!;
  const { technique, options } = resolved(named);
  const stageName = (part: string) => `rival ${number + 1}: ${part}`;
  const calibrated = technique.calibrated(baseline, options);
  const common = [prepared, experiment, folder, context] as const;
  const ranges = await calibrate(stageName('calibrate'), baseline, calibrated, ...common);
  const search: SearchOutcome | undefined =
    settings &&
    (await folder.stage<SearchOutcome, Judgements>(stageName('search'), (stage) => {
      const place = `rivals.${number}.search`;
      const machine = searchedMachine(settings, machines, place);
      const request = { technique, options, named, settings, place, machine, graph: baseline, ranges };
      return searchOptions(request, prepared, experiment, stage, context);
    }));
  const space = search && technique.space!(baseline, options, ranges);
  const adapted = space
    ? space.rewrite(search.chosen.point)
    : technique.forInference(baseline, options, new Map(), ranges);
  const file = `rival-${number + 1}.trace`;
  const measured = await folder.stage(stageName('measure'), (stage) =>
    measureAdapted(adapted, { technique: named, file }, prepared, experiment, stage, context),
  );
  const outcomes = await folder.stage(stageName('simulate'), async () =>
    simulateMachines(machines, await traceSource(folder.file(file)), context),
  );
  return {
    outcome: {
      ...(name !== undefined && { name }),
      technique: { name: named.name, options: space ? space.options(search.chosen.point) : options },
      ...rivalFacts(measured),
      ...(technique.pruned !== undefined && { pruned: technique.pruned }),
      ...(search && { search }),
      machines: outcomes.map(({ name }) => name),
    },
    machines: outcomes,
  };
}

const rivalFacts = ({ metrics, pruningRate, trace, widthShares }: AdaptedMeasurement) => ({
  accuracy: metrics.accuracy!,
  pruningRate,
  trace,
  ...(widthShares && { widthShares }),
});
