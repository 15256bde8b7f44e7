/** What a channel did. */
import type { Waiting } from './request-queue.js';

export class ChannelCounts {
  /** Bursts that went over the bus. */
  reads = 0;
  writes = 0;
  /** Reads served with data that waited to be written; writes that a later one replaced. */
  forwarded = 0;
  merged = 0;
  /** By what the row needed for a burst: nothing, an activate, or a precharge before. */
  rowHits = 0;
  rowMisses = 0;
  rowConflicts = 0;
  activates = 0;
  /** Banks closed, by whichever command. */
  precharges = 0;
  refreshes = 0;
  /** Cycles with data on the bus. */
  busCycles = 0;
  /** Cycles with an open row, summed over ranks. */
  activeCycles = 0;
  /** Rows still open at the end. */
  openBanks = 0;
  /** When the last data have passed. */
  end = 0;

  serve({ write, opened, conflicted }: Waiting, dataEnd: number, burst: number): void {
    if (write) this.writes++;
    else this.reads++;
    if (conflicted) this.rowConflicts++;
    else if (opened) this.rowMisses++;
    else this.rowHits++;
    this.busCycles += burst;
    this.end = Math.max(this.end, dataEnd);
  }
}
