// Sums of integers under the signs of an output embedding, sixteen rows at a time. light-embedding-reference.ts is the
// plain counterpart, equal bit for bit.

/** Groups of four dimensions whose low bytes, each at most 255, an unsigned 16-bit sum can take. */
const GROUPS: usize = 256;

/**
 * For every group of four dimensions, the sums of its values under all sixteen patterns of signs: the low bytes of the
 * sixteen sums, then their high bytes, 32 bytes a group.
 * @param values int16, at most 8191 in size, `groups` times four of them
 */
export function prepare(values: usize, groups: usize, table: usize): void {
  for (let group: usize = 0; group < groups; group++, values += 8, table += 32) {
    for (let pattern: usize = 0; pattern < 16; pattern++) {
      let sum: i32 = 0;
      for (let i: usize = 0; i < 4; i++) {
        const value = <i32>load<i16>(values + (i << 1));
        sum += (pattern >> i) & 1 ? value : -value;
      }
      store<u8>(table + pattern, <u8>sum);
      store<u8>(table + pattern + 16, <u8>(sum >> 8));
    }
  }
}

/**
 * scores[row] = scale[row] · Σ ±values, as float32. For each block of sixteen rows and each pair of groups, `signs` holds
 * sixteen bytes: a row's pattern for the first group in the low half of its byte, for the second one in the high half.
 */
export function scores(signs: usize, pairs: usize, blocks: usize, table: usize, scales: usize, out: usize): void {
  const nibble = i8x16.splat(15);
  for (let block: usize = 0; block < blocks; block++) {
    let a = i32x4.splat(0);
    let b = i32x4.splat(0);
    let c = i32x4.splat(0);
    let d = i32x4.splat(0);
    let entry = table;
    for (let left = pairs; left > 0; ) {
      const now = min(left, GROUPS >> 1);
      left -= now;
      let low0 = i16x8.splat(0);
      let low1 = i16x8.splat(0);
      let high0 = i16x8.splat(0);
      let high1 = i16x8.splat(0);
      for (const end = signs + (now << 4); signs < end; signs += 16, entry += 64) {
        const both = v128.load(signs);
        const first = v128.and(both, nibble);
        const second = i8x16.shr_u(both, 4);
        const low = i8x16.swizzle(v128.load(entry), first);
        const high = i8x16.swizzle(v128.load(entry, 16), first);
        const nextLow = i8x16.swizzle(v128.load(entry, 32), second);
        const nextHigh = i8x16.swizzle(v128.load(entry, 48), second);
        low0 = i16x8.add(low0, i16x8.add(i16x8.extend_low_i8x16_u(low), i16x8.extend_low_i8x16_u(nextLow)));
        low1 = i16x8.add(low1, i16x8.add(i16x8.extend_high_i8x16_u(low), i16x8.extend_high_i8x16_u(nextLow)));
        high0 = i16x8.add(high0, i16x8.add(i16x8.extend_low_i8x16_s(high), i16x8.extend_low_i8x16_s(nextHigh)));
        high1 = i16x8.add(high1, i16x8.add(i16x8.extend_high_i8x16_s(high), i16x8.extend_high_i8x16_s(nextHigh)));
      }
      a = i32x4.add(a, joined(i32x4.extend_low_i16x8_u(low0), i32x4.extend_low_i16x8_s(high0)));
      b = i32x4.add(b, joined(i32x4.extend_high_i16x8_u(low0), i32x4.extend_high_i16x8_s(high0)));
      c = i32x4.add(c, joined(i32x4.extend_low_i16x8_u(low1), i32x4.extend_low_i16x8_s(high1)));
      d = i32x4.add(d, joined(i32x4.extend_high_i16x8_u(low1), i32x4.extend_high_i16x8_s(high1)));
    }
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(a), v128.load(scales)));
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(b), v128.load(scales, 16)), 16);
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(c), v128.load(scales, 32)), 32);
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(d), v128.load(scales, 48)), 48);
    scales += 64;
    out += 64;
  }
}

// @ts-ignore: decorator
@inline
function joined(low: v128, high: v128): v128 {
  return i32x4.add(low, i32x4.shl(high, 8));
}
