/** What is kept of the steps of a training that may be interrupted. */
import { appendFile, readFile, rm } from 'node:fs/promises';
import { writeWhole } from './whole-file.js';

/**
 * One line of JSON per step beside a training's checkpoint: lines are added before a checkpoint holds their step, so that a
 * killed and resumed training lacks none. JSON keeps every number as it is.
 */
export class StepHistory<Line extends { readonly step: number }> {
  readonly #lines: Map<number, Line>;

  private constructor(
    readonly path: string,
    lines: readonly Line[],
  ) {
    this.#lines = new Map(lines.map((line) => [line.step, line]));
  }

  static async open<Line extends { readonly step: number }>(path: string): Promise<StepHistory<Line>> {
    const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n');
    // What follows the last line break was cut off by a kill; its step is done again.
    const history = new StepHistory<Line>(
      path,
      lines.slice(0, -1).map((line) => JSON.parse(line) as Line),
    );
    await writeWhole(path, history.lines().map(textOf).join(''));
    return history;
  }

  /** A step that is done again after a resume replaces its earlier self. */
  async add(line: Line): Promise<void> {
    this.#lines.set(line.step, line);
    await appendFile(this.path, textOf(line));
  }

  at(step: number): Line | undefined {
    return this.#lines.get(step);
  }

  /** In order of their steps. */
  lines(): Line[] {
    return [...this.#lines.values()].sort((a, b) => a.step - b.step);
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

const textOf = (line: unknown): string => `${JSON.stringify(line)}\n`;
