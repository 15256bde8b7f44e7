/** What every command has at hand. */
import { TandemError } from '../errors.js';
import { createProgress, type Progress } from '../experiment/progress.js';
import type { TableFormat } from '../report/tables.js';
import { errorJson, errorText } from './errors.js';

export interface Output {
  write(text: string): unknown;
}

/** Bytes that come in; `isTTY` where a person would have to type them. */
export interface Input extends AsyncIterable<Uint8Array> {
  readonly isTTY?: boolean;
}

export class CliContext {
  #controller: AbortController | undefined;
  #progress: Progress | undefined;
  /** Set by commands that succeed with something to tell, e.g. 3 for an infeasible machine. */
  exitCode = 0;
  readonly #onSignal = () => this.#interrupt();

  constructor(
    readonly stdout: Output,
    readonly stderr: Output,
    readonly makeProgress: () => Progress = createProgress,
    readonly stdin: Input = process.stdin,
  ) {}

  /** Whether standard output shows colours: a terminal, unless NO_COLOR is set (no-color.org). */
  get colours(): boolean {
    return (this.stdout as Output & { isTTY?: boolean }).isTTY === true && !process.env.NO_COLOR;
  }

  /** Where long work reports; on standard error. */
  get progress(): Progress {
    this.#progress ??= this.makeProgress();
    return this.#progress;
  }

  /** Fires on the first Ctrl-C or SIGTERM; the second one ends the process at once. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      process.on('SIGINT', this.#onSignal);
      process.on('SIGTERM', this.#onSignal);
    }
    return this.#controller.signal;
  }

  /** Prints the errors of what was done all the same; the last one's exit code is the command's. */
  report(errors: readonly TandemError[], format: TableFormat): void {
    for (const error of errors) {
      this.stderr.write(format === 'json' ? errorJson(error) : errorText(error));
      this.exitCode = error.exitCode;
    }
  }

  get interrupted(): boolean {
    return this.#controller?.signal.aborted ?? false;
  }

  /** Takes progress off the screen and gives Ctrl-C back its usual meaning. */
  close(): void {
    this.#progress?.stop();
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
  }

  #interrupt(): void {
    if (this.interrupted) process.exit(130);
    this.progress.note('Stopping after this step; press Ctrl-C again to stop at once.');
    this.#controller?.abort(new TandemError('TANDEM_INTERRUPTED', 'Interrupted before the work was done.'));
  }
}
