// Dynamic registration (RFC 7591) and management of what was registered (RFC 7592).
import { generateKeyPair, exportJWK } from 'jose';
import { CALLBACK, verdictOf } from '../lib/target.mjs';

const good = { redirect_uris: [CALLBACK], client_name: 'a client', token_endpoint_auth_method: 'client_secret_basic' };
const register = (t, metadata) => t.json('POST', t.meta.registration_endpoint, metadata);
const asks = (name, change) => [name, async (t) => verdictOf(await register(t, { ...good, ...(await change(t)) }))];
const jwk = async () => ({ ...(await exportJWK((await generateKeyPair('ES256')).publicKey)), kid: 'one' });
const bearer = (client, token = client.registration_access_token) => ({ authorization: `Bearer ${token}` });
const kept = async (t) => (await register(t, good)).body;

const rows = [
  asks('a good client', () => ({})),
  asks('no redirect_uris', () => ({ redirect_uris: undefined })),
  asks('empty redirect_uris', () => ({ redirect_uris: [] })),
  asks('redirect_uris that are no list', () => ({ redirect_uris: CALLBACK })),
  asks('a redirect_uri with a fragment', () => ({ redirect_uris: [`${CALLBACK}#part`] })),
  asks('a redirect_uri that is no URI', () => ({ redirect_uris: ['callback'] })),
  asks('a redirect_uri that is a script', () => ({ redirect_uris: ['javascript:alert(1)'] })),
  asks('a web client that redirects to http', () => ({ redirect_uris: ['http://client.example.test/callback'] })),
  asks('a web client that redirects to loopback', () => ({ redirect_uris: ['http://localhost/callback'] })),
  asks('a native client that redirects to loopback', () => ({ application_type: 'native', redirect_uris: ['http://127.0.0.1/callback'] })),
  asks('a native client that redirects to http elsewhere', () => ({ application_type: 'native', redirect_uris: ['http://client.example.test/callback'] })),
  asks('an unknown application_type', () => ({ application_type: 'kitchen' })),
  asks('an unknown authentication method', () => ({ token_endpoint_auth_method: 'handshake' })),
  asks('private_key_jwt without keys', () => ({ token_endpoint_auth_method: 'private_key_jwt' })),
  asks('private_key_jwt with keys', async () => ({ token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [await jwk()] } })),
  asks('keys and an address of keys', async () => ({ token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [await jwk()] }, jwks_uri: 'https://client.example.test/jwks' })),
  asks('keys that are no key set', () => ({ token_endpoint_auth_method: 'private_key_jwt', jwks: [] })),
  asks('an unknown grant type', () => ({ grant_types: ['gift'] })),
  asks('grant type implicit', () => ({ grant_types: ['implicit'] })),
  asks('an unknown response type', () => ({ response_types: ['cookie'] })),
  asks('response type token', () => ({ response_types: ['token'] })),
  asks('response types without their grant type', () => ({ grant_types: ['client_credentials'], response_types: ['code'] })),
  asks('an unknown member', () => ({ colour: 'blue' })),
  asks('a client_name that is no text', () => ({ client_name: 7 })),
  asks('a client_uri that is no URI', () => ({ client_uri: 'nonsense' })),
  asks('a scope that nobody knows', () => ({ scope: 'treasure' })),
  asks('an ID token without a signature', () => ({ id_token_signed_response_alg: 'none' })),
  asks('contacts that are no list', () => ({ contacts: 'ada@example.test' })),
  ['a list for a body', async (t) => verdictOf(await register(t, []))],
  ['a body that is no JSON', async (t) => verdictOf(await t.json('POST', t.meta.registration_endpoint, '{'))],
  ['a form for a body', async (t) => verdictOf(await t.form(t.meta.registration_endpoint, { redirect_uris: CALLBACK }))],
  ['by GET', async (t) => String((await t.send('GET', t.meta.registration_endpoint)).status >= 400)],
  ['reading with the right token', async (t) => { const client = await kept(t); return verdictOf(await t.send('GET', client.registration_client_uri, undefined, bearer(client))); }],
  ['reading without a token', async (t) => verdictOf(await t.send('GET', (await kept(t)).registration_client_uri))],
  ['reading with a wrong token', async (t) => { const client = await kept(t); return verdictOf(await t.send('GET', client.registration_client_uri, undefined, bearer(client, 'wrong'))); }],
  ["reading with another client's token", async (t) => { const [mine, theirs] = [await kept(t), await kept(t)]; return verdictOf(await t.send('GET', mine.registration_client_uri, undefined, bearer(theirs))); }],
  ['changing the redirect', async (t) => { const client = await kept(t); return verdictOf(await t.json('PUT', client.registration_client_uri, update(client, { redirect_uris: [`${CALLBACK}/2`] }), bearer(client))); }],
  ['changing to a bad redirect', async (t) => { const client = await kept(t); return verdictOf(await t.json('PUT', client.registration_client_uri, update(client, { redirect_uris: ['callback'] }), bearer(client))); }],
  ['changing under another client_id', async (t) => { const client = await kept(t); return verdictOf(await t.json('PUT', client.registration_client_uri, update(client, { client_id: 'other' }), bearer(client))); }],
  ['changing to a secret of its own choice', async (t) => { const client = await kept(t); return verdictOf(await t.json('PUT', client.registration_client_uri, update(client, { client_secret: 'mine' }), bearer(client))); }],
  ['deleting', async (t) => { const client = await kept(t); return verdictOf(await t.send('DELETE', client.registration_client_uri, undefined, bearer(client))); }],
  ['reading what was deleted', async (t) => {
    const client = await kept(t);
    await t.send('DELETE', client.registration_client_uri, undefined, bearer(client));
    return verdictOf(await t.send('GET', client.registration_client_uri, undefined, bearer(client)));
  }],
];

const update = (client, change) => {
  const { client_id, redirect_uris, client_name, token_endpoint_auth_method, grant_types, response_types } = client;
  return { client_id, redirect_uris, client_name, token_endpoint_auth_method, grant_types, response_types, ...change };
};

export default rows.map(([name, run]) => ({ name, run }));
