// Plays the person for a referee in another language: opens argv[2], says yes, prints the address that the browser is sent to.
// Environment: ISSUER, MAILBOX; without MAILBOX the server is the independent one, whose person is always willing.
import { Browser } from './lib/browser.mjs';
import { Person } from './lib/person.mjs';

const { ISSUER, MAILBOX } = process.env;
const who = MAILBOX ? new Person(ISSUER, MAILBOX, 'ada@example.test') : new Browser(ISSUER);
const page = await who.go(process.argv[2]);
if (!page.away) {
  console.error(`no redirect, but ${page.status} at ${page.url}`);
  process.exit(1);
}
console.log(page.away.href);
