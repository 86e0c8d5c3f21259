// A person with a real browser on the real pages: each story is one line of JSON on stdout. Every page that is seen is checked for
// accessibility, on a desk and on a phone. Environment: ISSUER, MAILBOX, CHROMIUM; SHOTS is a folder for pictures of the pages.
import assert from 'node:assert/strict';
import path from 'node:path';
import { authenticator, open, overflows, violations } from './lib/chromium.mjs';
import { Person } from './lib/person.mjs';
import { Target } from './lib/target.mjs';

const { ISSUER, MAILBOX, SHOTS } = process.env;
const server = await new Target('ours', ISSUER, () => undefined).start();
const wanted = process.argv.slice(2);

async function story(name, run) {
  if (wanted.length > 0 && !wanted.some((it) => name.includes(it))) return;
  const browsers = [];
  const seat = async (options) => {
    const browser = await open(options);
    browsers.push(browser);
    return browser;
  };
  try {
    await run(seat);
    process.stdout.write(`${JSON.stringify({ check: name, ok: true })}\n`);
  } catch (error) {
    const at = error.stack?.split('\n').find((it) => it.includes('pages.mjs'))?.trim();
    process.stdout.write(`${JSON.stringify({ check: name, ok: false, why: `${error.message} ${at}` })}\n`);
  } finally {
    for (const browser of browsers) await browser.close();
  }
}

// A page as it is now: nothing that keeps anybody out, nothing wider than the window.
let pictures = 0;
async function look(page, name) {
  if (SHOTS) await page.screenshot({ path: path.join(SHOTS, `${String((pictures += 1)).padStart(2, '0')}-${name}.png`), fullPage: true });
  const found = await violations(page);
  assert.deepEqual(found, [], `accessibility of ${name}: ${JSON.stringify(found)}`);
  assert.equal(await overflows(page), false, `${name} is wider than the window`);
}

const press = (page, name) => Promise.all([page.waitForEvent('load'), page.getByRole('button', typeof name === 'string' ? { name, exact: true } : { name }).click()]);

async function signIn(page, email, next = '/') {
  const person = new Person(ISSUER, MAILBOX, email);
  person.before = person.mails().length;
  await page.goto(`${ISSUER}/sign-in?next=${encodeURIComponent(next)}`);
  await page.getByLabel('Your e-mail address').fill(email);
  await press(page, 'Send me a code');
  await page.getByLabel('The digits from the mail').fill(await person.code());
  await press(page, 'Sign in');
}

// An agent that asks for a grant, as the command does.
async function agent(fields = {}) {
  const key = await server.dpopKey('Ed25519');
  const endpoint = server.meta.device_authorization_endpoint;
  const asked = { client_name: 'a browser agent', project: 'shop', providers: 'slipway', irreversible: '1', export: '1', ...fields };
  const send = async (url, params) => {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await server.form(url, params, { dpop: await key.proof('POST', url) });
      server.nonce = answer.headers.get('dpop-nonce') ?? server.nonce;
      if (answer.body.error !== 'use_dpop_nonce' || attempt > 0) return answer;
    }
  };
  const started = await send(endpoint, asked);
  assert.equal(started.status, 200, started.text);
  const decided = async () => {
    for (;;) {
      const answer = await send(server.meta.token_endpoint, { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: started.body.device_code });
      if (answer.body.error !== 'authorization_pending') return answer;
    }
  };
  return { url: started.body.verification_uri_complete, decided };
}

for (const phone of [false, true]) {
  const place = phone ? 'on a phone' : 'on a desk';

  await story(`every page of a person can be used by everybody, ${place}`, async (seat) => {
    const { page } = await seat({ phone });
    await page.goto(`${ISSUER}/sign-in`);
    await look(page, 'sign-in');
    await signIn(page, 'ida@example.test');
    for (const name of ['', 'agents', 'limits', 'card', 'spend', 'events', 'security', 'organisation', 'approvals', 'terms', 'device']) {
      const answer = await page.goto(`${ISSUER}/${name}`);
      assert.equal(answer.status(), 200, `/${name}: ${answer.status()}`);
      await look(page, name || 'home');
    }
    await page.goto(`${ISSUER}/nowhere`).catch(() => undefined);
    await look(page, 'nowhere');
  });

  await story(`an agent is let in, ${place}`, async (seat) => {
    const { page } = await seat({ phone });
    await signIn(page, 'bea@example.test');
    const { url, decided } = await agent();
    await page.goto(url);
    await look(page, 'consent');
    await press(page, /^Accept/);
    await look(page, 'accepted');
    const answer = await decided();
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.body.token_type, 'DPoP');
    await page.goto(`${ISSUER}/agents`);
    await look(page, 'agents-with-one');
  });
}

await story('a person signs up, adds a passkey, and signs in with it', async (seat) => {
  const { page } = await seat();
  const keys = await authenticator(page);
  await signIn(page, 'cid@example.test');
  await page.goto(`${ISSUER}/security/passkeys`);
  await look(page, 'passkey');
  await page.getByLabel(/A name for it/).fill('laptop');
  await press(page, 'Make it');
  assert.equal((await keys.credentials()).length, 1);
  await page.goto(`${ISSUER}/security`);
  await look(page, 'security-with-passkey');
  assert.match(await page.textContent('main'), /laptop/);
  await press(page, 'Sign out');
  await page.goto(`${ISSUER}/sign-in?next=${encodeURIComponent('/security')}`);
  await press(page, 'Sign in with a passkey');
  assert.equal(new URL(page.url()).pathname, '/security');
});

await story('a person with a passkey accepts with it', async (seat) => {
  const { page } = await seat();
  await authenticator(page);
  await signIn(page, 'dan@example.test');
  await page.goto(`${ISSUER}/security/passkeys`);
  await page.getByLabel(/A name for it/).fill('phone');
  await press(page, 'Make it');
  const { url, decided } = await agent();
  await page.goto(url);
  await press(page, /^Accept/);
  assert.equal((await decided()).status, 200);
});

await story('a person accepts with changes, and the agent is told what changed', async (seat) => {
  const { page } = await seat();
  await signIn(page, 'eli@example.test');
  const { url, decided } = await agent();
  await page.goto(url);
  await page.getByLabel(/At most, in USD a month/).fill('12.50');
  await page.getByLabel(/purchases that cannot be refunded/).uncheck();
  await press(page, /^Accept/);
  const answer = await decided();
  assert.equal(answer.status, 200, answer.text);
  const granted = JSON.stringify(answer.body);
  assert.match(granted, /1250/);
  assert.ok(Array.isArray(answer.body.changed) && answer.body.changed.length >= 2, granted);
});

await story('a person denies, and the agent is told so', async (seat) => {
  const { page } = await seat();
  await signIn(page, 'fay@example.test');
  const { url, decided } = await agent();
  await page.goto(url);
  await press(page, 'Deny');
  await look(page, 'denied');
  assert.equal((await decided()).body.error, 'access_denied');
});

await story('without JavaScript a person signs in and accepts', async (seat) => {
  const { page } = await seat({ javascript: false });
  await signIn(page, 'gus@example.test');
  const { url, decided } = await agent();
  await page.goto(url);
  await press(page, /^Accept/);
  assert.equal((await decided()).status, 200);
});

process.exit(0);
