// An agent asks, a person answers: as it is, changed, signed, denied; with a keyboard alone, and without JavaScript.
import assert from 'node:assert/strict';
import { authenticator } from '../lib/chromium.mjs';
import { ISSUER, address, go, look, press, signIn, story } from '../lib/stories.mjs';

async function asked(page, agent, email, ...words) {
  await signIn(page, address(email));
  return agent('a browser agent').ask(...words);
}

await story('a person lets an agent in', async (seat, agent) => {
  const { page } = await seat();
  const { url, decided } = await asked(page, agent, 'bea');
  await go(page, url);
  await press(page, /^Accept/);
  const { ok, data } = await decided();
  assert.deepEqual([ok, data.decision], [true, 'approved'], JSON.stringify(data));
});

await story('a person accepts with changes, and the agent is told what changed', async (seat, agent) => {
  const { page } = await seat();
  const { url, decided } = await asked(page, agent, 'eli', '--irreversible', '--export');
  await go(page, url);
  await page.getByLabel(/At most, in USD a month/).fill('12.50');
  await page.getByLabel(/purchases that cannot be refunded/).uncheck();
  await press(page, /^Accept/);
  const { ok, data } = await decided();
  assert.deepEqual([ok, data.decision], [true, 'changed'], JSON.stringify(data));
  assert.match(JSON.stringify(data.changed), /1250/);
  assert.ok(data.changed.length >= 2, JSON.stringify(data.changed));
});

await story('a person types something that cannot be granted, is told, and mends it', async (seat, agent) => {
  const { page } = await seat();
  const { url, decided } = await asked(page, agent, 'eve');
  await go(page, url);
  await page.getByRole('checkbox', { name: 'shop' }).uncheck();
  await press(page, /^Accept/);
  await look(page, 'consent-wrong');
  await page.getByRole('alert').waitFor();
  await page.getByRole('checkbox', { name: 'shop' }).check();
  await press(page, /^Accept/);
  assert.equal((await decided()).ok, true);
});

await story('a person denies, and the agent is told so', async (seat, agent) => {
  const { page } = await seat();
  const { url, decided } = await asked(page, agent, 'fay');
  await go(page, url);
  await press(page, 'Deny');
  await look(page, 'denied');
  assert.equal((await decided()).error.code, 'access_denied');
});

await story('a person with a passkey signs what they accept', async (seat, agent) => {
  const { page } = await seat();
  await authenticator(page);
  const { url, decided } = await asked(page, agent, 'dan');
  await go(page, '/security/passkeys');
  await page.getByLabel(/A name for it/).fill('phone');
  await press(page, 'Make it');
  await go(page, url);
  await press(page, /^Accept/);
  await look(page, 'sign');
  await press(page, 'Sign and accept');
  await look(page, 'signed');
  assert.equal((await decided()).ok, true);
});

await story('with a keyboard alone a person changes and accepts, and sees where they are', async (seat, agent) => {
  const { page } = await seat();
  const { url, decided } = await asked(page, agent, 'hal', '--irreversible');
  await go(page, url);
  const path = [];
  for (let step = 0; step < 80; step += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(focused);
    assert.ok(at.outlined, `nothing shows that ${at.label} is where one is`);
    assert.ok(!at.covered, `${at.label} is covered by ${at.covered}`);
    path.push(at.label);
    if (/purchases that cannot be refunded/.test(at.label)) await page.keyboard.press('Space');
    if (/At most, in USD a month/.test(at.label)) {
      await page.keyboard.press('Control+A');
      await page.keyboard.type('20');
    }
    if (/^Accept/.test(at.label)) break;
  }
  await Promise.all([page.waitForEvent('load'), page.keyboard.press('Enter')]);
  const { ok, data } = await decided();
  assert.ok(ok && data.decision === 'changed', `${path.join(', ')}: ${JSON.stringify(data)}`);
  assert.match(JSON.stringify(data.changed), /2000/);
});

// Run in the page: what has the focus, whether it shows, and what lies over it.
function focused() {
  const it = document.activeElement;
  const label = (it.labels?.[0]?.textContent ?? it.textContent ?? '').trim().replace(/\s+/g, ' ').slice(0, 80) || it.name || it.tagName;
  const box = it.getBoundingClientRect();
  const over = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const covered = over && (it.contains(over) || over.contains(it) || over.closest('label')?.contains(it)) ? '' : `<${over?.tagName} ${over?.className}>`;
  return { label, covered, outlined: getComputedStyle(it).outlineStyle !== 'none' };
}

for (const answer of ['accept', 'deny']) {
  await story(`without JavaScript a person signs in and can ${answer}`, async (seat, agent) => {
    const { page } = await seat({ javascript: false });
    const { url, decided } = await asked(page, agent, `gus-${answer}`);
    await go(page, url);
    await press(page, answer === 'accept' ? /^Accept/ : 'Deny');
    const { ok, error } = await decided();
    assert.deepEqual([ok, error?.code], answer === 'accept' ? [true, undefined] : [false, 'access_denied']);
  });
}

await story('a person types the code of a terminal', async (seat, agent) => {
  const { page } = await seat({ phone: true });
  const { url, decided } = await asked(page, agent, 'kim');
  await go(page, '/device', 'device');
  await page.getByRole('textbox').fill(new URL(url).searchParams.get('user_code'));
  await press(page, /./, page.locator('main'));
  await look(page, 'consent-typed');
  const again = page.getByLabel(/Type the code/);
  if (await again.count()) await again.fill(new URL(url).searchParams.get('user_code'));
  await press(page, /^Accept/);
  assert.equal((await decided()).ok, true);
  assert.ok(page.url().startsWith(ISSUER));
});
