import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';

import { writeReport, writeRunReport } from '../src/index.js';
import { evaluated, hostile, writeJobFolder } from './job-folder.js';

let folder: string;
let browser: Browser;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-report-'));
  await writeJobFolder(folder);
  const stage = { seconds: 12, peakDeviceBytes: 2 ** 24 };
  await writeRunReport(folder, {
    command: ['emloc', 'tune', '--data', hostile],
    versions: { node: 'v20' },
    budgetBytes: 2 ** 25,
    peakDeviceBytes: 2 ** 24,
    stages: ['calibrate', 'train'].map((name) => ({ ...stage, name })),
  });
  const [before, after] = [join(folder, 'before.json'), join(folder, 'after.json')];
  await writeFile(before, JSON.stringify(evaluated('no')));
  await writeFile(after, JSON.stringify(evaluated(hostile)));
  await writeReport(folder, { before, after, overwrite: true });
  browser = await puppeteer.launch({
    executablePath: '/usr/bin/chromium',
    // Root has no sandbox; the page is ours.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
    timeout: 300_000,
    protocolTimeout: 300_000,
  });
});

afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true, force: true });
});

interface Opened {
  readonly page: Page;
  readonly messages: string[];
  readonly requests: string[];
}

/** The page as a browser shows it, with what it says and asks for. */
async function open(scheme: 'light' | 'dark', width: number): Promise<Opened> {
  const page = await browser.newPage();
  const [messages, requests]: [string[], string[]] = [[], []];
  page.on('console', (message) => messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(String(error)));
  page.on('request', (request) => requests.push(request.url()));
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.goto(pathToFileURL(join(folder, 'report.html')).href, { timeout: 300_000 });
  return { page, messages, requests };
}

describe.each([
  ['light', 1000],
  ['dark', 1000],
  ['light', 390],
  ['dark', 390],
] as const)('the page of a job, %s, %d pixels wide', (scheme, width) => {
  let opened: Opened;

  beforeAll(async () => {
    opened = await open(scheme, width);
  });

  afterAll(() => opened.page.close());

  it('asks for nothing but itself, and says nothing', () => {
    const file = pathToFileURL(join(folder, 'report.html')).href;
    expect(opened.requests.filter((url) => !url.startsWith('data:'))).toEqual([file]);
    expect(opened.messages).toEqual([]);
  });

  it('is found accessible: contrast, names, reach of the keyboard', async () => {
    const { page } = opened;
    await page.$$eval('details', (all) => all.forEach((each) => (each.open = true)));
    await page.evaluate(axe.source);
    const found = await page.evaluate(async () => {
      const { run } = (globalThis as unknown as { axe: typeof axe }).axe;
      const { violations, passes } = await run();
      return {
        violations: violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`),
        passes: passes.map(({ id }) => id),
      };
    });
    expect(found.violations).toEqual([]);
    expect(found.passes).toEqual(
      expect.arrayContaining([
        'color-contrast',
        'image-alt',
        ...(width < 640 ? ['scrollable-region-focusable'] : []),
      ]),
    );
  });

  it('is not wider than the window', async () => {
    expect(await opened.page.$eval('html', ({ scrollWidth }) => scrollWidth)).toBeLessThanOrEqual(
      width,
    );
  });
});

describe('the page of a job', () => {
  it('opens its tables by the keyboard', async () => {
    const { page } = await open('light', 1000);
    await page.focus('#memory summary');
    await page.keyboard.press('Enter');
    expect(await page.$eval('#memory details', ({ open: isOpen }) => isOpen)).toBe(true);
    expect(await page.$eval('#memory table', ({ innerText }) => innerText)).toContain('16.00 MiB');
    await page.close();
  });

  it('shows texts of others, and obeys none of them', async () => {
    const { page } = await open('light', 1000);
    const shown = hostile.replace('\u202e', '\\u202e').replace('\u0007', '\\u0007');
    expect(await page.title()).toBe(`${shown}, fine-tuned`);
    expect(await page.$eval('.answers tbody td:last-child', (cell) => cell.textContent)).toBe(
      shown,
    );
    expect(
      await page.$$eval('script, [onerror], img:not([src^="data:image/png"])', (all) => all.length),
    ).toBe(0);
    expect(
      await page.$$eval('img', (all) => all.map(({ alt, naturalWidth }) => [alt, naturalWidth])),
    ).toEqual([
      ['Picture of prompt 1, before training', 1],
      ['Picture of prompt 1, the result', 1],
    ]);
    await page.close();
  });

  it('has the numbers of the job', async () => {
    const { page } = await open('light', 1000);
    const text = await page.$eval('main', ({ innerText }) => innerText);
    for (const part of ['4.1000', '0.5500', 'budget 32.00 MiB', 'no better than the base model'])
      expect(text).toContain(part);
    expect(await page.$$eval('#layer-errors rect.bar', (all) => all.length)).toBe(6);
    expect(await page.$$eval('#memory-course table tbody tr', (all) => all.length)).toBe(20);
    expect(await page.$$eval('#loss-train circle', (all) => all.length)).toBe(4);
    await page.close();
  });
});

it('is made of the record alone, and never over a file of others', async () => {
  const alone = await mkdtemp(join(tmpdir(), 'emloc-report-'));
  try {
    await writeFile(join(alone, 'emloc.json'), await readFile(join(folder, 'emloc.json')));
    const path = await writeReport(alone);
    expect(await readFile(path, 'utf8')).toContain('Error of each layer');
    await expect(writeReport(alone)).rejects.toMatchObject({ code: 'REPORT_OUTPUT_EXISTS' });
    await expect(writeReport(tmpdir())).rejects.toMatchObject({ code: 'REPORT_SOURCE_INVALID' });
    await symlink('elsewhere.html', join(alone, 'link.html'));
    await writeReport(alone, { out: join(alone, 'link.html') });
    expect(await readFile(join(alone, 'elsewhere.html'), 'utf8')).toContain('Error of each layer');
    await expect(writeReport(alone, { out: alone, overwrite: true })).rejects.toMatchObject({
      code: 'CHECKPOINT_OUTPUT_EXISTS',
    });
    const before = join(alone, 'emloc.json');
    await expect(writeReport(alone, { before })).rejects.toMatchObject({
      code: 'REPORT_SOURCE_INVALID',
      message: expect.stringContaining(before) as string,
    });
  } finally {
    await rm(alone, { recursive: true, force: true });
  }
});
