/** Whether machines serve the widths that techniques give to tokens: found before a model is trained for them. */
import { TandemError } from '../errors.js';
import { machines as registered } from '../simulator/registry.js';
import type { LoadedExperiment } from './load.js';
import { playsInference, type ResolvedMachine } from './machines.js';
import type { Experiment } from './schema.js';
import { resolved } from './search-checks.js';

/** @throws TANDEM_CONFIG_INVALID, naming the widths that a machine serves */
export function requireServedWidths({ experiment, machines, rivals }: LoadedExperiment): void {
  requireServed(experiment.technique, machines.filter(playsInference), 'technique');
  for (const [index, { technique }] of experiment.rivals.entries()) {
    requireServed(technique, rivals[index]!, `rivals.${index}.technique`);
  }
}

function requireServed(named: Experiment['technique'], machines: readonly ResolvedMachine[], place: string): void {
  const { technique, options } = resolved(named);
  const widths = technique.tokenWidths?.(options) ?? [];
  for (const { name, machine, config } of machines) {
    const served = registered.get(machine).tokenWidths?.(config);
    const wrong = served && widths.find((bits) => !served.includes(bits));
    if (wrong === undefined) continue;
    throw new TandemError('TANDEM_CONFIG_INVALID', `${name} serves no tokens of ${wrong} bits.`, {
      place: `${place}.widths`,
      remedy: `Use widths among ${served!.join(', ')}, or change the machine.`,
    });
  }
}
