// What persons do with each other and with their agents: organisations, approvals, terms, freezing.
import assert from 'node:assert/strict';
import { ISSUER, address, go, look, mailed, press, signIn, story } from '../lib/stories.mjs';

async function withAgent(page, agent, email, ...words) {
  await signIn(page, address(email));
  const one = agent('a browser agent');
  const { url, decided } = await one.ask(...words);
  await go(page, url);
  await press(page, /^Accept/);
  assert.equal((await decided()).ok, true);
  await one.must('init', 'shop');
  return one;
}

await story('an owner invites somebody, who joins and uses both organisations', async (seat) => {
  const { page } = await seat();
  await signIn(page, address('rex'), '/organisation');
  await page.getByLabel('What the organisation is called').fill('Harbour Works');
  await press(page, 'Rename');
  await page.getByLabel('E-mail address').fill(address('sue'));
  await page.locator('#offer').selectOption('member');
  await press(page, 'Send the invitation');
  await look(page, 'organisation-invited');

  const { page: hers } = await seat({ phone: true });
  const link = await mailed(address('sue'), '/invitation?');
  await go(hers, link, 'invitation');
  await signIn(hers, address('sue'));
  await go(hers, link, 'invitation-mine');
  await press(hers, 'Join');
  await look(hers, 'joined');
  await go(hers, '/organisation', 'organisation-joined');
  assert.match(await hers.textContent('main h1'), /Harbour Works/);
  await hers.getByLabel('In use:').selectOption({ index: (await hers.locator('#switch option:checked').evaluate((it) => it.index)) === 0 ? 1 : 0 });
  await press(hers, 'Switch');
  await go(hers, '/organisation');
  assert.doesNotMatch(await hers.textContent('main h1'), /Harbour Works/);

  await go(page, '/organisation');
  await Promise.all([page.waitForEvent('load'), page.getByRole('link', { name: address('sue') }).click()]);
  await look(page, 'member');
});

await story('a person approves one purchase that cannot be taken back', async (seat, agent) => {
  const { page } = await seat();
  const one = await withAgent(page, agent, 'tim');
  const domain = JSON.stringify({ domain: `${address('shop').split('@')[0]}.test` });
  const asked = one.run('approval', 'ask', 'slipway/registrar:domain', '--config', domain, '--reason', 'the shop needs an address', '--timeout', '30');
  await one.until((it) => it.data?.approvals?.length === 1, 'approval', 'list');
  await go(page, '/approvals', 'approvals-pending');
  await Promise.all([page.waitForEvent('load'), page.locator('main').getByRole('link').first().click()]);
  await look(page, 'approval');
  await press(page, 'Approve');
  await look(page, 'approval-given');
  const { ok, data, error } = await asked;
  assert.deepEqual([ok, data?.state], [true, 'approved'], JSON.stringify(error));
});

await story('a person sees which terms they accepted, word for word', async (seat, agent) => {
  const { page } = await seat();
  await withAgent(page, agent, 'uma');
  await go(page, '/terms', 'terms-accepted');
  const copy = page.locator('main a[href*="/terms/"]').first();
  const answer = await page.request.get(new URL(await copy.getAttribute('href'), ISSUER).href);
  assert.equal(answer.status(), 200);
});

await story('a person freezes an agent, and thaws it', async (seat, agent) => {
  const { page } = await seat();
  const one = await withAgent(page, agent, 'vic');
  await go(page, '/agents');
  await press(page, 'Freeze');
  await look(page, 'frozen');
  assert.equal((await one.run('add', 'slipway/workers:free')).error?.code, 'agent_frozen');
  await press(page, 'Thaw');
  await look(page, 'thawed');
  await one.must('add', 'slipway/workers:free');
});

await story('a person ends a grant by the link in the mail', async (seat, agent) => {
  const { page } = await seat();
  const one = await withAgent(page, agent, 'wyn');
  await go(page, await mailed(address('wyn'), '/revoke?'), 'revoke');
  await press(page, /./, page.locator('main'));
  await look(page, 'revoked');
  assert.equal((await one.run('add', 'slipway/workers:free')).ok, false);
});
