// Judges what the real server sent with the reference library of Standard Webhooks for JavaScript.
//
// Reads `webhooks.jsonl` beside it, a message a line: {"name", "headers", "body", "secret"}; writes one line for each check.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';

function check(name, work) {
  try {
    work();
    console.log(JSON.stringify({ check: name, ok: true }));
  } catch (error) {
    console.log(JSON.stringify({ check: name, ok: false, why: String(error) }));
  }
}

const refused = (work) => assert.throws(work, WebhookVerificationError);

for (const line of fs.readFileSync(new URL('webhooks.jsonl', import.meta.url), 'utf8').trim().split('\n')) {
  const { name, headers, body, secret } = JSON.parse(line);
  const judge = new Webhook(secret);
  check(`${name}: verified`, () => assert.deepEqual(judge.verify(body, headers), JSON.parse(body)));
  check(`${name}: a changed body is refused`, () => refused(() => judge.verify(`${body} `, headers)));
  check(`${name}: another id is refused`, () => refused(() => judge.verify(body, { ...headers, 'webhook-id': 'alr_x' })));
  const later = String(Number(headers['webhook-timestamp']) + 1);
  check(`${name}: another moment is refused`, () => refused(() => judge.verify(body, { ...headers, 'webhook-timestamp': later })));
  check(`${name}: another secret is refused`, () => refused(() => new Webhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw').verify(body, headers)));
}
