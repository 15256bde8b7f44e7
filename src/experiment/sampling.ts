/** Runs the samplers of a search, each with several seeds, on a space whose points are judged one by one. */
import { samplers } from '../search/registry.js';
import { repeatStudy } from '../search/study.js';
import type { Judgement, Point, Space } from '../search/types.js';
import type { RunContext } from './api.js';
import type { SearchSettings } from './comparison-schema.js';
import { optionsOf } from './named-options.js';

export interface Sampling {
  readonly space: Space;
  readonly settings: Pick<SearchSettings, 'samplers' | 'trials' | 'repetitions'>;
  /** Of the first repetition. */
  readonly seed: number;
  /** What is searched, for messages. */
  readonly technique: string;
  readonly judge: (point: Point) => Promise<Judgement>;
}

/** What a sampler tried, seed by seed. */
export interface Sampled {
  readonly name: string;
  readonly runs: readonly {
    readonly seed: number;
    readonly trials: readonly { readonly point: Point; readonly cost: number }[];
  }[];
}

/** In the order of the settings. */
export async function sampled(
  { space, settings, seed, technique, judge }: Sampling,
  { progress, signal }: RunContext,
): Promise<Sampled[]> {
  const { trials, repetitions } = settings;
  const seeds = Array.from({ length: repetitions }, (_, repetition) => seed + repetition);
  const all: Sampled[] = [];
  for (const chosen of settings.samplers) {
    const { name, options } = optionsOf(chosen);
    const sampler = samplers.get(name);
    const task = progress.task(`searching ${technique} by ${name}`, trials * repetitions, 'trials');
    let done = 0;
    const studies = await repeatStudy({
      space,
      sampler,
      options: sampler.schema.parse(options),
      seeds,
      trials,
      judge,
      signal,
      onTrial: () => task.update(++done),
    });
    task.end();
    const runs = studies.map((study, run) => ({
      seed: seeds[run]!,
      trials: study.trials.map(({ point, cost }) => ({ point, cost })),
    }));
    all.push({ name, runs });
  }
  return all;
}
