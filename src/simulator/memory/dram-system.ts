/** All channels of a memory. They share nothing but the addresses: each plays its own requests. */
import type { MemoryRequest } from '../../workload/requests.js';
import { AddressMap } from './address-map.js';
import { DramChannel, type Served } from './channel.js';
import type { ChannelCounts } from './channel-counts.js';
import type { Command } from './commands.js';
import type { DramConfig } from './dram-config.js';

export class DramSystem {
  readonly map: AddressMap;
  readonly channels: readonly DramChannel[];
  readonly #banks: number;
  readonly #groups: number;

  /** @param logs where each channel's commands go, if anywhere */
  constructor(config: DramConfig, served?: Served, logs?: readonly Command[][]) {
    const { channels, bankGroups, banks } = config.organisation;
    this.map = new AddressMap(config);
    this.#banks = banks;
    this.#groups = bankGroups;
    this.channels = Array.from({ length: channels }, (_, i) => new DramChannel(config, served, logs?.[i]));
  }

  request({ address, write, cycle }: MemoryRequest): void {
    const { channel, rank, group, bank, row, column } = this.map.placeOf(address);
    this.channels[channel]!.enqueue({
      arrival: cycle,
      write: write ? 1 : 0,
      bank: (rank * this.#groups + group) * this.#banks + bank,
      row,
      column,
    });
  }

  /** Serves everything that waits. @returns the cycle after the last data of all channels */
  finish(): number {
    for (const channel of this.channels) channel.drain();
    const end = this.channels.reduce((latest, channel) => Math.max(latest, channel.counts.end), 0);
    for (const channel of this.channels) channel.finish(end);
    return end;
  }

  get counts(): readonly ChannelCounts[] {
    return this.channels.map(({ counts }) => counts);
  }
}
