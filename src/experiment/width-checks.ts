/** Whether machines serve the widths that techniques give to tokens: found before a model is trained for them. */
import { TandemError } from '../errors.js';
import { machines as registered } from '../simulator/registry.js';
import type { LoadedExperiment } from './load.js';
import { playsInference, type ResolvedMachine } from './machines.js';
import type { Experiment } from './schema.js';
import { resolved } from './search-checks.js';

/** @throws TANDEM_CONFIG_INVALID, naming the widths that a machine serves */
export function requireServedWidths({ experiment, machines, rivals }: LoadedExperiment): void {
  requireServed(
    widthsOf(experiment.technique),
    machines.filter(playsInference),
    placeOf(experiment.technique, 'technique'),
  );
  for (const [index, { technique }] of experiment.rivals.entries()) {
    requireServed(widthsOf(technique), rivals[index]!, placeOf(technique, `rivals.${index}.technique`));
  }
}

function widthsOf(named: Experiment['technique']): readonly number[] {
  const { technique, options } = resolved(named);
  return technique.tokenWidths?.(options) ?? [];
}

/** Where its widths come from. */
const placeOf = (technique: object, place: string): string => ('widths' in technique ? `${place}.widths` : place);

/** @param place of the widths @throws TANDEM_CONFIG_INVALID */
export function requireServed(widths: readonly number[], machines: readonly ResolvedMachine[], place: string): void {
  for (const { name, machine, config } of machines) {
    const served = registered.get(machine).tokenWidths?.(config);
    const wrong = served && widths.find((bits) => !served.includes(bits));
    if (wrong === undefined) continue;
    throw new TandemError('TANDEM_CONFIG_INVALID', `${name} serves no tokens of ${wrong} bits.`, {
      place,
      remedy: `Use widths among ${served!.join(', ')}, or another machine.`,
    });
  }
}
