// The same requests to our server and to an independent one; each verdict pair is one line of JSON on stdout.
// Environment: ISSUER and MAILBOX of ours (without them, only the other server is asked). Arguments: groups to run.
import { startOracle } from './lib/oracle.mjs';
import { Target } from './lib/target.mjs';
import { Person } from './lib/person.mjs';
import { Browser } from './lib/browser.mjs';
import authorize from './differential/authorize.mjs';
import push from './differential/push.mjs';
import clients from './differential/clients.mjs';
import registration from './differential/registration.mjs';
import inspect from './differential/inspect.mjs';
import { codes, dpop } from './differential/codes.mjs';

const groups = { authorize, push, clients, codes, dpop, registration, inspect };
const wanted = process.argv.slice(2);
const { ISSUER, MAILBOX } = process.env;

console.error = ((say) => (...words) => (process.env.LOUD ? say(...words) : undefined))(console.error);
console.warn = () => undefined;
console.info = () => undefined;

const api = ISSUER ?? 'https://api.example.test';
const oracle = await startOracle({ api });
const theirs = await new Target('theirs', oracle.issuer, () => new Browser(oracle.issuer)).start();
theirs.api = theirs.issuer;
let ours;
if (ISSUER) {
  ours = await new Target('ours', ISSUER, () => new Person(ISSUER, MAILBOX, 'ada@example.test')).start();
  ours.api = ISSUER;
}

const verdict = async (target, row) => {
  try {
    return await row.run(target);
  } catch (error) {
    return `(${String(error.message).slice(0, 300)})`;
  }
};

for (const [group, rows] of Object.entries(groups)) {
  if (wanted.length > 0 && !wanted.includes(group)) continue;
  for (const row of rows) {
    const line = { row: `${group}: ${row.name}`, theirs: await verdict(theirs, row) };
    if (ours) line.ours = await verdict(ours, row);
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}
await oracle.stop();
process.exit(0);
