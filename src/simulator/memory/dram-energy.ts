/** What a DRAM's commands, data and waiting cost, as parts of a machine. The presets say where the figures come from. */
import { certaintyInterval } from '../../hardware/certainty.js';
import type { ComponentCost, Constant } from '../../hardware/types.js';
import { burstBytes, type DramConfig } from './dram-config.js';

/** mW ÷ Hz = 1e9 pJ a cycle. */
const PICOJOULES_PER_MILLIJOULE = 1e9;

/** Price of each thing that a memory does, pJ; cycles are those of its own clock. */
export function dramPrices(config: DramConfig) {
  const { energy, technology } = config;
  const perCycle = (milliwatts: number) => (milliwatts / technology.clockHertz) * PICOJOULES_PER_MILLIJOULE;
  return {
    activate: energy.activatePicojoules,
    read: energy.readPicojoules,
    write: energy.writePicojoules,
    burst: energy.interfacePicojoulesPerBit * 8 * burstBytes(config),
    refresh: energy.refreshPicojoules,
    activeCycle: perCycle(energy.activeMilliwatts),
    prechargedCycle: perCycle(energy.prechargedMilliwatts),
  };
}

export type DramAction = keyof ReturnType<typeof dramPrices>;

/** One part of a machine that does these things. A configuration carries no certainty: they count as assumed. */
export function dramCost(config: DramConfig, actions: readonly DramAction[]): ComponentCost {
  const prices = dramPrices(config);
  const energyPicojoules = Object.fromEntries(actions.map((action) => [action, prices[action]]));
  return {
    energyPicojoules,
    areaSquareMicrometres: 0,
    leakageMilliwatts: 0,
    constants: actions.map(
      (action): Constant => ({
        name: `dram.${action}.energy`,
        value: prices[action],
        unit: 'pJ',
        source: 'settings under energy; a preset names their sources',
        certainty: 'assumed',
      }),
    ),
    interval: certaintyInterval('assumed'),
  };
}
