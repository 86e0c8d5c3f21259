// A company's OpenID provider: oidc-provider, which others wrote and certified. Its people sign in by saying who they are.
// Arguments: our origin, the name of the connection that has a secret, that secret, and the name of the one that has our key.
import http from 'node:http';
import { Provider, interactionPolicy } from 'oidc-provider';

const [, , purser, bySecret, secret, byKey] = process.argv;
console.warn = console.info = () => undefined;

// Everybody is who they say. One of them has no verified address, one is of another company.
const people = {
  ada: { email: 'ada@acme.test', email_verified: true, groups: ['staff', 'platform'] },
  grace: { email: 'grace@acme.test', email_verified: true, groups: ['staff'] },
  unverified: { email: 'someone@acme.test', email_verified: false, groups: ['staff'] },
  guest: { email: 'guest@else.test', email_verified: true, groups: ['platform'] },
};

const server = http.createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://localhost:${server.address().port}`;
const client = (name, more) => ({
  client_id: name,
  redirect_uris: [`${purser}/sign-in/sso/${name}/callback`],
  backchannel_logout_uri: `${purser}/sign-in/sso/${name}/logout`,
  backchannel_logout_session_required: true,
  grant_types: ['authorization_code'],
  response_types: ['code'],
  ...more,
});

function provider(name, more, algorithm) {
  return new Provider(`${issuer}/${name}`, {
    clients: [client(name, { id_token_signed_response_alg: algorithm, ...more })],
    scopes: ['openid', 'email', 'groups'],
    // As the standard has it: what a scope asks for is in userinfo and not in the ID token.
    claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
    responseTypes: ['code'],
    pkce: { required: () => true },
    jwks: { keys: keys[algorithm] },
    enabledJWA: { clientAuthSigningAlgValues: ['ES256'], idTokenSigningAlgValues: [algorithm] },
    clientAuthMethods: ['client_secret_basic', 'private_key_jwt'],
    cookies: { keys: ['a key for signing cookies in a test'] },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    features: { devInteractions: { enabled: false }, userinfo: { enabled: true }, backchannelLogout: { enabled: true } },
    interactions: { policy: interactionPolicy.base(), url: (ctx, interaction) => `/${name}/interaction/${interaction.uid}` },
    // Its guard against addresses of one's own network is right, and here all is on one machine.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  });
}

async function signingKey(alg) {
  const parameters = {
    PS256: { name: 'RSA-PSS', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
    RS256: { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
  };
  const pair = await crypto.subtle.generateKey(parameters[alg], true, ['sign', 'verify']);
  return { ...(await crypto.subtle.exportKey('jwk', pair.privateKey)), key_ops: undefined, ext: undefined, alg, use: 'sig', kid: alg };
}

const keys = { RS256: [await signingKey('RS256')], PS256: [await signingKey('PS256')] };
const providers = {
  [bySecret]: provider(bySecret, { client_secret: secret, token_endpoint_auth_method: 'client_secret_basic' }, 'RS256'),
  [byKey]: provider(
    byKey,
    { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256', jwks_uri: `${purser}/.well-known/jwks.json` },
    'PS256',
  ),
};
for (const one of Object.values(providers)) {
  one.on('grant.error', (ctx, error) => console.error(error.message, error.error_detail ?? error));
  one.on('backchannel.error', (ctx, error, client) => console.error('logout', client.clientId, error));
}
const inner = Object.fromEntries(Object.entries(providers).map(([name, one]) => [name, one.callback()]));

server.on('request', (request, response) => {
  const [, name, what] = new URL(request.url, issuer).pathname.split('/');
  if (!inner[name]) return response.writeHead(404).end();
  if (what === 'interaction') return interact(providers[name], request, response).catch((error) => response.writeHead(500).end(String(error)));
  request.originalUrl = request.url;
  request.url = request.url.slice(name.length + 1) || '/';
  return inner[name](request, response);
});

// `?who=` is what the person types; without it the page waits, as a login page does.
async function interact(one, request, response) {
  const { prompt, params, session, grantId } = await one.interactionDetails(request, response);
  if (prompt.name === 'login') {
    const who = new URL(request.url, issuer).searchParams.get('who');
    if (!who) return response.end('who are you?');
    if (who === 'nobody') return one.interactionFinished(request, response, { error: 'access_denied' });
    return one.interactionFinished(request, response, { login: { accountId: who, amr: ['pwd'] } }, { mergeWithLastSubmission: false });
  }
  const grant = grantId ? await one.Grant.find(grantId) : new one.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope((prompt.details.missingOIDCScope ?? []).join(' '));
  grant.addOIDCClaims(prompt.details.missingOIDCClaims ?? []);
  return one.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

console.log(issuer);
