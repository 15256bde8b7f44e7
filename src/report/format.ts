/** Numbers for people: engineering prefixes, three significant digits, a unit on every one of them. */

const PREFIXES: readonly (readonly [number, string])[] = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
  [1, ''],
  [1e-3, 'm'],
  [1e-6, 'µ'],
  [1e-9, 'n'],
  [1e-12, 'p'],
  [1e-15, 'f'],
];

const NO_BREAK_SPACE = '\u00a0';
const NARROW_SPACE = '\u202f';
const MINUS = '\u2212';

export interface Scale {
  /** Multiply by this to get from the base unit to the scaled one. */
  readonly factor: number;
  /** The scaled unit, e.g. "µJ". */
  readonly unit: string;
}

/** The engineering scale at which `value` (in `unit`) has one to three digits before the point. */
export function engineeringScale(value: number, unit: string): Scale {
  const magnitude = Math.abs(Number(value.toPrecision(3)));
  if (magnitude === 0 || !Number.isFinite(magnitude)) return { factor: 1, unit };
  // The tolerance keeps 1e-9, which is not quite 1e3 · 1e-12 in binary, from falling to the next prefix.
  const [size, prefix] =
    PREFIXES.find(([size]) => magnitude >= size * (1 - 1e-12)) ?? (PREFIXES.at(-1) as readonly [number, string]);
  return { factor: 1 / size, unit: prefix + unit };
}

/** Square millimetres from 0.1 mm² up, square micrometres below. */
export function areaScale(squareMicrometres: number): Scale {
  return squareMicrometres >= 1e5 ? { factor: 1e-6, unit: 'mm²' } : { factor: 1, unit: 'µm²' };
}

/** Scale for energies given in picojoules. */
export function energyScale(picojoules: number): Scale {
  const { factor, unit } = engineeringScale(picojoules * 1e-12, 'J');
  return { factor: factor * 1e-12, unit };
}

/** `digits` significant digits without an exponent, thousands grouped. */
export function significant(value: number, digits = 3): string {
  if (Number.isNaN(value)) return 'n/a';
  if (!Number.isFinite(value)) return value < 0 ? `${MINUS}∞` : '∞';
  if (value === 0) return '0';
  const rounded = Number(value.toPrecision(digits));
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(rounded))));
  return signed(group(Math.abs(rounded).toFixed(Math.min(decimals, 20))), rounded);
}

/** A number as it was given: no zeros after the last digit that counts. */
export function plain(value: number, digits = 6): string {
  const text = significant(value, digits);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

/** Groups the digits before the point in threes, from five digits on, as SI recommends. */
function group(digits: string): string {
  const [whole = '', fraction] = digits.split('.');
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, NARROW_SPACE) : whole;
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

function signed(magnitude: string, value: number): string {
  return value < 0 ? MINUS + magnitude : magnitude;
}

function withUnit(number: string, unit: string): string {
  return unit === '' ? number : number + NO_BREAK_SPACE + unit;
}

/** A value in a base unit, with the prefix that suits it: quantity(1.2e-6, 's') is "1.20 µs". */
export function quantity(value: number, unit: string, digits = 3): string {
  return scaled(value, engineeringScale(value, unit), digits);
}

export function scaled(value: number, scale: Scale, digits = 3): string {
  return withUnit(significant(value * scale.factor, digits), scale.unit);
}

export function energy(picojoules: number): string {
  return scaled(picojoules, energyScale(picojoules));
}

export function area(squareMicrometres: number): string {
  return scaled(squareMicrometres, areaScale(squareMicrometres));
}

/** "0.861–1.72 µJ": both ends at one scale. */
export function interval([low, high]: readonly [number, number], scale: Scale): string {
  return withUnit(`${significant(low * scale.factor)}–${significant(high * scale.factor)}`, scale.unit);
}

/** Exact up to 999 999, then four digits with a prefix: "48.31 M". */
export function count(value: number): string {
  if (Math.abs(value) < 1e6) {
    return Number.isInteger(value) ? signed(group(String(Math.abs(value))), value) : significant(value, 4);
  }
  return quantity(value, '', 4);
}

/** A share in 0 … 1 as per cent. */
export function percent(share: number, decimals = 1): string {
  return Number.isFinite(share) ? withUnit(signed((Math.abs(share) * 100).toFixed(decimals), share), '%') : 'n/a';
}

/** A relative change, always with a sign: "+0.52 %". */
export function change(relative: number): string {
  if (!Number.isFinite(relative)) return 'n/a';
  const text = (Math.abs(relative) * 100).toFixed(2);
  return withUnit((Number(text) === 0 ? '±' : relative < 0 ? MINUS : '+') + text, '%');
}

/** A difference of two shares in percentage points, always with a sign: "−0.3 points". */
export function points(difference: number): string {
  const text = (Math.abs(difference) * 100).toFixed(2);
  const sign = Number(text) === 0 ? '±' : difference < 0 ? MINUS : '+';
  return withUnit(sign + text, 'points');
}

/** "95 % confidence" */
export const sureness = (confidence: number): string => `${plain(100 * confidence, 4)} % confidence`;

/** "1 point", "0.53 points" */
export function countOfPoints(share: number): string {
  const text = plain(100 * share, 3);
  return `${text} ${text === '1' ? 'point' : 'points'}`;
}

/** A ratio: "1.93×". */
export function ratio(value: number): string {
  return `${significant(value)}×`;
}

/** Wilson's 95 % interval of a share observed on `examples` independent examples. */
export function shareInterval(share: number, examples: number): [number, number] {
  const z = 1.959964;
  const scale = 1 / (1 + z ** 2 / examples);
  const centre = (share + z ** 2 / (2 * examples)) * scale;
  const half = z * Math.sqrt((share * (1 - share)) / examples + z ** 2 / (4 * examples ** 2)) * scale;
  return [centre - half, centre + half];
}
