/**
 * Moving energies and areas between technology nodes and supply voltages, after A. Stillmaker and B. Baas, "Scaling
 * equations for the accurate prediction of CMOS device performance from 180 nm to 7 nm", Integration 58 (2017):
 * their energy polynomial e(V) = a2·V² + a1·V + a0 per node (table 5; high-performance devices from 45 nm down) and
 * their area table. Nodes in between are interpolated on logarithmic axes.
 *
 * The printed area table has two digits and one row per target node, so its entries do not compose exactly. We take its
 * 7 nm row as the area of each node; ratios then compose, and stay within 8 % of every printed entry.
 */
import { TandemError } from '../errors.js';
import type { Estimate } from './certainty.js';
import { estimate } from './certainty.js';
import type { Constant, Technology } from './types.js';

/** Where a constant was taken: node in nm and supply in V. */
export type Corner = Pick<Technology, 'nodeNanometres' | 'voltage'>;

interface NodeRow {
  readonly node: number;
  /** Area of a design relative to 7 nm. */
  readonly area: number;
  /** Energy polynomial in the supply voltage: [a2, a1, a0]. */
  readonly energy: readonly [number, number, number];
}

/** Descending nodes. */
const NODES: readonly NodeRow[] = [
  { node: 180, area: 320, energy: [24.64, -17.98, 0] },
  { node: 130, area: 110, energy: [7.171, -6.709, 2.904] },
  { node: 90, area: 48, energy: [4.762, -4.781, 2.092] },
  { node: 65, area: 25, energy: [3.755, -4.398, 1.975] },
  { node: 45, area: 17, energy: [1.018, -0.3107, 0.1539] },
  { node: 32, area: 7.8, energy: [0.8367, -0.4341, 0.1701] },
  { node: 20, area: 3.6, energy: [0.373, -0.1582, 0.04104] },
  { node: 16, area: 3.2, energy: [0.2958, -0.1241, 0.03024] },
  { node: 14, area: 2.9, energy: [0.2363, -0.09675, 0.02239] },
  { node: 10, area: 1.7, energy: [0.2068, -0.09311, 0.02375] },
  { node: 7, area: 1, energy: [0.1776, -0.09097, 0.02447] },
];

const SOURCE = 'Stillmaker and Baas, Integration 58 (2017)';
const HIGHEST_VOLTAGE = 2;

/** The two tabulated nodes around a node, and how far (0 … 1, logarithmically) it lies towards the smaller one. */
function bracket(node: number): { upper: NodeRow; lower: NodeRow; weight: number } {
  const first = NODES[0]!;
  const last = NODES[NODES.length - 1]!;
  if (!(node <= first.node && node >= last.node)) {
    throw new TandemError('TANDEM_CONFIG_INVALID', `Technology scaling is not defined at ${node} nm.`, {
      remedy: `Choose nodeNanometres between ${last.node} and ${first.node}.`,
    });
  }
  const index = Math.max(
    1,
    NODES.findIndex((row) => row.node <= node),
  );
  const upper = NODES[index - 1]!;
  const lower = NODES[index]!;
  return { upper, lower, weight: Math.log(upper.node / node) / Math.log(upper.node / lower.node) };
}

const between = (upper: number, lower: number, weight: number) => upper ** (1 - weight) * lower ** weight;

/** The polynomial falls again below its vertex, where the fit has no meaning. */
function lowestVoltage({ energy: [a2, a1, a0] }: NodeRow): number {
  const vertex = -a1 / (2 * a2);
  const root = Math.max(0, a1 * a1 - 4 * a2 * a0);
  return root === 0 ? vertex : Math.max(vertex, (-a1 + Math.sqrt(root)) / (2 * a2));
}

/** Relative switching energy of a fixed design at a corner. @throws TANDEM_CONFIG_INVALID outside the fitted range. */
export function energyFactor({ nodeNanometres, voltage }: Corner): number {
  const { upper, lower, weight } = bracket(nodeNanometres);
  const rows = weight === 0 ? [upper] : weight === 1 ? [lower] : [upper, lower];
  const lowest = Math.max(...rows.map(lowestVoltage));
  if (!(voltage > lowest && voltage <= HIGHEST_VOLTAGE)) {
    throw new TandemError(
      'TANDEM_CONFIG_INVALID',
      `A supply of ${voltage} V lies outside the fitted range at ${nodeNanometres} nm.`,
      { remedy: `Choose a voltage above ${lowest.toFixed(2)} and at most ${HIGHEST_VOLTAGE} V.` },
    );
  }
  const at = ({ energy: [a2, a1, a0] }: NodeRow) => a2 * voltage * voltage + a1 * voltage + a0;
  if (weight === 0) return at(upper);
  if (weight === 1) return at(lower);
  return between(at(upper), at(lower), weight);
}

/** Relative area of a fixed logic design at a node. @throws TANDEM_CONFIG_INVALID outside 7 … 180 nm. */
export function areaFactor(nodeNanometres: number): number {
  const { upper, lower, weight } = bracket(nodeNanometres);
  return between(upper.area, lower.area, weight);
}

export function scaleEnergy(value: number, from: Corner, to: Corner): number {
  return (value * energyFactor(to)) / energyFactor(from);
}

export function scaleArea(value: number, from: Corner, to: Corner): number {
  return (value * areaFactor(to.nodeNanometres)) / areaFactor(from.nodeNanometres);
}

const describe = ({ nodeNanometres, voltage }: Corner) => `${nodeNanometres}nm@${voltage}V`;

/** Factor on energies from one corner to another; exact (no constant) when they are the same. */
export function energyScale(from: Corner, to: Corner): Estimate {
  if (from.nodeNanometres === to.nodeNanometres && from.voltage === to.voltage) return unity;
  return scale(`scaling.energy.${describe(from)}-${describe(to)}`, scaleEnergy(1, from, to));
}

/** Factor on logic areas from one node to another. */
export function areaScale(from: Corner, to: Corner): Estimate {
  if (from.nodeNanometres === to.nodeNanometres) return unity;
  return scale(`scaling.area.${from.nodeNanometres}nm-${to.nodeNanometres}nm`, scaleArea(1, from, to));
}

/**
 * Factor on leakage power of a fixed design: the area's factor times the voltage's. Leakage per area at constant
 * temperature is taken to be the same at every node, since device targets have held it so.
 */
export function leakageScale(from: Corner, to: Corner): Estimate {
  if (from.nodeNanometres === to.nodeNanometres && from.voltage === to.voltage) return unity;
  const value = (scaleArea(1, from, to) * to.voltage) / from.voltage;
  const constant: Constant = {
    name: `scaling.leakage.${describe(from)}-${describe(to)}`,
    value,
    unit: '1',
    source: 'constant leakage current per area',
    certainty: 'assumed',
  };
  return estimate(constant);
}

const unity: Estimate = { value: 1, interval: [1, 1], constants: [] };

function scale(name: string, value: number): Estimate {
  return estimate({ name, value, unit: '1', source: SOURCE, certainty: 'scaled' });
}
