import { describe, expect, it } from 'vitest';
import { duration, LineProgress } from '../../src/experiment/progress.js';

describe('progress without a terminal', () => {
  it('says what begins, every ten seconds how far it is and how long it still takes, and what took how long', () => {
    let now = 0;
    let text = '';
    const progress = new LineProgress({ write: (line) => (text += line) }, () => now);
    const task = progress.task('training', 200, 'steps');
    for (let step = 1; step <= 200; step++) {
      now += 100;
      task.update(step, 'loss 0.5');
    }
    task.end('loss 0.4');
    expect(text.trimEnd().split('\n')).toEqual([
      'training: started (200 steps)',
      'training: 100 of 200 steps, 50 %, about 10 s left, loss 0.5',
      'training: 200 of 200 steps, 100 %, about 0.0 s left, loss 0.5',
      'training: done in 20 s, loss 0.4',
    ]);
  });

  it('does not guess when the amount of work is unknown', () => {
    let now = 0;
    let text = '';
    const progress = new LineProgress({ write: (line) => (text += line) }, () => now);
    const task = progress.task('reading');
    now = 12_000;
    task.update(7);
    expect(text).toBe('reading: started\nreading: 7\n');
  });
});

describe('durations', () => {
  it.each([
    [870, '0.9 s'],
    [12_400, '12 s'],
    [59_600, '1 min 0 s'],
    [95_000, '1 min 35 s'],
    [3_720_000, '1 h 2 min'],
  ])('%d ms is %s', (milliseconds, text) => {
    expect(duration(milliseconds)).toBe(text);
  });
});
