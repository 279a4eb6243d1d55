// The person at a VS Code: node page.js URL REPORT [SCREENSHOTS]. Needs playwright-core (NODE_PATH) and
// CHROMIUM. What was seen on the screen goes to the report, as JSON; so does the reason of a failure.
const fs = require('node:fs');
const { chromium } = require('playwright-core');

const [url, reportFile, screenshots] = process.argv.slice(2);
const report = {};

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
  const page = await browser.newPage({ viewport: { width: 1100, height: 650 } });
  page.setDefaultTimeout(60_000);
  try {
    await story(page);
  } catch (error) {
    report.error = String(error);
    report.screen = await page.evaluate(() => document.body.innerText).catch(() => '');
  }
  if (screenshots) await page.screenshot({ path: `${screenshots}/end.png` });
  fs.writeFileSync(reportFile, JSON.stringify(report));
  await browser.close();
}

async function story(page) {
  const shot = (name) => (screenshots ? page.screenshot({ path: `${screenshots}/${name}.png` }) : undefined);
  const press = (key) => page.keyboard.press(key);
  const type = (text) => page.keyboard.type(text, { delay: 40 });
  const status = (text) => page.waitForSelector(`.statusbar-item[aria-label*="Countersign: ${text}"]`);
  // A line of the document, without what is only offered beside it.
  const line = (text) =>
    page.waitForFunction((wanted) => {
      const texts = [...document.querySelectorAll('.view-line')].map((line) => {
        const copy = line.cloneNode(true);
        for (const ghost of copy.querySelectorAll('.ghost-text-decoration, .ghost-text')) ghost.remove();
        return copy.textContent.replace(/\u00a0/g, ' ');
      });
      return texts.includes(wanted);
    }, text);
  const ghost = () => page.waitForSelector('.ghost-text-decoration, .ghost-text');
  const command = async (title) => {
    await press('F1');
    await page.waitForSelector('.quick-input-widget input');
    await type(title);
    await page.waitForSelector(`.quick-input-list .monaco-list-row:has-text("${title}")`);
    await press('Enter');
  };

  await page.goto(url);
  await page.waitForSelector('.monaco-workbench');
  await status('recording');
  report.started = true;

  await press('Control+P');
  await page.waitForSelector('.quick-input-widget input');
  await type('run.py');
  await page.waitForSelector('.quick-input-list .monaco-list-row:has-text("run.py")');
  await press('Enter');
  await line('import subprocess');

  // All of a suggestion.
  await press('Control+End');
  await type('def run(command):');
  await ghost();
  await shot('offered');
  await press('Tab');
  await line('    return subprocess.run(command, shell=True)');
  await page.waitForSelector('.squiggly-warning, .squiggly-info');
  await shot('hint');
  report.accepted = true;

  // The word of another, and then none of it.
  await press('Control+End');
  await press('Enter');
  await press('Home');
  await press('Shift+End');
  await type('total = ');
  await ghost();
  await press('Control+ArrowRight');
  await line('total = first');
  await press('Escape');
  report.partial = true;

  // A third, dismissed.
  await press('Control+End');
  await press('Enter');
  await type('nothing');
  await ghost();
  await press('Escape');
  await page.waitForFunction(() => document.querySelector('.ghost-text-decoration, .ghost-text') === null);
  report.dismissed = true;

  await command('Countersign: Show or Hide Authorship');
  await page.waitForFunction(
    () => [...document.querySelectorAll('.view-overlays .cdr')].some((mark) => getComputedStyle(mark).borderLeftWidth === '2px'),
  );
  report.marks = await page.evaluate(() =>
    [...document.querySelectorAll('.view-overlays .cdr')]
      .filter((mark) => getComputedStyle(mark).borderLeftWidth === '2px')
      .map((mark) => getComputedStyle(mark).borderLeftStyle),
  );
  await shot('authorship');

  await press('Control+S');
  await command('Countersign: Pause Recording');
  await page.waitForSelector('.quick-input-list .monaco-list-row:has-text("Until I resume")');
  await type('Until');
  await press('Enter');
  await status('paused until you resume');
  await command('Countersign: Resume Recording');
  await status('recording');
  report.paused = true;

  await command('Countersign: Open the Trail');
  await page.waitForSelector('.tab.active[aria-label*="the trail"]');
  await page.waitForFunction(() => document.querySelector('.editor-instance .view-lines')?.textContent.includes('suggestion'));
  report.trail = true;
}

main();
