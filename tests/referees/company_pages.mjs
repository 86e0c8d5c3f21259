// The pages of sign-in through a company, in a real browser with a virtual authenticator; the company is oidc-provider (company.mjs).
// Environment as in lib/stories.mjs, and COMPANY: the origin of its provider, where a person says who they are in the address.
import assert from 'node:assert/strict';
import { authenticator } from './lib/chromium.mjs';
import { ISSUER, look, go, press, signIn, story } from './lib/stories.mjs';

const { COMPANY } = process.env;
const at = (page) => new URL(page.url()).pathname;

// At the company's page, which asks who one is unless it knows already; ends on a page of ours.
async function saysThere(page, who) {
  await page.waitForURL((url) => url.origin === COMPANY && url.pathname.includes('/interaction/'));
  await page.goto(`${page.url()}?who=${who}`);
  await page.waitForURL((url) => url.origin === ISSUER);
  await page.waitForLoadState();
}

// The page that leads to the company, looked at while the company does not answer.
async function looksOnTheWay(page, button) {
  await page.route(`${COMPANY}/**`, (route) => route.fulfill({ status: 204 }));
  await press(page, button);
  await look(page, 'sso-leave');
  await page.unroute(`${COMPANY}/**`);
  await page.getByRole('link', { name: 'Go on' }).click();
}

await story('a login with a passkey is connected with a company account by its holder, disconnected, and left', async (seat) => {
  const { page } = await seat();
  await authenticator(page);
  await signIn(page, 'ada@acme.test');
  await page.goto(`${ISSUER}/security/passkeys`);
  await page.getByLabel(/A name for it/).fill('laptop');
  await press(page, 'Make it');
  await go(page, '/security', 'security-not-connected');
  await press(page, 'Sign out');

  await page.goto(`${ISSUER}/sign-in?next=${encodeURIComponent('/security')}`);
  await look(page, 'sign-in-with-a-company');
  await looksOnTheWay(page, 'Sign in with acme');
  await saysThere(page, 'ada');
  assert.match(await page.textContent('h1'), /Is this login yours/);
  await look(page, 'sso-prove');
  await press(page, 'Use a passkey');
  assert.equal(at(page), '/security');
  await look(page, 'security-connected');
  assert.match(await page.textContent('main'), /Account there\s*ada@acme\.test/);

  await press(page, 'Sign out');
  assert.match(await page.textContent('main'), /still signed in at acme/);
  await look(page, 'signed-out-here');
  await page.getByRole('link', { name: 'Sign out at acme too' }).click();
  await page.waitForURL((url) => url.origin === COMPANY);
});

await story('a person connects their company on the security page, confirms with it, and disconnects it, on a phone', async (seat) => {
  const { page } = await seat({ phone: true });
  await signIn(page, 'grace@acme.test', '/security');
  await looksOnTheWay(page, 'Connect acme');
  await saysThere(page, 'grace');
  assert.equal(at(page), '/security');
  await look(page, 'security-connected-phone');

  // from now on the company confirms, and a mailed code does not
  await press(page, 'Sign out');
  await signIn(page, 'grace@acme.test');
  await page.goto(`${ISSUER}/step-up?next=${encodeURIComponent('/security')}`);
  await look(page, 'step-up-company');
  await press(page, 'Sign in anew with acme');
  await saysThere(page, 'grace');
  assert.equal(at(page), '/security');
  await press(page, 'Disconnect acme');
  assert.equal(await page.getByRole('button', { name: 'Connect acme' }).count(), 1);
  await look(page, 'security-disconnected');
});

await story('somebody whom the company does not vouch for is told so on a page', async (seat) => {
  const { page } = await seat();
  await page.goto(`${ISSUER}/sign-in`);
  await press(page, 'Sign in with acme');
  await saysThere(page, 'unverified');
  assert.match(await page.textContent('main'), /sso_email_unverified/);
  await look(page, 'sso-refused');
});

process.exit(0);
