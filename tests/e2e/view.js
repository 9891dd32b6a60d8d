// What OHIF shows of a study: node view.js CHROMIUM SITE STUDY PICTURE -> the text of its study list, on stdout, and a
// picture of its first viewport. playwright-core is found by NODE_PATH.
const { chromium } = require('playwright-core');
const { FLAGS } = require('./flags.js');

async function main([executablePath, site, study, picture]) {
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.on('pageerror', error => console.error('page error', error.message));
    page.on('response', response => response.status() >= 400 && console.error(response.status(), response.url()));
    await page.goto(`${site}/`);
    await page.getByText('19-Jan-2004').first().waitFor({ timeout: 60000 });
    console.log(await page.locator('body').innerText());
    await page.goto(`${site}/viewer?StudyInstanceUIDs=${study}`);
    const canvas = page.locator('canvas.cornerstone-canvas').first();
    await canvas.waitFor({ timeout: 60000 });
    const drawn = () => window.cornerstone?.getEnabledElements?.()[0]?.viewport?.getImageData?.();
    await page.waitForFunction(drawn, null, { timeout: 60000 });
    await page.waitForTimeout(2000);
    await canvas.screenshot({ path: picture });
  } finally {
    await browser.close();
  }
}

main(process.argv.slice(2)).catch(error => { console.error(error); process.exit(1); });
