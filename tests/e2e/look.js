// What OHIF shows of one kind of data: node look.js CHROMIUM SITE PATH KIND PICTURE... -> on stdout a JSON object of what
// the kind's function below returns as `said`, what the browser asked the gateway as `asked`, and whatever went wrong as
// `errors`; pictures in files. playwright-core is found by NODE_PATH.
const { chromium } = require('playwright-core');
const { FLAGS } = require('./flags.js');

const canvas = page => page.locator('canvas.cornerstone-canvas').first();
const button = (page, text) => page.getByRole('button', { name: text, exact: true }).first();

async function settled(thing, path) {
  let before = Buffer.alloc(0), shown = await thing.screenshot({ path });
  for (let tries = 0; tries < 30 && !before.equals(shown); tries++) {
    await new Promise(resolve => setTimeout(resolve, 700));
    [before, shown] = [shown, await thing.screenshot({ path })];
  }
}

async function drawn(page) {
  await canvas(page).waitFor();
  await page.waitForFunction(() => window.cornerstone?.getEnabledElements?.()[0]?.viewport?.getImageData?.());
}

async function opened(page, modality) {
  await drawn(page);
  await page.locator('[data-cy=study-browser-thumbnail-no-image]', { hasText: modality }).first().dblclick();
  await button(page, 'Yes').waitFor();
}

// Paused twice, at the time of the film that is said, with a picture each.
async function film(page, ...pictures) {
  const video = action => page.evaluateHandle(
    () => window.cornerstone?.getEnabledElements?.()[0]?.viewport?.videoElement).then(one => one.evaluate(action));
  await page.waitForFunction(
    () => window.cornerstone?.getEnabledElements?.()[0]?.viewport?.videoElement?.readyState === 4);
  await canvas(page).hover();
  await page.keyboard.press('c');
  const said = [];
  for (const [at, path] of pictures.entries()) {
    await page.locator('[data-cy=cine-player-play-pause]').first().click();
    await page.waitForFunction(
      past => window.cornerstone.getEnabledElements()[0].viewport.videoElement.currentTime > past, 0.3 + at);
    await page.locator('[data-cy=cine-player-play-pause]').first().click();
    await settled(canvas(page), path);
    said.push(await video(({ currentTime, duration, videoWidth, error }) => ({ currentTime, duration, videoWidth, error })));
  }
  return said;
}

async function document(page, picture) {
  await page.locator('object, iframe, embed').first().waitFor();
  await page.waitForTimeout(1500);
  await settled(page, picture);
}

const overlay = modality => async (page, before, after) => {
  await drawn(page);
  await settled(canvas(page), before);
  await opened(page, modality);
  await settled(canvas(page), after);
};

// A length is drawn and stored as a report; the page is loaded again and the report opened.
async function report(page) {
  const lengths = async () => (await page.locator('body').innerText()).match(/[\d.]+ mm/)?.[0];
  await drawn(page);
  await page.locator('[data-cy=Length]').first().click();
  const { x, y, width, height } = await canvas(page).boundingBox();
  await page.mouse.click(x + width * 0.4, y + height * 0.4);
  await page.mouse.move(x + width * 0.5, y + height * 0.5);
  await page.mouse.click(x + width * 0.6, y + height * 0.55);
  await button(page, 'Yes').click();
  await page.locator('[data-cy=trackedMeasurements-btn]').click();
  await button(page, 'Create SR').waitFor();
  const drew = await lengths();
  await button(page, 'Create SR').click();
  await page.getByPlaceholder('Report name').fill('Of the ball');
  await Promise.all([
    page.waitForResponse(response => response.request().method() === 'POST'),
    page.locator('[data-cy=input-dialog-save-button]').first().click(),
  ]);
  await page.getByText('Measurements saved successfully').first().waitFor();
  await page.reload();
  await opened(page, 'SR');
  await button(page, 'Yes').click();
  await page.locator('[data-cy=trackedMeasurements-btn]').click();
  await button(page, 'Create SR').waitFor();
  return { drew, reopened: await lengths() };
}

// The patients in the study list, of all studies and of those that a name finds.
async function list(page) {
  const patients = async () =>
    (await page.locator('tbody tr td:first-child').allInnerTexts()).filter(text => text.trim());
  await page.getByText('19-Jan-2004').first().waitFor();
  const all = await patients();
  await Promise.all([
    page.waitForResponse(response => response.url().includes('PatientName=')),
    page.locator('table input').first().fill('doe'),
  ]);
  await page.waitForTimeout(500);
  return { all, found: await patients() };
}

const KINDS = { film, document, segmentation: overlay('SEG'), structures: overlay('RTSTRUCT'), report, list };

async function main([executablePath, site, path, kind, ...pictures]) {
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  const asked = [], errors = [];
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.setDefaultTimeout(60000);
    // What greets who comes for the first time.
    await page.addInitScript(() => {
      if (window.top !== window) return;
      sessionStorage.setItem('investigationalUseDialog', 'hidden');
      localStorage.setItem('shownTours', '["basicViewerTour"]');
      localStorage.setItem('investigationalUseDialog', JSON.stringify({ expiryDate: new Date(Date.now() + 1e9) }));
    });
    page.on('pageerror', error => errors.push(error.message));
    page.on('console', message => message.type() === 'error' && errors.push(message.text()));
    page.on('response', async response => {
      const request = response.request(), url = response.url();
      if (response.status() >= 400) errors.push(`${response.status()} ${url}`);
      if (url.includes('/dicomweb/')) {
        asked.push({ status: response.status(), method: request.method(), url, range: request.headers().range ?? '' });
      }
    });
    await page.goto(`${site}${path}`);
    const said = (await KINDS[kind](page, ...pictures)) ?? null;
    console.log(JSON.stringify({ said, asked, errors }));
  } finally {
    if (errors.length) console.error(errors.join('\n'));
    await browser.close();
  }
}

main(process.argv.slice(2)).catch(error => { console.error(error); process.exit(1); });
