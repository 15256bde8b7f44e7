/** Commands of a channel as its log has them. */

export type CommandKind =
  /** opens a row */
  | 'ACT'
  /** closes a bank; PREA: all banks of a rank */
  | 'PRE'
  | 'PREA'
  /** RDA and WRA close their bank by themselves as soon as they may */
  | 'RD'
  | 'RDA'
  | 'WR'
  | 'WRA'
  /** refreshes a rank, whose banks are closed */
  | 'REF';

export interface Command {
  /** Cycle of the memory's clock. */
  readonly time: number;
  readonly kind: CommandKind;
  readonly rank: number;
  /** Number of the bank in its channel: rank, group, bank; undefined for commands to a whole rank. */
  readonly bank?: number;
  /** Of ACT and of reads and writes. */
  readonly row?: number;
  /** Which request it serves, in the order in which requests came; undefined for refreshes. */
  readonly request?: number;
}
