/** What the heads of a layer, or one head over all sequences, come to. */

export interface SummedPart<Activity> {
  readonly layer: number;
  /** Undefined: all heads together. */
  readonly head: number | undefined;
  readonly cycles: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly activity: Activity;
}

export class PartSums<Activity extends { readonly [Name in keyof Activity]: number }> {
  readonly #parts = new Map<string, Sum<Activity>>();

  /** Counts and activities have the same names each time. */
  add({ layer, head, cycles, counts, activity }: SummedPart<Activity>): void {
    const key = `${layer}/${head ?? ''}`;
    const sum = this.#parts.get(key);
    if (sum === undefined) {
      this.#parts.set(key, { layer, head, cycles, counts: { ...counts }, activity: { ...activity } });
      return;
    }
    sum.cycles += cycles;
    addTo(sum.counts, counts);
    addTo(sum.activity, activity);
  }

  /** By layer and head. */
  all(): SummedPart<Activity>[] {
    return [...this.#parts.values()].sort((a, b) => a.layer - b.layer || (a.head ?? -1) - (b.head ?? -1));
  }
}

type Mutable<Numbers> = { -readonly [Name in keyof Numbers]: Numbers[Name] };

/** In place: one is added to for every head that is played. */
interface Sum<Activity> extends Mutable<SummedPart<Activity>> {
  readonly counts: Record<string, number>;
  readonly activity: Mutable<Activity>;
}

function addTo<Numbers extends { [Name in keyof Numbers]: number }>(sum: Numbers, added: Readonly<Numbers>): void {
  for (const name of Object.keys(added) as (keyof Numbers)[]) (sum[name] as number) += added[name];
}

/** How far a fast estimate is from what was replayed cycle by cycle. */
export class ReplayError {
  heads = 0;
  #estimated = 0;
  #exact = 0;

  add(estimated: number, exact: number): void {
    this.#estimated += estimated;
    this.#exact += exact;
    this.heads++;
  }

  /** Of the cycles; above 0: too many. */
  get error(): number {
    return this.#exact === 0 ? 0 : this.#estimated / this.#exact - 1;
  }
}
