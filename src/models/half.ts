/** Half precision (IEEE 754 binary16), which JavaScript has no arrays of: bits in a Uint16Array. */
import { floatTensor, type Tensor, tensor } from '../graph/types.js';

/** Half-precision weights in single precision, exactly; other types as they are. */
export function toFloat32(value: Tensor): Tensor {
  if (value.dtype !== 'float16') return value;
  return floatTensor(Array.from(value.data as Uint16Array, fromHalf), value.shape);
}

/** Single-precision weights in half precision, rounded to nearest, ties to even. */
export function toFloat16({ shape, data }: Tensor): Tensor {
  return tensor('float16', shape, Uint16Array.from(data as Float32Array, toHalf));
}

function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** Largest finite value. */
const LARGEST = 65504;

function toHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  // Halfway to the next power of two rounds to the even neighbour, which is infinity.
  if (magnitude >= LARGEST + 16) return sign | 0x7c00;
  // Of a denormal, and of every number with its exponent, the distance to the next one.
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude)));
  const units = roundToEven(magnitude * 2 ** (10 - exponent));
  // A fraction that rounds up to 2048 carries into the exponent by itself.
  return sign | (((exponent + 14) << 10) + units);
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
