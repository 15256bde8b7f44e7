/** CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320), four bytes a step. */

const TABLES = buildTables();

function buildTables(): Uint32Array[] {
  const first = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    first[byte] = value;
  }
  const tables = [first];
  for (let table = 1; table < 4; table++) {
    tables.push(first.map((_, byte) => shifted(first, tables[table - 1]![byte]!)));
  }
  return tables;
}

/** One more zero byte after a register of `value`. */
function shifted(first: Uint32Array, value: number): number {
  return (value >>> 8) ^ first[value & 255]!;
}

/** Checksum of `bytes`, continued from `seed` (the checksum of what came before; 0 at the start). Unsigned 32 bits. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  const [t0, t1, t2, t3] = TABLES as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  let crc = ~seed;
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc = t3[crc & 255]! ^ t2[(crc >>> 8) & 255]! ^ t1[(crc >>> 16) & 255]! ^ t0[crc >>> 24]!;
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]!) & 255]!;
  return ~crc >>> 0;
}
