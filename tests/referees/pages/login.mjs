// How a person gets in and proves to be there: mailed code, passkey, app.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { authenticator } from '../lib/chromium.mjs';
import { ISSUER, address, go, look, press, signIn, story } from '../lib/stories.mjs';

const at = (page) => new URL(page.url()).pathname;

// RFC 6238 with what authenticator apps use: SHA-1, six digits, half a minute.
function shownByApp(secret, now = Date.now()) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret.replaceAll(/[^A-Z2-7]/g, '')].map((it) => letters.indexOf(it).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((it) => Number.parseInt(it, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 30_000)));
  const mac = createHmac('sha1', key).update(counter).digest();
  return String((mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

await story('a person signs up with a mailed code; a wrong one is said', async (seat) => {
  const { page } = await seat();
  await page.goto(`${ISSUER}/sign-in`);
  await page.getByLabel('Your e-mail address').fill(address('lea'));
  await press(page, 'Send me a code');
  await page.getByLabel('The digits from the mail').fill('000000');
  await press(page, 'Sign in');
  await look(page, 'sign-in-wrong');
  await page.getByRole('alert').waitFor();
  await signIn(page, address('lea'), '/security');
  assert.equal(at(page), '/security');
});

await story('a person signs up, adds a passkey, and signs in with it', async (seat) => {
  const { page } = await seat();
  const keys = await authenticator(page);
  await signIn(page, address('cid'));
  await go(page, '/security/passkeys', 'passkey');
  await page.getByLabel(/A name for it/).fill('laptop');
  await press(page, 'Make it');
  assert.equal((await keys.credentials()).length, 1);
  await go(page, '/security', 'security-with-passkey');
  assert.match(await page.textContent('main'), /laptop/);
  await press(page, 'Sign out');
  await page.goto(`${ISSUER}/sign-in?next=${encodeURIComponent('/security')}`);
  await press(page, 'Sign in with a passkey');
  assert.equal(at(page), '/security');
});

await story('a person adds an app, and confirms with it that they are there', async (seat) => {
  const { page } = await seat();
  await signIn(page, address('mia'), '/security');
  await press(page, 'Add an app');
  await look(page, 'totp');
  const secret = await page.locator('main code').first().innerText();
  await page.getByLabel(/six digits/).fill(shownByApp(secret));
  await press(page, 'Confirm');
  await look(page, 'totp-done');
  const recovery = await page.locator('main li code').allInnerTexts();
  assert.ok(recovery.length >= 8, `${recovery.length} recovery codes`);

  await press(page, 'Sign out');
  await signIn(page, address('mia'));
  await page.goto(`${ISSUER}/security/passkeys`);
  assert.equal(at(page), '/step-up', 'a mailed code was enough');
  await look(page, 'step-up-app');
  await page.getByLabel(/six digits that your app shows/).fill('000000');
  await press(page, 'Confirm');
  await look(page, 'step-up-wrong');
  // each code counts once, and the one of this half minute was used
  await page.getByLabel(/six digits that your app shows/).fill(recovery[0]);
  await press(page, 'Confirm');
  assert.equal(at(page), '/security/passkeys');
});
