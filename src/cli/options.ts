/** Options that several commands share, declared once. */
import { InvalidArgumentError, Option } from 'commander';
import type { TableFormat } from '../report/tables.js';

export const formatOption = () =>
  new Option('--format <format>', 'how results are printed')
    .choices(['table', 'json', 'csv'] satisfies TableFormat[])
    .default('table');

export const setOption = () =>
  new Option('--set <path=value>', 'change a setting; may be repeated').argParser(collect).default([], 'none');

export const outOption = (description: string) => new Option('-o, --out <folder>', description);

/** Gathers a repeated option. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

export function positiveInteger(value: string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}

export function positiveOrZero(value: string): number {
  const number = Number(value);
  if (value.trim() !== '' && Number.isFinite(number) && number >= 0) return number;
  throw new InvalidArgumentError('It must be a number of at least 0.');
}

export function positiveShare(value: string): number {
  const number = share(value);
  if (number > 0) return number;
  throw new InvalidArgumentError('It must be a share above 0, up to 1.');
}

export function share(value: string): number {
  const number = Number(value);
  if (value.trim() !== '' && number >= 0 && number <= 1) return number;
  throw new InvalidArgumentError('It must be a share from 0 to 1.');
}
