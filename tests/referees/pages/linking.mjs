// An account that slipway knows already: the page of ours that leads there, slipway's own pages, and the way back.
import assert from 'node:assert/strict';
import { ISSUER, SLIPWAY, address, go, look, press, signIn, signedIn, story } from '../lib/stories.mjs';

const linkWanted = (envelope) => envelope.error?.code === 'account_link_required';

// A person whose agent has an account at slipway, which its owner cuts off; the agent asks again.
async function cutOff(seat, agent, email, options) {
  const { page } = await seat(options);
  await signIn(page, email);
  const one = agent('a linking agent');
  const { url, decided } = await one.ask();
  await go(page, url);
  await press(page, /^Accept/);
  assert.equal((await decided()).ok, true);
  await one.must('init', 'shop');
  await one.must('add', 'slipway/workers:free');

  await page.goto(`${SLIPWAY}connections`);
  await look(page, 'slipway-sign-in');
  await signedIn(page, email, 'slipway-sign-in');
  await look(page, 'slipway-connections');
  await press(page, /^Cut off/);
  await look(page, 'slipway-connections-cut');
  await press(page, 'Sign out');
  await look(page, 'slipway-signed-out');
  const waiting = await one.until(linkWanted, 'add', 'slipway/workers', '--name', 'second');
  return { page, one, link: waiting.error.details.url };
}

for (const phone of [false, true]) {
  await story(`a person links the slipway account that they have, on a ${phone ? 'phone' : 'desk'}`, async (seat, agent) => {
    const email = address(phone ? 'ned' : 'nia');
    const { page, one, link } = await cutOff(seat, agent, email, { phone });
    await go(page, link, 'link');
    await Promise.all([page.waitForEvent('load'), page.getByRole('link', { name: /^Go on to/ }).click()]);
    await signedIn(page, email);
    await look(page, 'slipway-link');
    const accounts = page.getByRole('radio');
    assert.equal(await accounts.count(), 2, 'the account chooser offers the account, and a new one');
    await accounts.first().check();
    await press(page, 'Accept');
    await look(page, 'linked');
    assert.ok(page.url().startsWith(`${ISSUER}/link/`), `it came back to ${page.url()}`);
    assert.match(await page.textContent('main'), /the agent goes on by itself/i);
    await one.until((it) => it.data?.resources?.some((resource) => resource.name === 'second' && resource.state === 'live'), 'status');
  });
}

await story('a person refuses to link, and the agent gets nothing', async (seat, agent) => {
  const { page, one, link } = await cutOff(seat, agent, address('oda'));
  await go(page, link);
  await Promise.all([page.waitForEvent('load'), page.getByRole('link', { name: /^Go on to/ }).click()]);
  await signedIn(page, address('oda'));
  await press(page, 'Deny');
  await look(page, 'link-refused');
  const status = await one.must('status');
  assert.ok(!status.resources.some((resource) => resource.name === 'second' && resource.state === 'live'), JSON.stringify(status));
});

await story('somebody else at slipway sees that another address was asked for', async (seat, agent) => {
  const { page, link } = await cutOff(seat, agent, address('pat'));
  await go(page, link);
  const there = await page.getByRole('link', { name: /^Go on to/ }).getAttribute('href');
  const other = await cutOff(seat, agent, address('quy'));
  await other.page.goto(there);
  await signedIn(other.page, address('quy'));
  await look(other.page, 'slipway-mismatch');
  assert.match(await other.page.textContent('main'), /another address/);
});
