// Pushed authorization requests (RFC 9126): the errors that the authorization endpoint gives, told to the client directly.
import { verdictOf, CALLBACK } from '../lib/target.mjs';

const push = async (t, kind, changes = {}, { auth, headers } = {}) => {
  const client = await t.client(kind);
  const { params, verifier } = await t.good(client);
  for (const [key, value] of Object.entries(changes)) params[key] = typeof value === 'function' ? value(params[key], t) : value;
  const [fields, own] = auth ? await auth(t, client) : await t.auth(client);
  const response = await t.form(t.meta.pushed_authorization_request_endpoint, { ...params, ...fields }, { ...own, ...headers });
  return { client, params, verifier, response };
};

const changes = [
  ['a good request of a confidential client', {}, 'basic'],
  ['a good request of a public client', {}, 'public'],
  ['a good request with private_key_jwt', {}, 'jwt'],
  ['another redirect_uri', { redirect_uri: 'https://evil.example.test/callback' }, 'basic'],
  ['no redirect_uri', { redirect_uri: undefined }, 'basic'],
  ['redirect_uri with a fragment', { redirect_uri: `${CALLBACK}#part` }, 'basic'],
  ['response_type token', { response_type: 'token' }, 'basic'],
  ['no response_type', { response_type: undefined }, 'basic'],
  ['no code_challenge', { code_challenge: undefined, code_challenge_method: undefined }, 'basic'],
  ['code_challenge_method plain', { code_challenge_method: 'plain' }, 'basic'],
  ['a code_challenge that is too short', { code_challenge: 'abc' }, 'basic'],
  ['a request_uri inside', { request_uri: 'urn:ietf:params:oauth:request_uri:x' }, 'basic'],
  ['prompt none with another prompt', { prompt: 'none login' }, 'basic'],
  ['an unknown resource', { resource: 'https://elsewhere.example.test/' }, 'basic'],
  ['a parameter twice', { scope: ['openid', 'openid'] }, 'basic'],
  ['an unknown scope alone', { scope: 'treasure' }, 'basic'],
  ['a request object that is no JWT', { request: 'nonsense' }, 'basic'],
].map(([name, what, kind]) => ({ name, run: async (t) => verdictOf((await push(t, kind, what)).response) }));

const more = [
  ['no client authentication', async (t) => verdictOf((await push(t, 'basic', {}, { auth: async () => [{}, {}] })).response)],
  ['a wrong secret', async (t) => verdictOf((await push(t, 'basic', {}, { auth: async (_, client) => [{}, t.basic(client, 'wrong')] })).response)],
  ['by GET', async (t) => String((await t.send('GET', t.meta.pushed_authorization_request_endpoint)).status >= 400)],
  ['a pushed request leads to a code', async (t) => {
    const { client, response } = await push(t, 'basic');
    return (await t.authorize({ client_id: client.client_id, request_uri: response.body.request_uri })).verdict;
  }],
  ['a pushed request is used twice', async (t) => {
    const { client, response } = await push(t, 'basic');
    await t.authorize({ client_id: client.client_id, request_uri: response.body.request_uri });
    return (await t.authorize({ client_id: client.client_id, request_uri: response.body.request_uri })).verdict;
  }],
  ['a pushed request of another client', async (t) => {
    const { response } = await push(t, 'basic');
    return (await t.authorize({ client_id: (await t.client('other')).client_id, request_uri: response.body.request_uri })).verdict;
  }],
  ['a pushed request without client_id', async (t) => {
    const { response } = await push(t, 'basic');
    return (await t.authorize({ request_uri: response.body.request_uri })).verdict;
  }],
].map(([name, run]) => ({ name, run }));

export default [...changes, ...more];
