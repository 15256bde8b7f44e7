/** Which channel, bank, row and column an address means. */
import { burstBytes, type DramConfig, type Field } from './dram-config.js';

/** Banks are numbered through all ranks and groups of a channel: rank, then group, then bank. */
export interface Place {
  readonly channel: number;
  readonly rank: number;
  readonly group: number;
  readonly bank: number;
  readonly row: number;
  readonly column: number;
}

export class AddressMap {
  readonly burstBytes: number;
  readonly #sizes: Readonly<Record<Field, number>>;
  /** How many bursts the fields below each one span. */
  readonly #strides: Readonly<Record<Field, number>>;

  constructor(config: DramConfig) {
    const { channels, ranks, bankGroups, banks, rows, rowBytes } = config.organisation;
    this.burstBytes = burstBytes(config);
    this.#sizes = {
      channel: channels,
      rank: ranks,
      group: bankGroups,
      bank: banks,
      row: rows,
      column: rowBytes / this.burstBytes,
    };
    const strides: Partial<Record<Field, number>> = {};
    let stride = 1;
    for (const field of (config.addressMap.split('-') as Field[]).reverse()) {
      strides[field] = stride;
      stride *= this.#sizes[field];
    }
    this.#strides = strides as Record<Field, number>;
  }

  /** @param address in bytes, below the capacity; the bytes of a burst mean the same place */
  placeOf(address: number): Place {
    const burst = Math.floor(address / this.burstBytes);
    const field = (name: Field) => Math.floor(burst / this.#strides[name]) % this.#sizes[name];
    return {
      channel: field('channel'),
      rank: field('rank'),
      group: field('group'),
      bank: field('bank'),
      row: field('row'),
      column: field('column'),
    };
  }

  /** First byte of a burst. */
  addressOf(place: Place): number {
    let burst = 0;
    for (const name of Object.keys(this.#strides) as Field[]) burst += place[name] * this.#strides[name];
    return burst * this.burstBytes;
  }
}
