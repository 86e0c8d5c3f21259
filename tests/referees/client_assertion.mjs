// A provider that knows its callers by their documents (CIMD) and their signed statements (RFC 7523), as far as both can be checked
// by jose, which others wrote. Argument: our token endpoint. Standard input: requests, each with `client_id`, `client_assertion_type`
// and `client_assertion`. Answers what each proves, or fails with the reason.
import { createRemoteJWKSet, jwtVerify } from 'jose';

const [, , audience] = process.argv;
let input = '';
for await (const chunk of process.stdin) input += chunk;

const check = (holds, why) => {
  if (!holds) throw new Error(why);
};

try {
  const proven = [];
  for (const request of JSON.parse(input)) {
    const id = request.client_id;
    const answer = await fetch(id, { redirect: 'error' });
    check(answer.status === 200, `the document: ${answer.status}`);
    check(answer.headers.get('content-type').startsWith('application/json'), 'the document is no JSON');
    const text = await answer.text();
    check(text.length < 5120, 'the document is too long');
    const client = JSON.parse(text);
    check(client.client_id === id, 'the document is about another client');
    check(client.token_endpoint_auth_method === 'private_key_jwt', 'it proves itself in another way');
    check(!('client_secret' in client), 'a secret in public');
    check(request.client_assertion_type === 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', 'client_assertion_type');
    const { payload, protectedHeader } = await jwtVerify(request.client_assertion, createRemoteJWKSet(new URL(client.jwks_uri)), {
      algorithms: ['ES256'],
      audience,
      issuer: id,
      subject: id,
      requiredClaims: ['exp', 'iat', 'jti'],
    });
    check(typeof payload.aud === 'string' && payload.exp - payload.iat <= 300, 'it is for several, or lives too long');
    check(typeof protectedHeader.kid === 'string', 'no kid');
    proven.push({ client_id: id, redirect_uris: client.redirect_uris, jti: payload.jti });
  }
  console.log(JSON.stringify(proven));
} catch (e) {
  console.error(`${e.code ?? ''} ${e.claim ?? ''} ${e.message}`);
  process.exit(1);
}
