/** Widths on a decoder, the experiment's own or a rival's: searched, measured, played; all on the same text. */
import { dtqatten } from '../../techniques/dtqatten.js';
import type { DtqattenOptions } from '../../techniques/dtqatten-options.js';
import type { RunContext } from '../api.js';
import type { HeldOut } from '../decoding/profile.js';
import type { ResolvedMachine } from '../machines.js';
import type { MachineOutcome } from '../result.js';
import type { RunFolder } from '../run-folder.js';
import { searchedMachine } from '../search-checks.js';
import { simulateMachines, traceSource } from '../simulate.js';
import { LossSession } from './losses.js';
import { type Compared, type Measured, measureComparisons, measureWidths } from './measure.js';
import type { WidthsQuality, WidthsSearch } from './result.js';
import { type DecoderWidthsExperiment, type PerplexitySearch, TECHNIQUE } from './schema.js';
import { type Judgements, searchWidths } from './search.js';

export interface Subject {
  /** As results call it. */
  readonly name: string;
  /** Before the names of its stages, and of its settings. */
  readonly stages: string;
  readonly place: string;
  readonly given: DtqattenOptions;
  readonly search: PerplexitySearch | undefined;
  readonly machines: readonly ResolvedMachine[];
  /** Of the run that becomes its trace. */
  readonly file: string;
}

export interface SubjectOutcome extends Measured {
  readonly technique: { readonly name: string; readonly options: unknown };
  readonly search?: WidthsSearch;
  readonly machines: readonly MachineOutcome[];
}

export class Study {
  constructor(
    readonly experiment: DecoderWidthsExperiment,
    readonly compared: Compared,
    readonly validation: HeldOut,
    /** The decoder as it is. */
    readonly baseline: LossSession,
    readonly folder: RunFolder,
    readonly context: RunContext,
  ) {}

  async outcome(subject: Subject): Promise<SubjectOutcome> {
    const { name, stages, given, machines, file } = subject;
    return this.#withSession(given, async (adapted) => {
      const search = await this.#search(subject, adapted);
      const options = search ? this.#space(given).options(search.chosen.point) : given;
      const measured = await this.folder.stage(`${stages}measure`, (stage) =>
        measureWidths(adapted, { name, options, file }, this.compared, this.experiment, stage, this.context),
      );
      const outcomes = await this.folder.stage(`${stages}simulate`, async () =>
        machines.length === 0
          ? []
          : simulateMachines(machines, await traceSource(this.folder.file(file)), this.context),
      );
      const { decoder: _, compensation: __, operands: ___, ...chosen } = options;
      const technique = { name: TECHNIQUE, options: chosen };
      return { technique, ...(search && { search }), ...measured, machines: outcomes };
    });
  }

  /** Beside a subject's own choice. */
  comparisons({ given }: Subject): Promise<WidthsQuality[]> {
    return this.folder.stage('compare', () =>
      this.#withSession(given, (adapted) =>
        measureComparisons(adapted, given, this.compared, this.experiment.trace.sequences, this.context),
      ),
    );
  }

  /** The same rewritten graph serves every choice of widths. */
  async #withSession<Result>(options: DtqattenOptions, work: (adapted: LossSession) => Promise<Result>) {
    const { graph, observed } = dtqatten.forInference(this.compared.prepared.model.graph, options);
    const adapted = await LossSession.create(graph, observed, this.experiment.runtime);
    try {
      return await work(adapted);
    } finally {
      await adapted.dispose();
    }
  }

  #space(options: DtqattenOptions) {
    return dtqatten.space(this.compared.prepared.model.graph, options);
  }

  async #search(
    { search: settings, stages, place, given, machines }: Subject,
    adapted: LossSession,
  ): Promise<WidthsSearch | undefined> {
    if (!settings) return undefined;
    const { experiment, validation, baseline, compared } = this;
    const request = {
      settings,
      place: `${place}search`,
      machine: searchedMachine(settings, machines, `${place}search`),
      space: this.#space(given),
      seed: experiment.seed,
      baseline,
      adapted,
      prepared: compared.prepared,
      validation,
    };
    return this.folder.stage<WidthsSearch, Judgements>(`${stages}search`, (stage) =>
      searchWidths(request, stage, this.context),
    );
  }
}
