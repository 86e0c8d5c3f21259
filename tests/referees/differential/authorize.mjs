// The authorization endpoint: each row changes one thing in a request that is otherwise good.
import { CALLBACK } from '../lib/target.mjs';

// name, what changes in the parameters (undefined removes one), and the kind of client.
const CHANGES = [
  ['a good request of a public client', {}],
  ['a good request of a confidential client', {}, 'basic'],
  ['a good request by POST', {}, 'public', { method: 'POST' }],
  ['no client_id', { client_id: undefined }],
  ['an unknown client_id', { client_id: 'nobody' }],
  ['an empty client_id', { client_id: '' }],
  ['client_id twice', { client_id: (it) => [it, it] }],
  ['no redirect_uri', { redirect_uri: undefined }],
  ['another redirect_uri', { redirect_uri: 'https://evil.example.test/callback' }],
  ['redirect_uri with a trailing slash', { redirect_uri: `${CALLBACK}/` }],
  ['redirect_uri with a query added', { redirect_uri: `${CALLBACK}?next=1` }],
  ['redirect_uri with a fragment', { redirect_uri: `${CALLBACK}#part` }],
  ['redirect_uri in capitals', { redirect_uri: CALLBACK.toUpperCase() }],
  ['redirect_uri with a dot segment', { redirect_uri: CALLBACK.replace('/callback', '/x/../callback') }],
  ['redirect_uri with user information', { redirect_uri: CALLBACK.replace('https://', 'https://client.example.test@') }],
  ['redirect_uri with a port', { redirect_uri: CALLBACK.replace('.test/', '.test:444/') }],
  ['redirect_uri over http', { redirect_uri: CALLBACK.replace('https:', 'http:') }],
  ['redirect_uri of a longer host', { redirect_uri: CALLBACK.replace('.test/', '.test.evil.test/') }],
  ['redirect_uri that is no URI', { redirect_uri: 'callback' }],
  ['redirect_uri that is a script', { redirect_uri: 'javascript:alert(1)' }],
  ['redirect_uri twice', { redirect_uri: (it) => [it, it] }],
  ['no response_type', { response_type: undefined }],
  ['response_type token', { response_type: 'token' }],
  ['response_type id_token', { response_type: 'id_token' }],
  ['response_type code id_token', { response_type: 'code id_token' }],
  ['response_type none', { response_type: 'none' }],
  ['an unknown response_type', { response_type: 'cookie' }],
  ['response_type twice', { response_type: ['code', 'code'] }],
  ['response_mode query', { response_mode: 'query' }],
  ['an unknown response_mode', { response_mode: 'pigeon' }],
  ['no code_challenge', { code_challenge: undefined, code_challenge_method: undefined }],
  ['no code_challenge, of a confidential client', { code_challenge: undefined, code_challenge_method: undefined }, 'basic'],
  ['a method without a challenge', { code_challenge: undefined }],
  ['a challenge without a method', { code_challenge_method: undefined }],
  ['code_challenge_method plain', { code_challenge_method: 'plain' }],
  ['code_challenge_method s256', { code_challenge_method: 's256' }],
  ['an unknown code_challenge_method', { code_challenge_method: 'S512' }],
  ['a code_challenge that is too short', { code_challenge: 'abc' }],
  ['a code_challenge that is too long', { code_challenge: 'a'.repeat(129) }],
  ['a code_challenge with a forbidden character', { code_challenge: `${'a'.repeat(42)}!` }],
  ['code_challenge twice', { code_challenge: (it) => [it, it] }],
  ['no scope', { scope: undefined }],
  ['an empty scope', { scope: '' }],
  ['scope without openid', { scope: 'email' }],
  ['an unknown scope beside a known one', { scope: 'openid treasure' }],
  ['an unknown scope alone', { scope: 'treasure' }],
  ['scope twice', { scope: ['openid', 'openid'] }],
  ['no state', { state: undefined }],
  ['state twice', { state: ['a', 'b'] }],
  ['a long state', { state: 's'.repeat(400) }],
  ['no nonce', { nonce: undefined }],
  ['nonce twice', { nonce: ['a', 'b'] }],
  ['an unknown parameter', { colour: 'blue' }],
  ['an unknown parameter twice', { colour: ['blue', 'red'] }],
  ['prompt login', { prompt: 'login' }],
  ['prompt consent', { prompt: 'consent' }],
  ['prompt login consent', { prompt: 'login consent' }],
  ['prompt none without a session', { prompt: 'none' }, 'public', { stranger: true }],
  ['prompt none with another prompt', { prompt: 'none login' }],
  ['an unknown prompt', { prompt: 'dance' }],
  ['prompt twice', { prompt: ['login', 'login'] }],
  ['max_age 3600', { max_age: '3600' }],
  ['max_age that is no number', { max_age: 'soon' }],
  ['a negative max_age', { max_age: '-1' }],
  ['max_age 0 and prompt none', { max_age: '0', prompt: 'none' }],
  ['display popup', { display: 'popup' }],
  ['ui_locales', { ui_locales: 'de fr' }],
  ['login_hint', { login_hint: 'ada@example.test' }],
  ['an id_token_hint that is no token', { id_token_hint: 'nonsense' }],
  ['a request object', { request: 'eyJhbGciOiJub25lIn0.e30.' }],
  ['a request_uri that is not ours', { request_uri: 'https://client.example.test/request.jwt' }],
  ['a pushed request_uri that nobody pushed', { request_uri: 'urn:ietf:params:oauth:request_uri:unknown' }],
  ['the API as resource', { resource: (it, t) => t.api }],
  ['an unknown resource', { resource: 'https://elsewhere.example.test/' }],
  ['a resource that is no URI', { resource: 'elsewhere' }],
  ['a resource with a fragment', { resource: (it, t) => `${t.api}#part` }],
  ['a dpop_jkt', { dpop_jkt: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM' }],
  ['a dpop_jkt that is no thumbprint', { dpop_jkt: 'short' }],
  ['authorization_details of an unknown type', { authorization_details: JSON.stringify([{ type: 'treasure' }]) }],
  ['authorization_details that are no JSON', { authorization_details: '{' }],
  ['a loopback redirect on another port', { redirect_uri: 'http://127.0.0.1:4567/callback' }, 'native'],
  ['a loopback redirect on another path', { redirect_uri: 'http://127.0.0.1:4567/other' }, 'native'],
  ['a loopback redirect by name', { redirect_uri: 'http://localhost:4567/callback' }, 'native'],
  ['a private-use scheme', { redirect_uri: 'com.example.app:/callback' }, 'native'],
  ['a client that may only use client_credentials', { redirect_uri: CALLBACK }, 'machine'],
  ['the person says no', { prompt: 'consent' }, 'public', { answer: 'deny', oursOnly: true }],
];

const rows = CHANGES.filter(([, , , how]) => !how?.oursOnly).map(([name, changes, kind = 'public', how = {}]) => ({
  name,
  run: async (t) => {
    const client = await t.client(kind);
    const { params } = await t.good(client);
    for (const [key, value] of Object.entries(changes)) params[key] = typeof value === 'function' ? value(params[key], t) : value;
    const { verdict } = await t.authorize(params, { ...how, who: how.stranger ? t.person() : t.ada });
    return verdict;
  },
}));

const answers = [
  ['the answer carries state and iss', async (t) => {
    const { params } = await t.good(await t.client('public'));
    const { answer } = await t.authorize(params);
    return `state ${answer.state === params.state} iss ${answer.iss === t.issuer}`;
  }],
  ['an error answer carries state and iss', async (t) => {
    const { params } = await t.good(await t.client('public'), { response_type: 'token' });
    const { answer } = await t.authorize(params);
    return `state ${answer.state === params.state} iss ${answer.iss === t.issuer}`;
  }],
  ['by PUT', async (t) => String((await t.send('PUT', t.meta.authorization_endpoint)).status >= 400)],
];

export default [...rows, ...answers.map(([name, run]) => ({ name, run }))];
