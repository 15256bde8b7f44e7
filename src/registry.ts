import { closest } from 'fastest-levenshtein';
import { TandemError } from './errors.js';

/** What every extension (model family, data set, technique, machine, …) says of itself. */
export interface Named {
  /** Lower-case, hyphenated; what a user writes in an experiment file. */
  readonly name: string;
  /** One sentence for `tandem list`. */
  readonly description: string;
}

/** The one door through which extensions of a kind come in; built-in ones use it too. */
export class Registry<T extends Named> {
  readonly #entries = new Map<string, T>();

  constructor(readonly kind: string) {}

  register(entry: T): T {
    if (this.#entries.has(entry.name)) {
      throw new TandemError('TANDEM_INTERNAL', `The ${this.kind} "${entry.name}" is registered twice.`);
    }
    this.#entries.set(entry.name, entry);
    return entry;
  }

  /** @throws TANDEM_UNKNOWN_NAME with the nearest registered name. */
  get(name: string, place?: string): T {
    const entry = this.#entries.get(name);
    if (entry) return entry;
    const names = this.names();
    const nearest = names.length > 0 ? ` Did you mean "${closest(name, names)}"?` : '';
    throw new TandemError('TANDEM_UNKNOWN_NAME', `There is no ${this.kind} "${name}".${nearest}`, {
      place,
      remedy: `Use one of: ${names.join(', ')}.`,
    });
  }

  names(): string[] {
    return [...this.#entries.keys()].sort();
  }

  list(): T[] {
    return this.names().map((name) => this.#entries.get(name)!);
  }
}
