/**
 * When each command may go next, in one channel. A command moves the earliest times of those that it holds back, so that
 * asking takes a few comparisons. `command-checker.ts` looks at the same gaps from a log, one pair after the other.
 *
 * Banks are numbered through the channel; times are cycles of the memory's clock.
 */
import { burstCycles, type DramConfig } from './dram-config.js';

const LONG_AGO = -1e9;
const CLOSED = -1;

export class BankState {
  readonly banksPerRank: number;
  readonly ranks: number;
  /** Open row of each bank; −1: none. */
  readonly openRow: Int32Array;
  readonly openBanks: Int32Array;
  readonly #activate: Float64Array;
  readonly #precharge: Float64Array;
  readonly #column: readonly [read: Float64Array, write: Float64Array];
  readonly #groupActivate: Float64Array;
  readonly #groupColumn: readonly [read: Float64Array, write: Float64Array];
  readonly #rankActivate: Float64Array;
  readonly #rankColumn: readonly [read: Float64Array, write: Float64Array];
  /** Last four activates of each rank, and which of them is the oldest. */
  readonly #activates: Float64Array;
  readonly #oldest: Int32Array;
  readonly #rankOf: Int32Array;
  /** Groups are numbered through the channel, too. */
  readonly #groupOf: Int32Array;
  readonly #config: DramConfig;
  readonly #burst: number;
  #rowBus = LONG_AGO;
  #columnBus = LONG_AGO;

  constructor(config: DramConfig) {
    const { ranks, bankGroups, banks } = config.organisation;
    this.#config = config;
    this.#burst = burstCycles(config);
    this.ranks = ranks;
    this.banksPerRank = bankGroups * banks;
    const times = (length: number) => new Float64Array(length).fill(LONG_AGO);
    const all = ranks * this.banksPerRank;
    this.#rankOf = Int32Array.from({ length: all }, (_, bank) => Math.floor(bank / this.banksPerRank));
    this.#groupOf = Int32Array.from({ length: all }, (_, bank) => Math.floor(bank / banks));
    this.openRow = new Int32Array(all).fill(CLOSED);
    this.openBanks = new Int32Array(ranks);
    this.#activate = times(all);
    this.#precharge = times(all);
    this.#column = [times(all), times(all)];
    this.#groupActivate = times(ranks * bankGroups);
    this.#groupColumn = [times(ranks * bankGroups), times(ranks * bankGroups)];
    this.#rankActivate = times(ranks);
    this.#rankColumn = [times(ranks), times(ranks)];
    this.#activates = times(4 * ranks);
    this.#oldest = new Int32Array(ranks);
  }

  rankOf(bank: number): number {
    return this.#rankOf[bank]!;
  }

  activateAt(bank: number): number {
    const time = Math.max(this.#activate[bank]!, this.#groupActivate[this.#groupOf[bank]!]!);
    return Math.max(time, Math.max(this.#rankActivate[this.#rankOf[bank]!]!, this.#rowBus));
  }

  prechargeAt(bank: number): number {
    return Math.max(this.#precharge[bank]!, this.#rowBus);
  }

  /** @param write 1 for a write, 0 for a read */
  columnAt(bank: number, write: 0 | 1): number {
    const group = this.#groupOf[bank]!;
    return Math.max(
      this.#column[write][bank]!,
      this.#groupColumn[write][group]!,
      this.#rankColumn[write][this.#rankOf[bank]!]!,
      this.#columnBus,
    );
  }

  /** Banks that are about to close by themselves count, too. */
  prechargeAllAt(rank: number): number {
    let time = this.#rowBus;
    this.#eachBank(rank, (bank) => {
      time = Math.max(time, this.#precharge[bank]!);
    });
    return time;
  }

  /** All banks must be closed. */
  refreshAt(rank: number): number {
    let time = this.#rowBus;
    this.#eachBank(rank, (bank) => {
      time = Math.max(time, this.#activate[bank]!);
    });
    return time;
  }

  activate(bank: number, row: number, time: number): void {
    const { rcdRead, rcdWrite, ras, rc, rrdShort, rrdLong, faw } = this.#config.timing;
    const [rank, group] = [this.#rankOf[bank]!, this.#groupOf[bank]!];
    this.openRow[bank] = row;
    this.openBanks[rank]!++;
    this.#column[0][bank] = time + rcdRead;
    this.#column[1][bank] = time + rcdWrite;
    this.#precharge[bank] = time + ras;
    this.#activate[bank] = time + rc;
    this.#groupActivate[group] = time + rrdLong;
    const slot = this.#oldest[rank]!;
    this.#activates[4 * rank + slot] = time;
    this.#oldest[rank] = (slot + 1) % 4;
    const fourth = this.#activates[4 * rank + this.#oldest[rank]!]!;
    this.#rankActivate[rank] = Math.max(time + rrdShort, fourth + faw);
    this.#useRowBus(time);
  }

  precharge(bank: number, time: number): void {
    this.#close(bank, time, this.#config.timing.rp);
    this.#useRowBus(time);
  }

  prechargeAll(rank: number, time: number): void {
    this.#eachBank(rank, (bank) => {
      if (this.openRow[bank] !== CLOSED) this.#close(bank, time, this.#config.timing.rpAll);
    });
    this.#useRowBus(time);
  }

  refresh(rank: number, time: number): void {
    this.#eachBank(rank, (bank) => {
      this.#activate[bank] = time + this.#config.timing.rfc;
    });
    this.#useRowBus(time);
  }

  /** A read or write. @param closes with an automatic precharge @returns when its last data have passed */
  column(bank: number, write: 0 | 1, closes: boolean, time: number): number {
    const { cl, cwl, ccdShort, ccdLong, rtp, wr, rp, wtrShort, wtrLong, turn, rankTurn } = this.#config.timing;
    const [own, group] = [this.#rankOf[bank]!, this.#groupOf[bank]!];
    const burst = this.#burst;
    const dataEnd = time + (write ? cwl : cl) + burst;
    this.#groupColumn[write][group] = time + ccdLong;
    if (write) this.#raise(this.#groupColumn[0], group, dataEnd + wtrLong);
    for (let rank = 0; rank < this.ranks; rank++) {
      const apart = rank === own ? ccdShort : burst + rankTurn;
      this.#raise(this.#rankColumn[write], rank, time + apart);
      if (write) this.#raise(this.#rankColumn[0], rank, rank === own ? dataEnd + wtrShort : dataEnd + rankTurn - cl);
      else {
        const idle = rank === own ? turn : Math.max(turn, rankTurn);
        this.#raise(this.#rankColumn[1], rank, dataEnd + idle - cwl);
      }
    }
    this.#raise(this.#precharge, bank, write ? dataEnd + wr : time + rtp);
    if (closes) this.#close(bank, this.#precharge[bank]!, rp);
    this.#columnBus = time + 1;
    if (this.#config.commandBuses === 1) this.#rowBus = time + 1;
    return dataEnd;
  }

  #close(bank: number, time: number, gap: number): void {
    this.openRow[bank] = CLOSED;
    this.openBanks[this.#rankOf[bank]!]!--;
    this.#raise(this.#activate, bank, time + gap);
  }

  #useRowBus(time: number): void {
    this.#rowBus = time + 1;
    if (this.#config.commandBuses === 1) this.#columnBus = time + 1;
  }

  #raise(times: Float64Array, index: number, time: number): void {
    if (times[index]! < time) times[index] = time;
  }

  #eachBank(rank: number, visit: (bank: number) => void): void {
    for (let bank = rank * this.banksPerRank; bank < (rank + 1) * this.banksPerRank; bank++) visit(bank);
  }
}
