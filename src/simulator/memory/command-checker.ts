/**
 * Whether commands of a channel are legal, from their log alone: each command is held against all that came before it,
 * rule by rule. Slow and plain; `bank-state.ts` keeps the same gaps as earliest times.
 */
import type { Command, CommandKind } from './commands.js';
import { burstCycles, type DramConfig } from './dram-config.js';

type Event = 'ACT' | 'PRE' | 'PREA' | 'RD' | 'WR' | 'REF';
type Scope = 'bank' | 'group' | 'rank' | 'other rank';

export interface Rule {
  readonly name: string;
  readonly from: Event;
  readonly to: Event;
  readonly scope: Scope;
  /** Least cycles between the two. */
  readonly gap: number;
}

/** All rules between two commands. A rule of a rank holds within a group and a bank, too. */
export function rulesOf(config: DramConfig): Rule[] {
  const t = config.timing;
  const burst = burstCycles(config);
  const [read, written] = [t.cl + burst, t.cwl + burst];
  const rules: [string, Event, Event, Scope, number][] = [
    ['tRCD', 'ACT', 'RD', 'bank', t.rcdRead],
    ['tRCD', 'ACT', 'WR', 'bank', t.rcdWrite],
    ['tRAS', 'ACT', 'PRE', 'bank', t.ras],
    ['tRAS', 'ACT', 'PREA', 'rank', t.ras],
    ['tRC', 'ACT', 'ACT', 'bank', t.rc],
    ['tRC', 'ACT', 'REF', 'rank', t.rc],
    ['tRP', 'PRE', 'ACT', 'bank', t.rp],
    ['tRP', 'PRE', 'REF', 'rank', t.rp],
    ['tRPab', 'PREA', 'ACT', 'rank', t.rpAll],
    ['tRPab', 'PREA', 'REF', 'rank', t.rpAll],
    ['tRTP', 'RD', 'PRE', 'bank', t.rtp],
    ['tRTP', 'RD', 'PREA', 'rank', t.rtp],
    ['tWR', 'WR', 'PRE', 'bank', written + t.wr],
    ['tWR', 'WR', 'PREA', 'rank', written + t.wr],
    ['tRRD_L', 'ACT', 'ACT', 'group', t.rrdLong],
    ['tRRD_S', 'ACT', 'ACT', 'rank', t.rrdShort],
    ['tCCD_L', 'RD', 'RD', 'group', t.ccdLong],
    ['tCCD_L', 'WR', 'WR', 'group', t.ccdLong],
    ['tCCD_S', 'RD', 'RD', 'rank', t.ccdShort],
    ['tCCD_S', 'WR', 'WR', 'rank', t.ccdShort],
    ['tWTR_L', 'WR', 'RD', 'group', written + t.wtrLong],
    ['tWTR_S', 'WR', 'RD', 'rank', written + t.wtrShort],
    ['read to write', 'RD', 'WR', 'rank', read + t.turn - t.cwl],
    ['tRTRS', 'RD', 'RD', 'other rank', burst + t.rankTurn],
    ['tRTRS', 'WR', 'WR', 'other rank', burst + t.rankTurn],
    ['tRTRS', 'RD', 'WR', 'other rank', read + Math.max(t.turn, t.rankTurn) - t.cwl],
    ['tRTRS', 'WR', 'RD', 'other rank', written + t.rankTurn - t.cl],
    ['tRFC', 'REF', 'ACT', 'rank', t.rfc],
    ['tRFC', 'REF', 'REF', 'rank', t.rfc],
  ];
  return rules.map(([name, from, to, scope, gap]) => ({ name, from, to, scope, gap }));
}

const EVENT: Readonly<Record<CommandKind, Event>> = {
  ACT: 'ACT',
  PRE: 'PRE',
  PREA: 'PREA',
  RD: 'RD',
  RDA: 'RD',
  WR: 'WR',
  WRA: 'WR',
  REF: 'REF',
};

/** A channel's history; `violation` says what speaks against a further command, `add` takes it in. */
export class CommandChecker {
  readonly #rules: readonly Rule[];
  readonly #events: { readonly event: Event; readonly time: number; readonly rank: number; readonly bank?: number }[] =
    [];
  readonly #issued: Command[] = [];
  /** Open row by bank. */
  readonly #open = new Map<number, number>();
  readonly #longest: number;

  constructor(readonly config: DramConfig) {
    this.#rules = rulesOf(config);
    this.#longest = Math.max(...this.#rules.map(({ gap }) => gap), config.timing.faw);
  }

  openRow(bank: number): number | undefined {
    return this.#open.get(bank);
  }

  /** @param command not before the last one */
  violation(command: Command): string | undefined {
    return (
      this.#wrongState(command) ?? this.#takenBus(command) ?? this.#brokenGap(command) ?? this.#fifthActivate(command)
    );
  }

  add(command: Command): void {
    const { kind, time, rank, bank, row } = command;
    this.#issued.push(command);
    this.#events.push({ event: EVENT[kind], time, rank, ...(bank !== undefined && { bank }) });
    if (kind === 'ACT') this.#open.set(bank!, row!);
    if (kind === 'PRE') this.#open.delete(bank!);
    if (kind === 'PREA')
      for (const one of [...this.#open.keys()]) if (this.#rankOf(one) === rank) this.#open.delete(one);
    if (kind === 'RDA' || kind === 'WRA') {
      this.#open.delete(bank!);
      this.#events.push({ event: 'PRE', time: this.#precharges(command), rank, bank: bank! });
    }
  }

  /** When an automatic precharge happens: as soon as a PRE could. */
  #precharges({ bank }: Command): number {
    const gaps = this.#rules.filter(({ to, scope }) => to === 'PRE' && scope === 'bank');
    const times = gaps.flatMap(({ from, gap }) =>
      this.#events.filter((one) => one.event === from && one.bank === bank).map(({ time }) => time + gap),
    );
    return Math.max(...times);
  }

  #wrongState({ kind, rank, bank, row }: Command): string | undefined {
    if (kind === 'REF') {
      return [...this.#open.keys()].some((one) => this.#rankOf(one) === rank)
        ? 'a refresh needs closed banks'
        : undefined;
    }
    if (kind === 'PREA' || kind === 'PRE') return undefined;
    if (kind === 'ACT') return this.#open.has(bank!) ? 'an activate needs a closed bank' : undefined;
    return this.#open.get(bank!) === row ? undefined : `${kind} needs its row open`;
  }

  #takenBus({ kind, time }: Command): string | undefined {
    const isColumn = (one: CommandKind) => EVENT[one] === 'RD' || EVENT[one] === 'WR';
    const taken = this.#issued.some(
      (one) => one.time === time && (this.config.commandBuses === 1 || isColumn(one.kind) === isColumn(kind)),
    );
    return taken ? 'the command bus is taken' : undefined;
  }

  #brokenGap({ kind, time, rank, bank }: Command): string | undefined {
    for (const before of this.#events) {
      if (before.time + this.#longest < time) continue;
      const broken = this.#rules.find(
        ({ from, to, scope, gap }) =>
          from === before.event &&
          to === EVENT[kind] &&
          time < before.time + gap &&
          this.#concerns(scope, before.rank, before.bank, rank, bank),
      );
      if (broken) return `${broken.name}: ${kind} ${time - before.time} after ${before.event}, not ${broken.gap}`;
    }
    return undefined;
  }

  #concerns(
    scope: Scope,
    rank: number,
    bank: number | undefined,
    ownRank: number,
    ownBank: number | undefined,
  ): boolean {
    if (scope === 'other rank') return rank !== ownRank;
    if (rank !== ownRank) return false;
    if (scope === 'rank') return true;
    const { banks } = this.config.organisation;
    if (scope === 'bank') return bank === ownBank;
    return Math.floor(bank! / banks) === Math.floor(ownBank! / banks);
  }

  #fifthActivate({ kind, time, rank }: Command): string | undefined {
    if (kind !== 'ACT') return undefined;
    const { faw } = this.config.timing;
    const within = this.#issued.filter((one) => one.kind === 'ACT' && one.rank === rank && one.time > time - faw);
    return within.length >= 4 ? `tFAW: a fifth activate within ${faw}` : undefined;
  }

  #rankOf(bank: number): number {
    const { bankGroups, banks } = this.config.organisation;
    return Math.floor(bank / (bankGroups * banks));
  }
}

/** The first illegal command of a log, in words. */
export function illegal(config: DramConfig, log: readonly Command[]): string | undefined {
  const checker = new CommandChecker(config);
  for (const command of log) {
    const problem = checker.violation(command);
    if (problem !== undefined) return `cycle ${command.time}: ${problem}`;
    checker.add(command);
  }
  return undefined;
}
