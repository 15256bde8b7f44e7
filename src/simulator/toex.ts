/**
 * A machine for decoding with early exit and lazy back-fill, after ToEx (IEEE Transactions on Computers, 2024): it streams
 * a decoder's weights from memory, layer by layer, and stops for each token where the trace says that it left. Earlier
 * tokens that lack a layer join when a later one loads it. Parts: a weight-streaming engine, a special function unit
 * (softmax, layer norm, GELU), an exit unit (signs of the output embedding, candidate selector, top-2 comparator), a
 * lazy-computation controller. Of the published machine the ideas are known and nothing else.
 */
import { TandemError } from '../errors.js';
import { checkExits, exitChecks } from '../trace/exits.js';
import { playRecords } from './engine.js';
import { type ToexConfig, toexSchema } from './toex-config.js';
import { type Misfit, modelMisfit, sequenceMisfit } from './toex-misfit.js';
import { decoderOf } from './toex-model.js';
import { ToexRun } from './toex-run.js';
import { toexSizing } from './toex-sizing.js';
import { toexResult } from './toex-totals.js';
import type { Infeasible, Machine, SimulationOptions, SimulationResult, Workload } from './types.js';

const NAME = 'toex';

export const toex: Machine<ToexConfig> = {
  name: NAME,
  description: 'ToEx (IEEE TC 2024): decoding that streams only the layers a token needs, with lazy back-fill.',
  schema: toexSchema,
  accepts: ['trace'],
  presets: ['toex-hbm2', 'toex-ddr4', 'toex-dense'],
  sizing: toexSizing,
  simulate: async (config, workload, { name, ...options }) =>
    (await simulateMany([{ name, config }], workload, options))[0]!,
  simulateMany,
};

/**
 * @throws TANDEM_TRACE_INCONSISTENT for a trace without exits, without the sizes of its decoder or its exit checks, or with
 *         exits that they do not allow; TANDEM_CONFIG_INVALID for another workload, or a decoder of other parts
 */
async function simulateMany(
  configs: readonly { readonly name: string; readonly config: ToexConfig }[],
  workload: Workload,
  options: Omit<SimulationOptions, 'name'>,
): Promise<(SimulationResult | Infeasible)[]> {
  if (workload.kind !== 'trace') {
    throw new TandemError('TANDEM_CONFIG_INVALID', 'This machine plays traces of exits only.', {
      remedy: 'Give it a trace that was recorded with early exit.',
    });
  }
  const { header } = workload;
  let runs: { readonly run: ToexRun; misfit: Misfit | undefined }[] | undefined;
  await playRecords(workload.records, options, (record) => {
    if (record.kind !== 'token-exits') return;
    const checks = exitChecks(header);
    checkExits(record, header.layers, checks.checks);
    runs ??= start(configs, header, options.fidelity ?? 'cycle');
    for (const one of runs) {
      one.misfit ??= sequenceMisfit(one.run.config, one.run.decoder, record);
      if (one.misfit === undefined) one.run.play(record);
    }
  });
  if (runs === undefined) {
    throw new TandemError('TANDEM_TRACE_INCONSISTENT', 'The trace holds no exits.', {
      remedy: 'Record it with early exit.',
    });
  }
  return runs.map(({ run, misfit }, index) => {
    const { name } = configs[index]!;
    return misfit === undefined ? toexResult(run, name) : { feasible: false, name, machine: NAME, ...misfit };
  });
}

function start(
  configs: readonly { readonly config: ToexConfig }[],
  header: Extract<Workload, { kind: 'trace' }>['header'],
  fidelity: 'cycle' | 'fast',
): { run: ToexRun; misfit: Misfit | undefined }[] {
  const [decoder, checks] = [decoderOf(header), exitChecks(header)];
  return configs.map(({ config }) => ({
    run: new ToexRun(config, decoder, checks, fidelity),
    misfit: modelMisfit(config, decoder),
  }));
}
