/**
 * What a memory does with consecutive bytes, in closed form. Tests hold it against `channel.ts`. Times are cycles of the
 * memory's clock.
 */
import { burstBytes, burstCycles, type DramConfig, type Field } from './dram-config.js';

/** From a lone read of a closed row to its last data: activate, read, data. */
export const unloadedLatency = (config: DramConfig): number =>
  config.timing.rcdRead + config.timing.cl + burstCycles(config);

/** Share of the time in which a rank can work, refresh aside: it closes its rows, refreshes and opens them again. */
export function availableShare({ timing: { rtp, rpAll, rfc, rcdRead, refi } }: DramConfig): number {
  return 1 - (rtp + rpAll + rfc + rcdRead) / refi;
}

/** Least share of the time that refresh takes by the standard alone. */
export const refreshShare = ({ timing: { rfc, refi } }: DramConfig): number => rfc / refi;

/** Cycles from one burst of a stream to the next in the same channel, refresh aside, by the address map used. */
export function streamSpacing(config: DramConfig): number {
  const { organisation, timing } = config;
  // Where groups alternate, a burst waits for its neighbours only; else for the group's last one.
  const alternate = groupsAlternate(config);
  const apart = alternate
    ? Math.max(timing.ccdShort, timing.ccdLong / organisation.bankGroups)
    : organisation.bankGroups > 1
      ? timing.ccdLong
      : timing.ccdShort;
  const bursts = organisation.rowBytes / burstBytes(config);
  const groups = alternate ? organisation.bankGroups : 1;
  // Rows that follow each other in one bank cannot be opened ahead.
  const elsewhere = (['bank', 'rank', 'group'] as const).some(
    (field) => sizeOf(config, field) > 1 && isBelow(config, field, 'row') && !(field === 'group' && alternate),
  );
  if (elsewhere) return Math.max(apart, activateSpacing(config) / bursts);
  const row = Math.max(timing.rc, (bursts * groups - 1) * apart + timing.rtp + timing.rp + timing.rcdRead);
  return Math.max(apart, row / (bursts * groups));
}

/** Rows of a channel that a stream reads side by side. */
export const openRowsOfStream = (config: DramConfig): number =>
  groupsAlternate(config) ? config.organisation.bankGroups : 1;

/** Whether neighbouring bursts lie in different bank groups. */
const groupsAlternate = (config: DramConfig): boolean =>
  config.organisation.bankGroups > 1 && isBelow(config, 'group', 'column');

/** Whether a field stands at lower bits of an address than another. */
function isBelow({ addressMap }: DramConfig, field: Field, other: Field): boolean {
  const order = addressMap.split('-');
  return order.indexOf(field) > order.indexOf(other);
}

/** Least cycles from one activate of a rank to the next, by tRRD_S and tFAW. */
const activateSpacing = ({ timing: { rrdShort, faw } }: DramConfig): number => Math.max(rrdShort, faw / 4);

function sizeOf({ organisation }: DramConfig, field: 'bank' | 'rank' | 'group'): number {
  if (field === 'bank') return organisation.banks;
  return field === 'rank' ? organisation.ranks : organisation.bankGroups;
}

/** Most bytes a cycle that a stream can get through this address map by the standard, refresh included. */
export const streamBound = (config: DramConfig): number =>
  ((config.organisation.channels * burstBytes(config)) / streamSpacing(config)) * (1 - refreshShare(config));
