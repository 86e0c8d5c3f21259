// What a person has let in and takes back: workloads, and applications that know who they are.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import { ISSUER, address, go, look, press, signIn, story } from '../lib/stories.mjs';

await story('a person lets a build in, and takes it back', async (seat, agent) => {
  const { page } = await seat({ phone: true });
  await signIn(page, address('xia'));
  const { url, decided } = await agent('the builder').ask('--delegate');
  await go(page, url);
  await press(page, /^Accept/);
  assert.equal((await decided()).ok, true);
  await go(page, '/workloads');
  await page.getByLabel('What to call it').fill('CI of the shop');
  await page.getByLabel(/^Issuer/).fill('https://ci.example');
  await page.getByLabel(/^Subject/).fill('repo:acme/sh*');
  await page.getByLabel(/^Further claims/).fill('repository_id = 7');
  await press(page, 'Let it in');
  await look(page, 'workloads-wrong');
  assert.match(await page.getByRole('alert').innerText(), /one whole part/);
  await page.getByLabel(/^Subject/).fill('repo:acme/shop:ref:refs/heads/main');
  await press(page, 'Let it in');
  await look(page, 'workloads-one');
  await press(page, 'Remove CI of the shop');
  assert.match(await page.textContent('main'), /No workload is let in/);
});

await story('a person signs on at an application, sees it, and takes it back', async (seat) => {
  const { page } = await seat();
  await signIn(page, address('yul'));
  const app = http.createServer((_, answer) => answer.end('<!doctype html><title>back</title>')).listen(0, '127.0.0.1');
  await new Promise((done) => app.once('listening', done));
  try {
    const callback = `http://127.0.0.1:${app.address().port}/callback`;
    const meta = await (await fetch(`${ISSUER}/.well-known/openid-configuration`)).json();
    const asked = { client_name: 'An App', redirect_uris: [callback], token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], scope: 'openid email offline_access' };
    const client = await (await fetch(meta.registration_endpoint, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(asked) })).json();
    const verifier = randomBytes(32).toString('base64url');
    const query = { client_id: client.client_id, response_type: 'code', redirect_uri: callback, scope: 'openid email offline_access', state: 'here', prompt: 'consent', code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256' };
    await go(page, `${meta.authorization_endpoint}?${new URLSearchParams(query)}`, 'authorize');
    await press(page, 'Accept');
    const code = new URL(page.url()).searchParams.get('code');
    assert.ok(code, `no code came back: ${page.url()}`);
    const body = new URLSearchParams({ grant_type: 'authorization_code', client_id: client.client_id, code, redirect_uri: callback, code_verifier: verifier });
    const redeemed = await fetch(meta.token_endpoint, { method: 'POST', body });
    assert.equal(redeemed.status, 200, await redeemed.clone().text());
    const { refresh_token: refresh } = await redeemed.json();
    await go(page, '/applications', 'applications-one');
    await press(page, `Take it back from ${client.client_id}`);
    await look(page, 'applications-none');
    assert.doesNotMatch(await page.textContent('main'), /An App/);
    const again = new URLSearchParams({ grant_type: 'refresh_token', client_id: client.client_id, refresh_token: refresh });
    assert.equal((await fetch(meta.token_endpoint, { method: 'POST', body: again })).status, 400);
  } finally {
    app.close();
  }
});
