// Codes and refresh tokens: bound to their client, their redirect, their verifier, and to one use.
import { randomUUID } from 'node:crypto';
import { verdictOf } from '../lib/target.mjs';

const redeem = async (t, kind, { change = () => ({}), as, dpop } = {}) => {
  const { client, params, verifier, code } = await t.code(kind);
  const fields = { grant_type: 'authorization_code', code, redirect_uri: params.redirect_uri, code_verifier: verifier };
  const response = await t.token(as ? await t.client(as) : client, { ...fields, ...change(fields) }, { dpop });
  return { client, fields, response };
};
const changed = (name, change, kind = 'basic', as) => [name, async (t) => verdictOf((await redeem(t, kind, { change, as })).response)];

const refresh = (t, client, token, more = {}, options = {}) => t.token(client, { grant_type: 'refresh_token', refresh_token: token, ...more }, options);

const rows = [
  changed('a good code', () => ({})),
  changed('a good code of a public client', () => ({}), 'public'),
  changed('a good code with private_key_jwt', () => ({}), 'jwt'),
  changed('a good code with the secret in the body', () => ({}), 'post'),
  changed('no code', () => ({ code: undefined })),
  changed('an unknown code', () => ({ code: 'unknown' })),
  changed('code twice', (it) => ({ code: [it.code, it.code] })),
  changed('no code_verifier', () => ({ code_verifier: undefined })),
  changed('another code_verifier', () => ({ code_verifier: 'x'.repeat(43) })),
  changed('a code_verifier that is too short', () => ({ code_verifier: 'short' })),
  changed('a code_verifier with a forbidden character', () => ({ code_verifier: `${'x'.repeat(43)}!` })),
  changed('the challenge as verifier', (it) => ({ code_verifier: it.code_verifier.toUpperCase() })),
  changed('no redirect_uri', () => ({ redirect_uri: undefined })),
  changed('another redirect_uri', () => ({ redirect_uri: 'https://evil.example.test/' })),
  changed('redirect_uri twice', (it) => ({ redirect_uri: [it.redirect_uri, it.redirect_uri] })),
  changed('a code of another client', () => ({}), 'basic', 'other'),
  ['a code twice', async (t) => {
    const { client, fields } = await redeem(t, 'basic');
    return verdictOf(await t.token(client, fields));
  }],
  ['a code twice ends the tokens of the first', async (t) => {
    const { client, fields, response } = await redeem(t, 'basic');
    await t.token(client, fields);
    return verdictOf(await t.send('GET', t.meta.userinfo_endpoint, undefined, { authorization: `Bearer ${response.body.access_token}` }));
  }],
  ['a good refresh', async (t) => {
    const { client, refresh_token } = await t.tokens('basic');
    return verdictOf(await refresh(t, client, refresh_token));
  }],
  ['a good refresh of a public client', async (t) => {
    const { client, refresh_token } = await t.tokens('public');
    return verdictOf(await refresh(t, client, refresh_token));
  }],
  ['a refresh gives another refresh token', async (t) => {
    const { client, refresh_token } = await t.tokens('basic');
    const { body } = await refresh(t, client, refresh_token);
    return String(typeof body.refresh_token === 'string' && body.refresh_token !== refresh_token);
  }],
  ['a used refresh token', async (t) => {
    const { client, refresh_token } = await t.tokens('basic');
    await refresh(t, client, refresh_token);
    return verdictOf(await refresh(t, client, refresh_token));
  }],
  ['a used refresh token ends its successor', async (t) => {
    const { client, refresh_token } = await t.tokens('basic');
    const { body } = await refresh(t, client, refresh_token);
    await refresh(t, client, refresh_token);
    return verdictOf(await refresh(t, client, body.refresh_token));
  }],
  ['a used refresh token ends the access token', async (t) => {
    const { client, refresh_token } = await t.tokens('basic');
    const { body } = await refresh(t, client, refresh_token);
    await refresh(t, client, refresh_token);
    return verdictOf(await t.send('GET', t.meta.userinfo_endpoint, undefined, { authorization: `Bearer ${body.access_token}` }));
  }],
  ['a refresh token of another client', async (t) => verdictOf(await refresh(t, await t.client('other'), (await t.tokens('basic')).refresh_token))],
  ['an unknown refresh token', async (t) => verdictOf(await refresh(t, await t.client('basic'), 'unknown'))],
  ['no refresh token', async (t) => verdictOf(await refresh(t, await t.client('basic'), undefined))],
  ['a refresh for less', async (t) => {
    const { client, refresh_token } = await t.tokens('basic', { scope: 'openid email offline_access' });
    return verdictOf(await refresh(t, client, refresh_token, { scope: 'openid' }));
  }],
  ['a refresh for more', async (t) => {
    const { client, refresh_token } = await t.tokens('basic');
    return verdictOf(await refresh(t, client, refresh_token, { scope: 'openid email offline_access' }));
  }],
  ['a refresh where the client is not registered for it', async (t) => verdictOf(await refresh(t, await t.client('codeonly'), 'unknown'))],
  ['an access token as refresh token', async (t) => {
    const { client, access_token } = await t.tokens('basic');
    return verdictOf(await refresh(t, client, access_token));
  }],
  ['without offline_access there is no refresh token', async (t) => {
    const { response } = await redeem(t, 'basic');
    return String(response.body.refresh_token === undefined);
  }],
  ['an ID token comes with openid', async (t) => String(typeof (await redeem(t, 'basic')).response.body.id_token === 'string')],
  ['userinfo without a token', async (t) => verdictOf(await t.send('GET', t.meta.userinfo_endpoint))],
  ['userinfo with a good token', async (t) => verdictOf(await t.send('GET', t.meta.userinfo_endpoint, undefined, { authorization: `Bearer ${(await t.tokens('basic')).access_token}` }))],
  ['userinfo by POST with the token in the header', async (t) => verdictOf(await t.send('POST', t.meta.userinfo_endpoint, undefined, { authorization: `Bearer ${(await t.tokens('basic')).access_token}` }))],
  ['userinfo with a token nobody issued', async (t) => verdictOf(await t.send('GET', t.meta.userinfo_endpoint, undefined, { authorization: 'Bearer nonsense' }))],
  ['userinfo with an unknown scheme', async (t) => verdictOf(await t.send('GET', t.meta.userinfo_endpoint, undefined, { authorization: 'Token nonsense' }))],
  ['userinfo with a token in the query', async (t) => verdictOf(await t.send('GET', `${t.meta.userinfo_endpoint}?access_token=${(await t.tokens('basic')).access_token}`))],
  ['userinfo with a machine token', async (t) => verdictOf(await t.send('GET', t.meta.userinfo_endpoint, undefined, { authorization: `Bearer ${(await t.machine()).body.access_token}` }))],

  ['a pending device code', async (t) => {
    const client = await t.client('device');
    const { body } = await t.form(t.meta.device_authorization_endpoint, { client_id: client.client_id, scope: 'openid' });
    return verdictOf(await t.token(client, { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: body.device_code }));
  }],
  ['a device flow of an unknown client', async (t) => verdictOf(await t.form(t.meta.device_authorization_endpoint, { client_id: 'nobody', scope: 'openid' }))],
  ['a device flow without a client', async (t) => verdictOf(await t.form(t.meta.device_authorization_endpoint, { scope: 'openid' }))],
  ['a device flow of a client that is not registered for it', async (t) => verdictOf(await t.form(t.meta.device_authorization_endpoint, { client_id: (await t.client('public')).client_id, scope: 'openid' }))],
  ['a device flow with an unknown scope', async (t) => verdictOf(await t.form(t.meta.device_authorization_endpoint, { client_id: (await t.client('device')).client_id, scope: 'treasure' }))],
  ['a device flow by GET', async (t) => String((await t.send('GET', t.meta.device_authorization_endpoint)).status >= 400)],
  ['an unknown device code', async (t) => verdictOf(await t.token(await t.client('device'), { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: 'unknown' }))],
  ['no device code', async (t) => verdictOf(await t.token(await t.client('device'), { grant_type: 'urn:ietf:params:oauth:grant-type:device_code' }))],
];

const dpopRows = [
  ['a good proof binds the token', async (t) => {
    const { response } = await redeem(t, 'public', { dpop: await t.dpopKey() });
    return `${verdictOf(response)} ${response.body.token_type}`;
  }],
  ['a good proof by EdDSA', async (t) => verdictOf((await redeem(t, 'public', { dpop: await t.dpopKey('Ed25519') })).response)],
  ...[
    ['for another method', { htm: 'GET' }],
    ['for another address', { htu: 'https://elsewhere.example.test/token' }],
    ['that is old', { iat: Math.floor(Date.now() / 1000) - 3600 }],
    ['from the future', { iat: Math.floor(Date.now() / 1000) + 3600 }],
    ['without jti', { jti: undefined }],
    ['without htm', { htm: undefined }],
    ['without htu', { htu: undefined }],
    ['without iat', { iat: undefined }],
  ].map(([name, claims]) => [`a proof ${name}`, async (t) => {
    const key = await t.dpopKey();
    return verdictOf((await redeem(t, 'public', { dpop: await key.proof('POST', t.meta.token_endpoint, claims) })).response);
  }]),
  ['a proof of another type', async (t) => {
    const key = await t.dpopKey();
    return verdictOf((await redeem(t, 'public', { dpop: await key.proof('POST', t.meta.token_endpoint, {}, { header: { typ: 'JWT' } }) })).response);
  }],
  ['a proof that shows its private key', async (t) => {
    const key = await t.dpopKey();
    const { exportJWK } = await import('jose');
    return verdictOf((await redeem(t, 'public', { dpop: await key.proof('POST', t.meta.token_endpoint, {}, { header: { jwk: await exportJWK(key.keys.privateKey) } }) })).response);
  }],
  ['a proof by another key than it shows', async (t) => {
    const [key, other] = [await t.dpopKey(), await t.dpopKey()];
    return verdictOf((await redeem(t, 'public', { dpop: await key.proof('POST', t.meta.token_endpoint, {}, { header: { jwk: other.jwk } }) })).response);
  }],
  ['a proof that is no JWT', async (t) => verdictOf((await redeem(t, 'public', { dpop: 'nonsense' })).response)],
  ['a proof twice', async (t) => {
    const key = await t.dpopKey();
    const proof = await key.proof('POST', t.meta.token_endpoint, { jti: randomUUID() });
    await redeem(t, 'public', { dpop: proof });
    return verdictOf((await redeem(t, 'public', { dpop: proof })).response);
  }],
  ['a proof for the address with a query', async (t) => {
    const key = await t.dpopKey();
    return verdictOf((await redeem(t, 'public', { dpop: await key.proof('POST', `${t.meta.token_endpoint}?x=1`) })).response);
  }],
  ['a bound token without a proof', async (t) => {
    const { access_token } = await t.tokens('public', { dpop: await t.dpopKey() });
    return verdictOf(await t.send('GET', t.meta.userinfo_endpoint, undefined, { authorization: `Bearer ${access_token}` }));
  }],
  ['a bound token with its proof', async (t) => {
    const dpop = await t.dpopKey();
    const { access_token } = await t.tokens('public', { dpop });
    return verdictOf(await t.send('GET', t.meta.userinfo_endpoint, undefined, { authorization: `DPoP ${access_token}`, dpop: await dpop.proof('GET', t.meta.userinfo_endpoint, { ath: await ath(access_token) }) }));
  }],
  ['a bound token with a proof for another token', async (t) => {
    const dpop = await t.dpopKey();
    const { access_token } = await t.tokens('public', { dpop });
    return verdictOf(await t.send('GET', t.meta.userinfo_endpoint, undefined, { authorization: `DPoP ${access_token}`, dpop: await dpop.proof('GET', t.meta.userinfo_endpoint, { ath: await ath('other') }) }));
  }],
  ['a bound token with the proof of another key', async (t) => {
    const [dpop, thief] = [await t.dpopKey(), await t.dpopKey()];
    const { access_token } = await t.tokens('public', { dpop });
    return verdictOf(await t.send('GET', t.meta.userinfo_endpoint, undefined, { authorization: `DPoP ${access_token}`, dpop: await thief.proof('GET', t.meta.userinfo_endpoint, { ath: await ath(access_token) }) }));
  }],
  ['a bound refresh token with another key', async (t) => {
    const { client, refresh_token } = await t.tokens('public', { dpop: await t.dpopKey() });
    return verdictOf(await refresh(t, client, refresh_token, {}, { dpop: await t.dpopKey() }));
  }],
  ['a bound refresh token without a proof', async (t) => {
    const { client, refresh_token } = await t.tokens('public', { dpop: await t.dpopKey() });
    return verdictOf(await refresh(t, client, refresh_token));
  }],
  ['a code that was bound to a key, with another key', async (t) => {
    const [mine, thief] = [await t.dpopKey(), await t.dpopKey()];
    const { client, params, verifier, code } = await t.code('public', { dpop_jkt: mine.jkt });
    return verdictOf(await t.token(client, { grant_type: 'authorization_code', code, redirect_uri: params.redirect_uri, code_verifier: verifier }, { dpop: thief }));
  }],
  ['a code that was bound to a key, without a proof', async (t) => {
    const { client, params, verifier, code } = await t.code('public', { dpop_jkt: (await t.dpopKey()).jkt });
    return verdictOf(await t.token(client, { grant_type: 'authorization_code', code, redirect_uri: params.redirect_uri, code_verifier: verifier }));
  }],
  ['two proofs', async (t) => {
    const key = await t.dpopKey();
    const two = `${await key.proof('POST', t.meta.token_endpoint)}, ${await key.proof('POST', t.meta.token_endpoint)}`;
    return verdictOf((await redeem(t, 'public', { dpop: two })).response);
  }],
];

const ath = async (token) => Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(token))).toString('base64url');

export const codes = rows.map(([name, run]) => ({ name, run }));
export const dpop = dpopRows.map(([name, run]) => ({ name, run }));
