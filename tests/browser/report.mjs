// Opens a report in Chromium, uses it as a reader would, and takes pictures of it.
//
//   node report.mjs PAGE FOLDER
//
// PAGE is a report.html, FOLDER gets the pictures. STRAGGLER_PLAYWRIGHT is the folder of the module playwright-core,
// CHROMIUM the browser (/usr/bin/chromium without it). Exit code 1 and a message for whatever is not as it should be.
import { createRequire } from 'node:module';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [page_path, folder] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(resolve(process.env.STRAGGLER_PLAYWRIGHT ?? 'playwright-core'));
const url = pathToFileURL(resolve(page_path)).href;
mkdirSync(folder, { recursive: true });

const problems = [];
const expect = (holds, what) => { if (!holds) problems.push(what); };

const context = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), 'chromium-')), {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  viewport: { width: 1200, height: 900 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

async function open(media) {
  const page = await context.newPage();
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) problems.push(`console: ${message.text()}`); });
  page.on('pageerror', (error) => problems.push(`script: ${error.message}`));
  page.on('request', (request) => {
    if (request.url() !== url && !request.url().startsWith('data:')) problems.push(`request: ${request.url()}`);
  });
  await page.emulateMedia(media);
  await page.goto(url);
  return page;
}

const picture = (page, name) => page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
const text = (page, selector) => page.locator(selector).first().textContent();

// As it is opened.
const page = await open({ colorScheme: 'light' });
await picture(page, 'light');
expect(await page.locator('h1').count() === 1, 'there is one h1');
expect(await page.locator('html[lang]').count() === 1, 'the page names its language');
expect(await page.locator('figure svg:not([aria-label])').count() === 0, 'every figure has a label');
expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page does not scroll sideways');
expect(await page.evaluate(() => [...document.querySelectorAll('[id]')].length
  === new Set([...document.querySelectorAll('[id]')].map((element) => element.id)).size), 'ids are unique');

// Tabs.
const tabs = page.locator('[role=tab]');
if (await tabs.count() > 1) {
  const visible = () => page.locator('[data-panel]:visible').count();
  expect(await visible() === 1, 'one panel is visible');
  await tabs.nth(1).click();
  expect(await tabs.nth(1).getAttribute('aria-selected') === 'true', 'the second tab is selected');
  await page.keyboard.press('ArrowRight');
  expect(await visible() === 1, 'one panel is visible after the arrow key');
}

// Rounds: sort, filter, choose.
const rounds = page.locator('#rounds-table');
if (await rounds.count() === 1) {
  const durations = () => rounds.locator('tbody tr').evaluateAll((rows) => rows.map((row) => Number(row.cells[1].dataset.v)));
  const falls = (values) => values.every((value, index) => index === 0 || values[index - 1] >= value);
  expect(falls(await durations()), 'the longest round comes first');
  await rounds.locator('thead button').first().click();
  await rounds.locator('thead button').first().click();
  const numbers = await rounds.locator('tbody tr').evaluateAll((rows) => rows.map((row) => Number(row.cells[0].dataset.v)));
  expect(numbers.every((value, index) => index === 0 || numbers[index - 1] < value), 'rounds sort by number');
  await rounds.locator('thead button').nth(1).click();
  expect(falls(await durations()), 'rounds sort by duration');
  const sums = await rounds.locator('tbody tr').evaluateAll((rows) => rows.map((row) => {
    const [whole, ...parts] = [1, 4, 5, 6, 7].map((column) => Number(row.cells[column].dataset.v));
    return Math.abs(whole - parts.reduce((sum, part) => sum + part, 0));
  }));
  expect(sums.every((difference) => difference < 1e-5), 'the phases of each round sum to its duration');
  const total = await rounds.locator('tbody tr').count();
  await page.locator('input[data-filter]').fill('no such round');
  expect(await rounds.locator('tbody tr:visible').count() === 0, 'the filter hides what does not match');
  await page.locator('input[data-filter]').fill('');
  expect(await rounds.locator('tbody tr:visible').count() === total, 'the filter lets all through when it is empty');
  const link = rounds.locator('a[data-round]').first();
  const number = await link.getAttribute('data-round');
  await link.click();
  expect(await page.locator(`#detail-${number}`).evaluate((detail) => detail.open), 'a chosen round opens');
  expect(await page.locator('details[data-detail][open]').count() === 1, 'only the chosen round is open');
  await page.locator(`#detail-${number}`).screenshot({ path: join(folder, 'round.png') });
  const bars = page.locator(`#detail-${number} figure rect[data-tip]`);
  const widths = await bars.evaluateAll((found) => found.map((bar) => Number(bar.getAttribute('width'))));
  await bars.nth(widths.indexOf(Math.max(...widths))).hover({ force: true });
  expect((await text(page, '.tip')).includes('client'), 'a bar tells what it is');
}

// Curves are switched off and on by their legend.
const switches = page.locator('svg [data-switch]:visible');
if (await switches.count() > 0) {
  const entry = switches.first();
  const hidden = () => page.locator('svg [data-series].off').count();
  await entry.click({ force: true });
  expect(await hidden() === 1 && await entry.getAttribute('aria-pressed') === 'false', 'a curve is switched off');
  await entry.press('Enter');
  expect(await hidden() === 0, 'the curve is switched on again by the keyboard');
}

// Dark, narrow, printed, and without a script.
await picture(await open({ colorScheme: 'dark' }), 'dark');
const narrow = await open({ colorScheme: 'light' });
await narrow.setViewportSize({ width: 390, height: 844 });
await picture(narrow, 'narrow');
expect(await narrow.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'a narrow page does not scroll sideways');
const printed = await open({ media: 'print', colorScheme: 'dark' });
await printed.setViewportSize({ width: 794, height: 1123 });
await picture(printed, 'print');
await printed.pdf({ path: join(folder, 'print.pdf'), printBackground: true });
await context.close();

const plain_browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const plain = await (await plain_browser.newContext({ javaScriptEnabled: false })).newPage();
await plain.goto(url);
const panels = await plain.locator('[data-panel]').count();
expect(await plain.locator('[data-panel]:visible').count() === panels, 'without a script all panels are visible');
expect(!await plain.locator('.tools').first().isVisible().catch(() => false), 'without a script no filter is offered');
await plain_browser.close();

problems.forEach((problem) => console.error(problem));
process.exit(problems.length ? 1 : 0);
