// What dicom-microscopy-viewer shows of a slide: node view_slide.js CHROMIUM PAGE PICTURE -> the name of the patient, on
// stdout, and a picture of the page once it no longer changes. playwright-core is found by NODE_PATH.
const { chromium } = require('playwright-core');
const { FLAGS } = require('./flags.js');

async function main([executablePath, url, picture]) {
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  try {
    const page = await browser.newPage({ viewport: { width: 1024, height: 768 } });
    page.on('pageerror', error => console.error('page error', error.message));
    page.on('console', message => message.type() === 'error' && console.error('console', message.text()));
    page.on('response', response => response.status() >= 400 && console.error(response.status(), response.url()));
    await page.goto(url);
    await page.waitForFunction(() => window.patient, null, { timeout: 60000 });
    let before = Buffer.alloc(0), shown = await page.screenshot();
    for (let tries = 0; tries < 30 && !before.equals(shown); tries++) {
      await page.waitForTimeout(1000);
      [before, shown] = [shown, await page.screenshot({ path: picture })];
    }
    console.log(JSON.stringify(await page.evaluate(() => window.patient)));
  } finally {
    await browser.close();
  }
}

main(process.argv.slice(2)).catch(error => { console.error(error); process.exit(1); });
