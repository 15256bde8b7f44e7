/** All tiles of an operation by kind: most are of full size, the last ones of an axis and padded ones are smaller. */
import type { ElectorConfig } from './config.js';

/** An axis of a product, and its tiles. */
export interface Axis {
  readonly size: number;
  readonly edge: number;
  readonly tiles: number;
}

export const axis = (size: number, edge: number): Axis => ({ size, edge, tiles: Math.ceil(size / edge) });

export interface Axes {
  readonly b: Axis;
  readonly i: Axis;
  readonly j: Axis;
  readonly k: Axis;
}

/** What of each tile of an axis is there, of the first `real` elements of its size. */
export const tileSizes = ({ edge, tiles }: Axis, real: number): number[] =>
  Array.from({ length: tiles }, (_, tile) => Math.min(edge, Math.max(0, real - tile * edge)));

/** Sizes of the tiles of each axis, for one sequence. */
export interface SequenceTiles {
  readonly i: readonly number[];
  readonly j: readonly number[];
  readonly k: readonly number[];
}

/** Sizes of one tile, for each of its sequences. */
export interface TileKind {
  readonly i: readonly number[];
  readonly j: readonly number[];
  readonly k: readonly number[];
}

/** Tiles of one axis that are alike. */
interface Kinds {
  readonly of: Uint8Array;
  readonly sizes: readonly (readonly number[])[];
  readonly counts: readonly number[];
}

function kindsOf(sequences: readonly (readonly number[])[]): Kinds {
  const known = new Map<string, number>();
  const sizes: number[][] = [];
  const counts: number[] = [];
  const of = Uint8Array.from(sequences[0]!, (_, tile) => {
    const here = sequences.map((tiles) => tiles[tile]!);
    const key = here.join();
    let kind = known.get(key);
    if (kind === undefined) {
      kind = sizes.length;
      known.set(key, kind);
      sizes.push(here);
      counts.push(0);
    }
    counts[kind]!++;
    return kind;
  });
  return { of, sizes, counts };
}

/** Sequences that share tiles. */
interface Group {
  readonly kinds: readonly [Kinds, Kinds, Kinds];
  /** By kind along i, j and k, the last one fastest. */
  readonly costs: Float64Array;
  times: number;
}

export interface TileSums {
  /** Over all tiles. */
  readonly busy: number;
  /** Of each unit, where tiles differ: those of one kind may always fall to the same units. */
  readonly sums: Float64Array | undefined;
}

/**
 * Sum of a cost over all tiles, and each unit's sum.
 * @param sequences equal ones by the same object; alike when there is only one for all
 */
export function sumOverTiles(
  axes: Axes,
  sequences: readonly SequenceTiles[],
  loopOrder: ElectorConfig['loopOrder'],
  units: number,
  cost: (kind: TileKind) => number,
): TileSums {
  const groups: Group[] = [];
  const groupOf: Group[] = [];
  let [last, lastMembers]: [Group | undefined, readonly SequenceTiles[]] = [undefined, []];
  for (let first = 0; first < axes.b.size; first += axes.b.edge) {
    const count = Math.min(axes.b.edge, axes.b.size - first);
    const members = Array.from({ length: count }, (_, at) => sequences[first + at] ?? sequences[0]!);
    if (!last || members.length !== lastMembers.length || members.some((one, at) => one !== lastMembers[at])) {
      last = groupFor(members, cost);
      groups.push(last);
    }
    last.times++;
    groupOf.push(last);
    lastMembers = members;
  }
  let busy = 0;
  for (const { kinds, costs, times } of groups) {
    const [i, j, k] = kinds;
    let at = 0;
    for (const ni of i.counts)
      for (const nj of j.counts) for (const nk of k.counts) busy += times * ni * nj * nk * costs[at++]!;
  }
  const uniform = groups.length === 1 && groups[0]!.costs.length === 1;
  return { busy, sums: uniform ? undefined : unitSums(axes, groupOf, loopOrder, units) };
}

function groupFor(members: readonly SequenceTiles[], cost: (kind: TileKind) => number): Group {
  const kinds = (['i', 'j', 'k'] as const).map((name) => kindsOf(members.map((tiles) => tiles[name]))) as [
    Kinds,
    Kinds,
    Kinds,
  ];
  const [is, js, ks] = kinds;
  const costs = new Float64Array(is.sizes.length * js.sizes.length * ks.sizes.length);
  let at = 0;
  for (const i of is.sizes) for (const j of js.sizes) for (const k of ks.sizes) costs[at++] = cost({ i, j, k });
  return { kinds, costs, times: 0 };
}

function unitSums(axes: Axes, groupOf: readonly Group[], loopOrder: string, units: number): Float64Array {
  const names = [...loopOrder] as (keyof Axes)[];
  const [n0, n1, n2, n3] = names.map((name) => axes[name].tiles) as [number, number, number, number];
  const [p0, p1, p2, p3] = names.map((name) => 'bijk'.indexOf(name)) as [number, number, number, number];
  const sums = new Float64Array(Math.min(units, n0 * n1 * n2 * n3));
  const at = [0, 0, 0, 0];
  let unit = 0;
  for (at[p0] = 0; at[p0]! < n0; at[p0]!++)
    for (at[p1] = 0; at[p1]! < n1; at[p1]!++)
      for (at[p2] = 0; at[p2]! < n2; at[p2]!++)
        for (at[p3] = 0; at[p3]! < n3; at[p3]!++) {
          const { kinds, costs } = groupOf[at[0]!]!;
          const [i, j, k] = kinds;
          const kind = (i.of[at[1]!]! * j.counts.length + j.of[at[2]!]!) * k.counts.length + k.of[at[3]!]!;
          sums[unit]! += costs[kind]!;
          unit = unit + 1 === sums.length ? 0 : unit + 1;
        }
  return sums;
}

/** How an operand's tiles fall to a unit. */
export interface Repetition {
  /** Tiles that the first unit takes. */
  readonly rounds: number;
  /** Operand tiles in all, and those that the first unit meets. */
  readonly all: number;
  readonly met: number;
}

/** Steps that are walked; beyond them the pattern has long repeated itself or never will. */
const MOST_STEPS = 2048;

/** @param along loops whose coordinate makes another operand tile */
export function repetitionOf(
  axes: Axes,
  loopOrder: ElectorConfig['loopOrder'],
  units: number,
  along: readonly (keyof Axes)[],
): Repetition {
  const names = [...loopOrder].reverse() as (keyof Axes)[];
  const tiles = axes.b.tiles * axes.i.tiles * axes.j.tiles * axes.k.tiles;
  const all = along.reduce((product, name) => product * axes[name].tiles, 1);
  const rounds = Math.ceil(tiles / units);
  const steps = Math.min(rounds, MOST_STEPS);
  const met = new Set<number>();
  for (let step = 0; step < steps; step++) {
    let [rest, operand] = [step * units, 0];
    for (const name of names) {
      const size = axes[name].tiles;
      if (along.includes(name)) operand = operand * size + (rest % size);
      rest = Math.floor(rest / size);
    }
    met.add(operand);
  }
  return { rounds, all, met: Math.min(all, Math.round((met.size * rounds) / steps)) };
}
