/**
 * Long work says what it does, how far it is and how long it still takes: a bar on a terminal, otherwise a line at the
 * start, now and then, and at the end. All of it goes to standard error, so that results on standard output stay clean.
 */
import { MultiBar, Presets, type SingleBar } from 'cli-progress';

export interface Progress {
  /**
   * Begins a piece of work.
   * @param total amount of work in `unit`s; undefined when it is not known
   */
  task(label: string, total?: number, unit?: string): ProgressTask;
  /** A line of its own, e.g. a warning. */
  note(text: string): void;
  /** Ends all output; call once, when nothing more will be reported. */
  stop(): void;
}

export interface ProgressTask {
  /** @param detail e.g. "loss 0.31" */
  update(done: number, detail?: string): void;
  end(detail?: string): void;
}

export const silentProgress: Progress = {
  task: () => ({ update() {}, end() {} }),
  note() {},
  stop() {},
};

export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** A bar on a terminal, lines elsewhere. */
export function createProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  return stream.isTTY ? new BarProgress(stream) : new LineProgress(stream);
}

/** Milliseconds between two lines of one task. */
const LINE_INTERVAL = 10_000;

export class LineProgress implements Progress {
  constructor(
    readonly stream: ProgressStream,
    /** Milliseconds from any fixed moment. */
    readonly now: () => number = () => performance.now(),
  ) {}

  task(label: string, total?: number, unit = ''): ProgressTask {
    const start = this.now();
    let last = start;
    const of = total === undefined ? '' : ` (${amount(total, unit)})`;
    this.note(`${label}: started${of}`);
    return {
      update: (done, detail) => {
        const now = this.now();
        if (now - last < LINE_INTERVAL) return;
        last = now;
        const left = remaining(start, now, done, total);
        const far =
          total === undefined
            ? amount(done, unit)
            : `${done} of ${amount(total, unit)}, ${Math.floor((100 * done) / total)} %`;
        this.note(`${label}: ${[far, left && `about ${left} left`, detail].filter(Boolean).join(', ')}`);
      },
      end: (detail) => {
        this.note(`${label}: done in ${duration(this.now() - start)}${detail ? `, ${detail}` : ''}`);
      },
    };
  }

  note(text: string): void {
    this.stream.write(`${text}\n`);
  }

  stop(): void {}
}

class BarProgress implements Progress {
  readonly #bars: MultiBar;

  constructor(readonly stream: NodeJS.WriteStream) {
    this.#bars = new MultiBar(
      {
        stream,
        hideCursor: true,
        clearOnComplete: true,
        stopOnComplete: false,
        gracefulExit: false,
        format: '{label} [{bar}] {far}  {left}  {detail}',
      },
      Presets.shades_classic,
    );
  }

  task(label: string, total?: number, unit = ''): ProgressTask {
    const start = performance.now();
    const payload = (done: number, detail = '') => {
      const left = remaining(start, performance.now(), done, total);
      return {
        label,
        far: total === undefined ? amount(done, unit) : `${done}/${amount(total, unit)}`,
        left: left ? `${left} left` : '',
        detail,
      };
    };
    const bar: SingleBar = this.#bars.create(total ?? 1, 0, payload(0));
    return {
      update: (done, detail) => {
        bar.update(total === undefined ? 0 : done, payload(done, detail));
      },
      end: (detail) => {
        this.#bars.remove(bar);
        this.note(`${label}: done in ${duration(performance.now() - start)}${detail ? `, ${detail}` : ''}`);
      },
    };
  }

  note(text: string): void {
    if (this.#bars.isActive) this.#bars.log(`${text}\n`);
    else this.stream.write(`${text}\n`);
  }

  stop(): void {
    this.#bars.stop();
  }
}

const amount = (count: number, unit: string): string => (unit ? `${count} ${unit}` : String(count));

function remaining(start: number, now: number, done: number, total: number | undefined): string | undefined {
  if (total === undefined || done <= 0 || done > total) return undefined;
  return duration(((now - start) * (total - done)) / done);
}

/** 870 → "0.9 s", 95000 → "1 min 35 s". */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
