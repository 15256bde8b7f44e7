/**
 * Colours of the figures. Drawings are made once, in the light colours, and are readable as files of their own; inside
 * the page a style sheet swaps each light colour for its dark partner, so one SVG serves both and prints light.
 */

/** Light colour → dark partner. Text and lines first, then the eight hues for categories and the grey for the rest. */
const INK = ['#1f2328', '#e6edf3'] as const;
const MUTED = ['#57606a', '#a3acb6'] as const;
const AXIS = ['#8c959f', '#6e7681'] as const;
const GRID = ['#e4e7eb', '#2b3138'] as const;
const REST = ['#b4bac2', '#5d6570'] as const;

/** Hues that stay apart for colour-blind readers (after Okabe and Ito, 2008, darkened or extended for white paper). */
const CATEGORIES: readonly (readonly [string, string])[] = [
  ['#0072b2', '#4aa3df'],
  ['#e69f00', '#e6a31a'],
  ['#009e73', '#2fbf97'],
  ['#cc79a7', '#d48ab4'],
  ['#56b4e9', '#8fd0f5'],
  ['#d55e00', '#e87a33'],
  ['#3b2e8c', '#8c80e0'],
  ['#8f8f2a', '#b3b34d'],
];

export const colours = { ink: INK[0], muted: MUTED[0], axis: AXIS[0], grid: GRID[0], rest: REST[0] };
export const categories: readonly string[] = CATEGORIES.map(([light]) => light);
/** For few series drawn as lines or points: the most legible hues first. */
export const series: readonly string[] = [0, 5, 2, 6, 3, 1, 4, 7].map((index) => categories[index]!);
/** Ends and middle of a ramp that is legible on white and on black. */
const RAMP: readonly (readonly [number, number, number])[] = [
  [0x2f, 0x74, 0xc0],
  [0x94, 0x6a, 0xb8],
  [0xd0, 0x62, 0x7f],
  [0xdb, 0x84, 0x2a],
];

/** Shares in heat maps, from 0 to 1. Cells carry their number in white from `WHITE_TEXT_FROM` on. */
export const HEAT: readonly string[] = ['#eef4fb', '#9cc3e6', '#3a7fbf', '#0b3c70'];
export const WHITE_TEXT_FROM = 0.55;
/** The numbers in the paler cells. */
export const HEAT_INK = '#0b1a2b';

/** The shade of a width in bits, the same in every figure: removed, up to 4, up to 8, wider. */
export function widthShade(bits: number): string {
  return HEAT[Math.min(HEAT.length - 1, Math.ceil(bits / 4))]!;
}

/**
 * Yellow to green to blue, ever darker, so that order survives colour blindness and grey print: ColorBrewer's YlGnBu
 * (Harrower and Brewer, 2003) without its palest, which white paper would swallow.
 */
const DEPTH: typeof RAMP = [
  [0xed, 0xf8, 0xb1],
  [0xc7, 0xe9, 0xb4],
  [0x7f, 0xcd, 0xbb],
  [0x41, 0xb6, 0xc4],
  [0x1d, 0x91, 0xc0],
  [0x22, 0x5e, 0xa8],
  [0x25, 0x34, 0x94],
  [0x08, 0x1d, 0x58],
];

/** `n` ordered colours, for lines of layers. */
export const ramp = (n: number): string[] => along(RAMP, n);

/** `n` shades from pale to dark, for the layers that tokens leave after: the deeper, the darker. Text on them: `inkOn`. */
export const depthShades = (n: number): string[] => along(DEPTH, n);

function along(stops: typeof RAMP, n: number): string[] {
  return Array.from({ length: n }, (_, index) => {
    const position = n === 1 ? 0 : (index / (n - 1)) * (stops.length - 1);
    const lower = Math.min(Math.floor(position), stops.length - 2);
    const channel = (c: 0 | 1 | 2) => {
      const [a, b] = [stops[lower]![c], stops[lower + 1]![c]];
      return Math.round(a + (b - a) * (position - lower))
        .toString(16)
        .padStart(2, '0');
    };
    return `#${channel(0)}${channel(1)}${channel(2)}`;
  });
}

/** Relative luminance of a colour "#rrggbb", 0 … 1 (WCAG 2). */
export function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const c = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

/** Black or white, whichever is more legible on a colour: the contrast is above 4.5 : 1 on every one. */
export function inkOn(colour: string): string {
  // Both are alike where (L + 0.05)² = 0.05 · 1.05.
  return luminance(colour) > Math.sqrt(0.05 * 1.05) - 0.05 ? '#000000' : '#ffffff';
}

/** CSS rules that swap the light colours of a drawing for the dark ones; "white" is the paper and the gaps. */
export function darkRules(scope: string, paper: string): string {
  const pairs = [INK, MUTED, AXIS, GRID, REST, ...CATEGORIES, ['white', paper] as const];
  return pairs
    .map(([light, dark]) => `${scope} [fill="${light}"]{fill:${dark}}${scope} [stroke="${light}"]{stroke:${dark}}`)
    .join('\n');
}
