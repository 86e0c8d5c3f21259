// Plays the person for a referee in another language: opens argv[2], says yes, prints the address that the browser is sent to.
// With `stay` as argv[3] the pages lead nowhere, as those of a device do, and nothing is printed.
// Environment: ISSUER, MAILBOX; without MAILBOX the server is the independent one, whose person is always willing.
import { Browser } from './lib/browser.mjs';
import { Person } from './lib/person.mjs';

const { ISSUER, MAILBOX } = process.env;
const who = MAILBOX ? new Person(ISSUER, MAILBOX, 'ada@example.test') : new Browser(ISSUER);
const page = await who.go(process.argv[2]);
const stays = process.argv[3] === 'stay';
if (stays ? page.status >= 400 : !page.away) {
  console.error(`no redirect, but ${page.status} at ${page.url}`);
  process.exit(1);
}
if (!stays) console.log(page.away.href);
