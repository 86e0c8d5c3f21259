// Strict certified clients (openid-client, oauth4webapi) against a server: each flow is one line of JSON on stdout.
// Environment: ISSUER, MAILBOX, API (a protected resource of ours); without ISSUER, the independent server is asked instead.
import http from 'node:http';
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import * as client from 'openid-client';
import * as oauth from 'oauth4webapi';
import { createRemoteJWKSet, jwtVerify, exportJWK, generateKeyPair, SignJWT, calculateJwkThumbprint } from 'jose';
import { startOracle } from './lib/oracle.mjs';
import { Browser, decode } from './lib/browser.mjs';
import { Person } from './lib/person.mjs';

const { ISSUER, MAILBOX, API } = process.env;
const quiet = () => undefined;
console.warn = console.info = quiet;
const oracle = ISSUER ? undefined : await startOracle({ api: 'https://api.example.test' });
const issuer = ISSUER ?? oracle.issuer;
const person = () => (ISSUER ? new Person(issuer, MAILBOX, 'ada@example.test') : new Browser(issuer));
const server = new URL(issuer);
const ada = person();

const insecure = { execute: [client.allowInsecureRequests] };
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const CALLBACK = 'https://client.example.test/callback';

const wanted = process.argv.slice(2);
async function check(name, run) {
  if (wanted.length > 0 && !wanted.some((it) => name.includes(it))) return;
  try {
    await run();
    process.stdout.write(`${JSON.stringify({ check: name, ok: true })}\n`);
  } catch (error) {
    const why = [error.message, error.error, error.error_description, error.cause?.message ?? (error.cause && JSON.stringify(error.cause))].filter(Boolean).join(' | ');
    process.stdout.write(`${JSON.stringify({ check: name, ok: false, why, at: error.stack?.split('\n').find((it) => it.includes('relying.mjs'))?.trim() })}\n`);
  }
}

async function register(metadata, auth) {
  const asked = { redirect_uris: [CALLBACK], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], client_name: 'a strict client', id_token_signed_response_alg: 'ES256', ...metadata };
  const config = await client.dynamicClientRegistration(server, asked, auth, insecure);
  client.enableNonRepudiationChecks(config);
  return config;
}

// The whole code flow with every check that the client knows.
async function signIn(config, { scope = 'openid email offline_access', dpop, par = false, more = {}, who = ada } = {}) {
  const code_verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  const params = { redirect_uri: CALLBACK, scope, state, nonce, prompt: 'consent', code_challenge: await client.calculatePKCECodeChallenge(code_verifier), code_challenge_method: 'S256', ...more };
  for (const [name, value] of Object.entries(params)) if (value === undefined) delete params[name];
  const url = par ? await client.buildAuthorizationUrlWithPAR(config, params, { DPoP: dpop }) : client.buildAuthorizationUrl(config, params);
  const page = await who.go(url.href);
  assert.ok(page.away, `no redirect, but ${page.status} at ${page.url}: ${page.body?.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').slice(0, 300)}`);
  const sign = scope.includes('openid');
  const checks = { pkceCodeVerifier: code_verifier, expectedState: state, expectedNonce: sign ? nonce : undefined, idTokenExpected: sign };
  return client.authorizationCodeGrant(config, page.away, checks, more.resource ? { resource: more.resource } : undefined, { DPoP: dpop });
}

const refused = async (promise, error) => assert.rejects(promise, (it) => (assert.equal(it.error, error), true));

await check('discovery as OpenID provider', async () => {
  const config = await client.discovery(server, 'anybody', undefined, client.None(), insecure);
  assert.equal(config.serverMetadata().issuer, issuer);
  assert.ok(config.serverMetadata().supportsPKCE('S256'));
});
await check('discovery as authorization server', async () => {
  const config = await client.discovery(server, 'anybody', undefined, client.None(), { ...insecure, algorithm: 'oauth2' });
  assert.equal(config.serverMetadata().issuer, issuer);
});
await check('code flow of a confidential client, ID token and userinfo', async () => {
  const config = await register({ token_endpoint_auth_method: 'client_secret_basic' });
  const tokens = await signIn(config);
  const claims = tokens.claims();
  assert.equal(claims.aud, config.clientMetadata().client_id);
  const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(info.email, 'ada@example.test');
  const { protectedHeader } = await jwtVerify(tokens.id_token, createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri)), { issuer });
  assert.equal(protectedHeader.alg, 'ES256');
});
await check('ID token by EdDSA', async () => {
  const config = await register({ token_endpoint_auth_method: 'none', id_token_signed_response_alg: ISSUER ? 'EdDSA' : 'Ed25519' }, client.None());
  assert.ok((await signIn(config)).id_token);
});
await check('secret in the body', async () => assert.ok((await signIn(await register({ token_endpoint_auth_method: 'client_secret_post' }, client.ClientSecretPost()))).access_token));
await check('private_key_jwt', async () => {
  const keys = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', use: 'sig', alg: 'ES256' };
  const config = await register({ token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] } }, client.PrivateKeyJwt({ key: keys.privateKey, kid: 'one' }));
  assert.ok((await signIn(config)).access_token);
});
await check('pushed authorization request', async () => assert.ok((await signIn(await register({ token_endpoint_auth_method: 'client_secret_basic' }), { par: true })).access_token));
await check('a client that must push is refused otherwise', async () => {
  const config = await register({ token_endpoint_auth_method: 'client_secret_basic', require_pushed_authorization_requests: true });
  await assert.rejects(signIn(config));
  assert.ok((await signIn(config, { par: true })).access_token);
});
await check('key-bound tokens, rotation and userinfo', async () => {
  const config = await register({ token_endpoint_auth_method: 'none' }, client.None());
  const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
  const tokens = await signIn(config, { dpop, par: true });
  assert.equal(tokens.token_type, 'dpop');
  const next = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP: dpop });
  assert.notEqual(next.refresh_token, tokens.refresh_token);
  assert.ok((await client.fetchUserInfo(config, next.access_token, tokens.claims().sub, { DPoP: dpop })).sub);
});
await check('a used refresh token ends the family', async () => {
  const config = await register({ token_endpoint_auth_method: 'client_secret_basic' });
  const tokens = await signIn(config);
  const next = await client.refreshTokenGrant(config, tokens.refresh_token);
  await refused(client.refreshTokenGrant(config, tokens.refresh_token), 'invalid_grant');
  await refused(client.refreshTokenGrant(config, next.refresh_token), 'invalid_grant');
});
await check('client credentials, as bearer and bound to a key', async () => {
  const config = await register({ token_endpoint_auth_method: 'client_secret_basic', grant_types: ['client_credentials'], response_types: [], redirect_uris: [] });
  assert.equal((await client.clientCredentialsGrant(config)).token_type, 'bearer');
  const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair('EdDSA').catch(() => client.randomDPoPKeyPair('Ed25519')));
  assert.equal((await client.clientCredentialsGrant(config, undefined, { DPoP: dpop })).token_type, 'dpop');
});
await check('introspection and revocation', async () => {
  const config = await register({ token_endpoint_auth_method: 'client_secret_basic' });
  const tokens = await signIn(config);
  const seen = await client.tokenIntrospection(config, tokens.access_token);
  assert.equal(seen.active, true);
  assert.equal(seen.client_id, config.clientMetadata().client_id);
  await client.tokenRevocation(config, tokens.refresh_token);
  assert.equal((await client.tokenIntrospection(config, tokens.access_token)).active, false);
  assert.equal((await client.tokenIntrospection(config, tokens.refresh_token)).active, false);
});
await check('resource indicator', async () => {
  const config = await register({ token_endpoint_auth_method: 'client_secret_basic' });
  const tokens = await signIn(config, { more: { resource: issuer } });
  const { payload } = await jwtVerify(tokens.access_token, createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri)), { issuer, typ: 'at+jwt' });
  assert.deepEqual([payload.aud].flat(), [issuer]);
  await refused(client.buildAuthorizationUrlWithPAR(config, { redirect_uri: CALLBACK, scope: 'openid', code_challenge: await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier()), code_challenge_method: 'S256', resource: 'https://elsewhere.example.test/' }), 'invalid_target');
});
await check('device flow', async () => {
  const config = await register({ token_endpoint_auth_method: 'none', grant_types: [DEVICE, 'refresh_token'], response_types: [], redirect_uris: [] }, client.None());
  const started = await client.initiateDeviceAuthorization(config, { scope: 'openid email' });
  const polled = client.pollDeviceAuthorizationGrant(config, started);
  await approveDevice(started);
  assert.ok((await polled).access_token);
});
await check('device flow, denied', async () => {
  const config = await register({ token_endpoint_auth_method: 'none', grant_types: [DEVICE, 'refresh_token'], response_types: [], redirect_uris: [] }, client.None());
  const started = await client.initiateDeviceAuthorization(config, { scope: 'openid email' });
  const polled = client.pollDeviceAuthorizationGrant(config, started);
  const [outcome] = await Promise.allSettled([polled, approveDevice(started, 'deny')]);
  assert.equal(outcome.reason?.error ?? outcome.reason?.cause?.error, 'access_denied');
});
await check('registration is read, changed and deleted', async () => {
  const config = await register({ token_endpoint_auth_method: 'client_secret_basic' });
  const own = config.clientMetadata();
  const headers = { authorization: `Bearer ${own.registration_access_token}`, 'content-type': 'application/json' };
  const read = await (await fetch(own.registration_client_uri, { headers })).json();
  assert.equal(read.client_id, own.client_id);
  const body = { client_id: own.client_id, redirect_uris: [`${CALLBACK}/2`], grant_types: ['authorization_code'], response_types: ['code'], token_endpoint_auth_method: 'client_secret_basic' };
  const changed = await fetch(own.registration_client_uri, { method: 'PUT', headers, body: JSON.stringify(body) });
  assert.equal(changed.status, 200);
  assert.equal((await fetch(own.registration_client_uri, { method: 'DELETE', headers })).status, 204);
  await refused(client.clientCredentialsGrant(config), 'invalid_client');
});
await check('logout at the wish of the client, and word to it where it may be reached', async () => {
  const heard = [];
  const receiver = http.createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => (heard.push(new URLSearchParams(body).get('logout_token')), response.end()));
  });
  await new Promise((done) => receiver.listen(Number(process.env.RECEIVER_PORT ?? 0), '127.0.0.1', done));
  // Only an address that the operator lists may be on this machine, and no other is taken at registration.
  const reachable = !ISSUER || Boolean(process.env.RECEIVER_PORT);
  const uri = reachable ? `http://127.0.0.1:${receiver.address().port}/logout` : 'https://client.example.test/logout';
  const config = await register({ token_endpoint_auth_method: 'client_secret_basic', post_logout_redirect_uris: ['https://client.example.test/bye'], backchannel_logout_uri: uri, backchannel_logout_session_required: true });
  const who = person();
  const tokens = await signIn(config, { who });
  const url = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: 'https://client.example.test/bye', state: 'farewell' });
  const page = await leave(who, url);
  assert.equal(page.away?.href, 'https://client.example.test/bye?state=farewell');
  if (!reachable) return receiver.close();
  for (const end = Date.now() + 10_000; heard.length === 0 && Date.now() < end;) await new Promise((done) => setTimeout(done, 50));
  receiver.close();
  assert.equal(heard.length, 1);
  const seen = new Set();
  const validate = loggedOut(createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri)), config.clientMetadata().client_id, seen);
  const said = await validate(heard[0]);
  assert.deepEqual([said.sub, said.sid], [tokens.claims().sub, tokens.claims().sid]);
  // What a careful client refuses: the same word again, an ID token in its place, and one changed letter.
  await assert.rejects(validate(heard[0]), /before/);
  await assert.rejects(validate(tokens.id_token));
  const [head, body, signature] = heard[0].split('.');
  await assert.rejects(validate([head, body, signature.replace(/^./, (it) => (it === 'A' ? 'B' : 'A'))].join('.')));
});

if (ISSUER) {
  await check('protected resource metadata', async () => {
    const resource = new URL(API ?? issuer);
    const options = { [oauth.allowInsecureRequests]: true };
    const found = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, options));
    assert.deepEqual(found.authorization_servers, [issuer]);
    const bare = await fetch(new URL('/v1/whoami', issuer));
    assert.equal(bare.status, 401);
    assert.match(bare.headers.get('www-authenticate') ?? '', /resource_metadata=/);
  });
  await check('a resource server takes our access tokens by RFC 9068 and RFC 9449', async () => {
    const config = await register({ token_endpoint_auth_method: 'none' }, client.None());
    const keys = await client.randomDPoPKeyPair('ES256');
    const tokens = await signIn(config, { dpop: client.getDPoPHandle(config, keys), par: true, more: { resource: issuer } });
    const jwk = await exportJWK(keys.publicKey);
    const url = `${issuer}/v1/whoami`;
    const proof = (claims, signer = keys.privateKey, shown = jwk) => new SignJWT({ htm: 'GET', htu: url, jti: randomUUID(), ...claims }).setIssuedAt().setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: shown }).sign(signer);
    const ath = createHash('sha256').update(tokens.access_token).digest('base64url');
    const validate = (dpop, token = tokens.access_token, audience = issuer) => oauth.validateJwtAccessToken(config.serverMetadata(), new Request(url, { headers: { authorization: `DPoP ${token}`, dpop } }), audience, { requireDPoP: true, [oauth.allowInsecureRequests]: true });
    const claims = await validate(await proof({ ath }));
    assert.equal(claims.client_id, config.clientMetadata().client_id);
    assert.ok(claims.exp - claims.iat <= 3600 && claims.jti && claims.sub);
    const thief = await generateKeyPair('ES256', { extractable: true });
    await assert.rejects(validate(await proof({ ath }, thief.privateKey, await exportJWK(thief.publicKey))), 'a thief with a key of their own');
    await assert.rejects(validate(await proof({ ath }), tokens.access_token, 'https://elsewhere.example.test'), 'a token for somebody else');
  });
  await check('an agent gets its grant by a rich authorization request', async () => {
    const { config, tokens, dpop } = await agent();
    const granted = tokens.authorization_details?.find((it) => it.type === 'purser_grant');
    assert.ok(granted, JSON.stringify(Object.keys(tokens)));
    const who = await client.fetchProtectedResource(config, tokens.access_token, new URL('/v1/whoami', issuer), 'GET', undefined, undefined, { DPoP: dpop });
    assert.equal(who.status, 200);
    assert.equal((await who.json()).person.email, 'ada@example.test');
  });
  await check('a sub-agent gets less by token exchange, and never more', async () => {
    const { config, tokens, dpop } = await agent();
    const child = await generateKeyPair('ES256', { extractable: true });
    const exchange = async (details) => client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
      subject_token: tokens.access_token, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      actor_token: await actor(child), actor_token_type: 'urn:ietf:params:oauth:token-type:jwt', authorization_details: JSON.stringify([details]),
    }, { DPoP: dpop });
    const less = await exchange({ type: 'purser_grant', cap_minor: 1_00 });
    const { payload } = await jwtVerify(less.access_token, createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri)), { issuer });
    assert.equal(payload.cnf.jkt, await calculateJwkThumbprint(await exportJWK(child.publicKey)));
    assert.ok(payload.act.act, 'the chain of actors is nested');
    await assert.rejects(exchange({ type: 'purser_grant', cap_minor: 1_000_00 }), (it) => ['invalid_authorization_details', 'invalid_scope', 'invalid_target'].includes(it.error));
  });
}

// The whole of OpenID Connect Back-Channel Logout 1.0, 2.6.
function loggedOut(keys, audience, seen) {
  return async (token) => {
    const { payload, protectedHeader } = await jwtVerify(token, keys, { issuer, audience, typ: 'logout+jwt', maxTokenAge: '2m', clockTolerance: 5, requiredClaims: ['iat', 'exp', 'jti', 'events'] });
    assert.notEqual(protectedHeader.alg, 'none');
    assert.deepEqual(payload.events, { 'http://schemas.openid.net/event/backchannel-logout': {} });
    assert.ok(payload.sub || payload.sid, 'nobody is named');
    assert.ok(!('nonce' in payload), 'a nonce is forbidden');
    assert.ok(!seen.has(payload.jti), 'this came before');
    seen.add(payload.jti);
    return payload;
  };
}

async function agent() {
  const config = await register({ token_endpoint_auth_method: 'none' }, client.None());
  const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
  const details = [{ type: 'purser_grant', name: 'a strict agent', projects: ['shop'], providers: ['slipway'], delegate: true }];
  const tokens = await signIn(config, { scope: '', dpop, par: true, more: { authorization_details: JSON.stringify(details), nonce: undefined, scope: undefined, prompt: undefined } });
  return { config, dpop, tokens };
}

async function actor(keys) {
  const jwk = await exportJWK(keys.publicKey);
  return new SignJWT({ aud: issuer, jti: randomUUID(), name: 'a sub-agent' }).setIssuedAt().setExpirationTime('1m').setProtectedHeader({ alg: 'ES256', typ: 'agent+jwt', jwk }).sign(keys.privateKey);
}

async function approveDevice(started, answer = 'accept') {
  const { forms } = await import('./lib/browser.mjs');
  if (ISSUER) return ada.go(started.verification_uri_complete, { answer });
  let page = await ada.go(started.verification_uri_complete);
  for (let step = 0; step < 4 && forms(page.body).length > 0; step += 1) {
    const form = forms(page.body).find((it) => it.buttons.length === 0 || it.buttons.some((button) => button.name !== 'abort')) ?? forms(page.body)[0];
    page = await ada.submit(page, form, answer === 'deny' ? { abort: 'yes' } : {});
  }
  return page;
}

async function leave(who, url) {
  const { forms } = await import('./lib/browser.mjs');
  const browser = who.browser ?? who;
  const page = await browser.go(url.href);
  if (page.away) return page;
  const form = forms(page.body).find((it) => /logout|session|confirm/.test(it.action)) ?? forms(page.body)[0];
  assert.ok(form, `no form to confirm the logout: ${page.status}`);
  const button = form.buttons.find((it) => /logout|decision|confirm/.test(it.name));
  const after = await browser.submit(page, form, button ? { button } : { logout: 'yes' });
  const on = after.body?.match(/<meta http-equiv="refresh" content="0;url=([^"]*)"/);
  return on ? browser.go(decode(on[1])) : after;
}

await oracle?.stop();
process.exit(0);
